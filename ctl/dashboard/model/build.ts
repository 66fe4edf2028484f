import { type VerdictAnswer, worst } from "#pkg/verdict";
import type {
  BfdSessionsAnswer,
  ConfigurationAnswer,
  ConflictsAnswer,
  ControllerServices,
  HandoversAnswer,
  MembersAnswer,
  PeersAnswer,
  PoolAnswer,
  PoolsAnswer,
  SpeakerServices,
  VerdictsAnswer,
} from "../../cluster/answers.ts";
import { type MergedService, mergePools, mergeServices } from "../../cluster/merge.ts";
import type { Answer, Target, Unreachable } from "../../cluster/processes.ts";
import { findingsOf } from "../../doctor/findings.ts";
import type { MissingPods } from "../../doctor/missing-pods.ts";
import { keepRows } from "./changes.ts";
import type {
  AddressRow,
  BfdRow,
  CauseRow,
  Model,
  NodeRow,
  OccupiedRow,
  PeerRow,
  PoolRow,
  ProcessRow,
  RowVerdict,
  ServiceRow,
} from "./rows.ts";

/** The latest answers of one process, by question; undefined: it was not asked, or did not answer. */
export interface Heard {
  readonly target: Target;
  /** Why the last question was not answered. */
  readonly problem?: string | undefined;
  /** ISO 8601, of its last answer, which is what follows; undefined while it answers. */
  readonly silentSince?: string | undefined;
  readonly controllerServices?: ControllerServices | undefined;
  /** Services with problems, from a speaker. */
  readonly problemServices?: SpeakerServices | undefined;
  readonly verdicts?: VerdictsAnswer | undefined;
  readonly pools?: PoolsAnswer | undefined;
  readonly configuration?: ConfigurationAnswer | undefined;
  readonly members?: MembersAnswer | undefined;
  readonly peers?: PeersAnswer | undefined;
  readonly bfd?: BfdSessionsAnswer | undefined;
  readonly conflicts?: ConflictsAnswer | undefined;
  readonly handovers?: HandoversAnswer | undefined;
}

/**
 * The answers of all processes, as one model. Rows and tables that say the same as in `before` are the same objects; events are as they
 * were.
 * @param whole the list of all Services of one speaker; the others report problems only
 * @param about the time of the model in ISO 8601; and the Deployment of the controller, where it asks for no Pod
 */
export function buildModel(
  before: Model,
  heard: readonly Heard[],
  whole: Answer<SpeakerServices> | undefined,
  about: About,
): Model {
  const speakers = heard.filter(({ target }) => target.program === "speaker");
  const all = {
    targets: heard.map(({ target }) => target),
    unreachable: unreachableOf(heard.filter(({ pools }) => pools === undefined)),
  };
  const hasLeader = heard.some((one) => answers(one) && one.controllerServices?.leader === true);
  const hasSpeaker = speakers.some((one) => answers(one) && one.pools !== undefined);
  // The last words of a silent process count until another process answers.
  const latest = heard.filter((one) => answers(one) || !(one.target.program === "controller" ? hasLeader : hasSpeaker));
  const pools = mergePools(
    answersOf(latest, (one) => one.pools),
    all,
  );
  const services = mergeServices({
    all,
    unannounced: new Set(pools.filter(({ protocol }) => protocol === "none").map(({ pool }) => pool)),
    controllers: answersOf(latest, (one) => one.controllerServices).filter(({ body }) => body.leader),
    whole: whole === undefined ? [] : [whole],
    problems: answersOf(speakers.filter(answers), (one) => one.problemServices).filter(
      ({ target }) => target.pod !== whole?.target.pod,
    ),
  });
  const kept = keptConnections(speakers.filter(answers));
  return {
    about: before.about,
    services: keepRows(
      before.services,
      services.map((one) => serviceRow(one, kept)),
    ),
    pools: keepRows(before.pools, pools.map(poolRow)),
    occupied: keepRows(before.occupied, occupiedRows(speakers)),
    nodes: keepRows(before.nodes, nodeRows(speakers, services)),
    peers: keepRows(before.peers, speakers.flatMap(peerRows)),
    bfd: keepRows(before.bfd, speakers.flatMap(bfdRows)),
    processes: keepRows(before.processes, heard.map(processRow)),
    causes: keepRows(before.causes, causeRows(before, heard, services, about)),
    events: before.events,
    trends: before.trends,
  };
}

interface About {
  readonly namespace: string;
  readonly now: string;
  readonly missing: MissingPods;
}

/** The causes of all that is not well, as far as processes answer. Processes that have not been asked yet do not count. */
function causeRows(
  before: Model,
  heard: readonly Heard[],
  services: readonly MergedService[],
  { namespace, now, missing }: About,
): CauseRow[] {
  const answering = heard.filter(answers);
  const findings = findingsOf({
    namespace,
    targets: heard.map(({ target }) => target),
    unreachable: unreachableOf(heard),
    configurations: answersOf(answering, (one) => one.configuration),
    verdicts: answersOf(answering, (one) => one.verdicts),
    members: answersOf(answering, (one) => one.members),
    conflicts: answersOf(answering, (one) => one.conflicts),
    services,
    serviceCount: services.length,
    nodes: [], // The API server is not asked for them.
    missing,
    now,
  });
  return findings.map((finding): CauseRow => {
    const { check, where, cause = "", services: [first = ""] = [] } = finding;
    const id = `${check} ${where} ${cause} ${first}`;
    return Object.assign({}, finding, { id, since: finding.since ?? before.causes.get(id)?.since ?? now });
  });
}

/** Processes that do not answer, and MetalLB's, which have no answer of ours. */
function unreachableOf(heard: readonly Heard[]): Unreachable[] {
  return heard.flatMap(({ target, problem, silentSince, configuration }) =>
    problem !== undefined && (silentSince !== undefined || configuration === undefined) ? [{ target, why: problem }] : [],
  );
}

/** Whether what it said last is what it says now. */
function answers({ silentSince }: Heard): boolean {
  return silentSince === undefined;
}

/** MetalLB answers too, and tells nothing. */
function tells(one: Heard): boolean {
  return answers(one) && one.verdicts !== undefined;
}

function answersOf<T>(heard: readonly Heard[], of: (one: Heard) => T | undefined): Answer<T>[] {
  return heard.flatMap((one) => {
    const body = of(one);
    return body === undefined ? [] : [{ target: one.target, body }];
  });
}

function shown({ state, cause, message, since }: VerdictAnswer): RowVerdict {
  return { state, cause, message, since };
}

function serviceRow({ service, addresses, verdict }: MergedService, kept: ReadonlyMap<string, AddressRow["kept"]>): ServiceRow {
  const rows = addresses.map(({ address, pool, protocol, nodes, verdict }): AddressRow => {
    const elsewhere = (kept.get(address) ?? []).filter(({ node }) => !nodes.includes(node));
    return { address, pool, protocol, nodes, kept: elsewhere, verdict: shown(verdict) };
  });
  return { id: service, addresses: rows, verdict: shown(verdict) };
}

/** Address -> nodes that go on with connections to it. */
function keptConnections(speakers: readonly Heard[]): ReadonlyMap<string, AddressRow["kept"]> {
  const all = speakers.flatMap(({ target: { node }, handovers }) =>
    (handovers?.served ?? []).map(({ address, connections }) => ({ address, node, connections })),
  );
  const open = all.filter(({ connections }) => connections !== 0);
  return new Map(
    [...Map.groupBy(open, ({ address }) => address)].map(([address, each]) => [
      address,
      each.map(({ node, connections }) => ({ node, connections })),
    ]),
  );
}

function poolRow({ pool, verdict, ...facts }: PoolAnswer, place: number): PoolRow {
  return { ...facts, id: pool, place, verdict: shown(verdict) };
}

/** All speakers of a network may report the same one; the first in order is shown. */
function occupiedRows(speakers: readonly Heard[]): OccupiedRow[] {
  const rows = new Map<string, OccupiedRow>();
  for (const { conflicts } of speakers)
    for (const { address, mac, node, since } of conflicts?.occupied ?? [])
      if (!rows.has(address)) rows.set(address, { id: address, mac, node, since });
  return [...rows.values()];
}

function nodeRows(speakers: readonly Heard[], services: readonly MergedService[]): NodeRow[] {
  const announces = new Map<string, Set<string>>(); // node -> addresses
  for (const { addresses } of services)
    for (const { address, nodes } of addresses)
      for (const node of nodes) announces.set(node, (announces.get(node) ?? new Set()).add(address));
  const rows = speakers
    .filter(({ target }) => target.node !== "")
    .sort((a, b) => Number(tells(a)) - Number(tells(b))) // Of two of a node the last one counts.
    .map((one): NodeRow => {
      const { node } = one.target;
      const members = answers(one) ? one.members : undefined;
      const { sees, roundTrips } = members === undefined ? noView : viewOf(members, node);
      return {
        id: node,
        verdict: nodeVerdict(one),
        announces: announces.get(node)?.size ?? 0,
        kept: ((answers(one) && one.handovers?.served) || []).reduce((sum, { connections }) => sum + (connections ?? 0), 0),
        source: members?.source,
        timing: members?.timing,
        sees,
        roundTrips,
      };
    });
  return rows.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

type View = Pick<NodeRow, "sees" | "roundTrips">;
const noView: View = { sees: [], roundTrips: {} };
const views = new WeakMap<MembersAnswer, View>(); // Made once for each answer: with 1,000 nodes each has as many members.

function viewOf(answer: MembersAnswer, node: string): View {
  const known = views.get(answer);
  if (known !== undefined) return known;
  const others = answer.members.filter((other) => other.node !== node);
  const roundTrips: Record<string, number> = Object.create(null); // Without a prototype it is a hash table: 1,000 names take 0.4 ms, not 25.
  for (const { node, roundTripMs } of others) if (roundTripMs !== undefined) roundTrips[node] = roundTripMs;
  const view = { sees: others.filter(({ active }) => active).map((other) => other.node), roundTrips };
  views.set(answer, view);
  return view;
}

function nodeVerdict(one: Heard): RowVerdict {
  const [first, ...rest] = (one.verdicts?.verdicts ?? []).filter(({ kind }) => kind === "node");
  return first !== undefined && answers(one) ? shown(worst([first, ...rest])) : noAnswer(one);
}

function noAnswer({ target, problem, silentSince }: Heard): RowVerdict {
  const message = problem === undefined ? `${target.pod} has not been asked yet` : `${target.pod} does not answer: ${problem}`;
  return { state: "Pending", cause: "noAnswer", message, since: silentSince ?? "" };
}

/** While its speaker does not answer, a peer keeps its row. */
function peerRows(one: Heard): PeerRow[] {
  const rows = peerRowsAsSaid(one);
  return answers(one) ? rows : rows.map((row) => Object.assign({}, row, { session: "none", verdict: noAnswer(one) }));
}

function peerRowsAsSaid({ target: { node }, verdicts, peers }: Heard): PeerRow[] {
  const described = new Map((peers ?? []).map((one) => [one.peer, one]));
  const ofPeers = (verdicts?.verdicts ?? []).filter(({ kind }) => kind === "peer");
  return ofPeers.map((one): PeerRow => {
    const { name, state = "none", prefixesWanted = 0, prefixesAnnounced = 0, flaps = 0 } = described.get(one.name) ?? {};
    return {
      id: `${one.name} ${node}`,
      peer: one.name,
      node,
      name,
      verdict: shown(one),
      session: state,
      prefixesWanted,
      prefixesAnnounced,
      flaps,
    };
  });
}

function bfdRows(heard: Heard): BfdRow[] {
  const { node } = heard.target;
  return (heard.bfd ?? []).map((one): BfdRow => {
    const { peer, interface: name, profile, session } = one;
    const id = `${node} ${peer} ${name ?? ""} ${one.local ?? ""}`;
    const times = { detectionMs: session?.detectionMs, roundTripMs: session?.echoRoundTripMs };
    const { message, since } = noAnswer(heard);
    const { verdict, ...why } = answers(heard) ? one : { verdict: "unknown", reason: message, since };
    return { id, node, peer, interface: name, profile, verdict, reason: why.reason, since: why.since, ...times };
  });
}

function processRow({ target, problem, silentSince, verdicts, configuration }: Heard): ProcessRow {
  return {
    id: target.pod,
    program: target.program,
    node: target.node,
    version: configuration?.version ?? verdicts?.version ?? "",
    leads: configuration?.leader === true,
    hash: configuration?.hash ?? null,
    configuration: configuration && shown(configuration.verdict),
    problem: target.notRunning ?? problem,
    silentSince,
  };
}
