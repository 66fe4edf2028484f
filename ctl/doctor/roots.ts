import { parseAddress, parsePrefix } from "#pkg/net";
import { counted, list } from "#pkg/text";
import { type CauseOf, isProblem, remedyFor, type VerdictAnswer, type VerdictEntry } from "#pkg/verdict";
import { titleOf } from "../cluster/answers.ts";
import type { MergedService } from "../cluster/merge.ts";
import type { Examined } from "./examine.ts";
import type { CheckName, Finding } from "./finding.ts";

type Kind = VerdictEntry["kind"];

/** A statement of a speaker on a pool or a peer; without a kind on its node. */
interface Said {
  readonly kind?: Kind;
  readonly name?: string;
  readonly cause: string;
  readonly evidence: VerdictAnswer["evidence"];
}

export function isNicDown({ kind = "node", cause }: Said): boolean {
  return kind === "node" && cause === nicDown;
}

const nicDown: CauseOf<"node"> = "noCarrier";
const waiting: CauseOf<"node"> = "waiting";
/** A process that waits has no configuration in force either. */
export const undecided: CauseOf<"configuration"> = "undecided";

/** Statements of one speaker. A NIC that is down is one cause, and so is a speaker that waits, without their consequences. */
export function withoutConsequences<S extends Said>(all: readonly S[]): S[] {
  const down = all.filter(isNicDown);
  const isWaiting = all.some(({ kind = "node", cause }) => kind === "node" && cause === waiting);
  return all.filter((one) => {
    if (isWaiting && one.kind === "configuration" && one.cause === undecided) return false;
    return isNicDown(one) || !down.some((nic) => followsFromNic(one, nic));
  });
}

/** Whether the cause concerns the ring, pools on the LAN, or a router in the NIC's subnet or on its link. */
function followsFromNic({ kind = "node", name = "", cause }: Said, { evidence }: Said): boolean {
  if (kind === "pool") return cause === "noInterface" || cause === "noActiveSpeaker";
  if (kind === "node") return ["waiting", "ringPacketsLost", "apiViewOld", "apiUnreachable"].includes(cause);
  if (kind !== "peer" || !lostWithNic.includes(cause)) return false;
  const words = name.split(/[^\w.:-]+/).map((word) => word.replace(/^([\d.]+):\d+$/, "$1")); // Such as [fe80::1%eth0]:179.
  const addresses = words.flatMap((word) => parseAddress(word) ?? []);
  return evidence.some(({ name: of, value }) => {
    if (of === "interface") return words.includes(value);
    const subnet = of === "subnet" ? parsePrefix(value) : undefined;
    return subnet !== undefined && addresses.some((address) => subnet.contains(address));
  });
}

const lostWithNic: readonly string[] = [
  "connecting",
  "waitsForSource",
  "waitsForRouter",
  "waitsForBfd",
  "holdTimerExpired",
  "sendHoldTimerExpired",
  "connectTimeout",
  "routerUnreachable",
  "connectionLost",
  "bfdFailed",
] satisfies CauseOf<"peer">[];

/** Statements with one cause: of several processes on one pool or peer, on several nodes, or on several Services. */
interface Group {
  readonly kind: Kind;
  readonly verdict: VerdictAnswer;
  /** Names of the pools, peers, nodes or Services. */
  readonly names: Set<string>;
  /** The first name, for people. */
  readonly title: string;
  /** Nodes whose speakers say it. */
  readonly by: Set<string>;
  readonly messages: Set<string>;
  /** Since when each of them is so. */
  readonly since: Set<string>;
  /** Of kind `service`: the members. */
  readonly services: MergedService[];
}

/** Problems that processes report themselves, one finding for each root cause, with the Services that do not work because of it. */
export function verdictFindings({ verdicts, services, targets }: Pick<Examined, "verdicts" | "services" | "targets">): Finding[] {
  const reported = verdicts.flatMap(({ target, body }) =>
    body.verdicts.filter(isProblem).map((entry) => ({ entry, node: target.program === "speaker" ? target.node : "" })),
  );
  const troubled = services.flatMap(problemsOf);
  const names = new Set([
    ...targets.map(({ node }) => node),
    ...troubled.flatMap(({ service, addresses }) => [service, ...addresses.map(({ address }) => address)]),
  ]);
  const groups = new Map<string, Group>();
  const add = (key: string, one: Pick<Group, "kind" | "title" | "verdict">, name: string): Group => {
    const known = groups.get(key) ?? {
      ...one,
      names: new Set(),
      by: new Set(),
      messages: new Set(),
      since: new Set(),
      services: [],
    };
    groups.set(key, known);
    known.names.add(name);
    known.messages.add(one.verdict.message);
    known.since.add(one.verdict.since);
    return known;
  };
  for (const { entry, node } of reported) {
    const { kind, name, cause, message, evidence } = entry;
    const of = kind === "pool" || kind === "peer" ? name : "";
    // Each node has addresses of its own.
    const addresses = evidence.flatMap((fact) => (fact.name === "addresses" ? fact.value.split(/[\s,]+/) : []));
    const said = message.replace(/ \(from [^()]*\)/, ""); // Each node connects from an address of its own.
    const text = plain(said, new Set([...names, ...addresses])).replaceAll(/\u2026(?:, \u2026)*(?:, and \u2026 more)?/g, "…");
    add([kind, of, cause, text].join("\n"), { kind, title: titleOf(entry), verdict: entry }, name).by.add(node);
  }
  joinConnecting(groups);
  const roots = [...groups.values()];
  const affected = new Map<Group, MergedService[]>();
  for (const one of troubled) {
    const root = roots.find((group) => follows(one, group));
    if (root !== undefined) affected.set(root, [...(affected.get(root) ?? []), one]);
    else {
      const { verdict, service } = one;
      const key = ["service", verdict.cause, poolsOf(one).join(), plain(verdict.message, names)].join("\n");
      add(key, { kind: "service", title: service, verdict }, service).services.push(one);
    }
  }
  return fewer([...groups.values()]).map((group) => findingOf(group, affected.get(group) ?? []));
}

/** The Service once for each of its causes: addresses may have one each, and the controller another one. */
function problemsOf(one: MergedService): MergedService[] {
  const all = [one.verdict, ...one.addresses.map(({ verdict }) => verdict), ...(one.also === undefined ? [] : [one.also])];
  const byCause = Map.groupBy(all.filter(isProblem), ({ cause }) => cause);
  return [...byCause.values()].flatMap(([verdict = one.verdict]) => ({ ...one, verdict }));
}

/** A speaker that tries a session again gives no reason for a moment: another speaker's reason for the same router is taken for it. */
function joinConnecting(groups: Map<string, Group>): void {
  for (const [key, { kind, verdict, title, by, since }] of groups) {
    if (kind !== "peer" || verdict.cause !== "connecting") continue;
    const isSame = (one: Group) => one.kind === kind && one.title === title && one.verdict.state === "Pending";
    const other = [...groups.values()].find((one) => isSame(one) && one.verdict.cause !== "connecting");
    if (other === undefined) continue;
    for (const node of by) other.by.add(node);
    for (const one of since) other.since.add(one);
    groups.delete(key);
  }
}

const maxAlike = 8;

/** Groups of Services with one cause, of which there are too many to be read, are one: texts of others stand in some messages. */
function fewer(groups: readonly Group[]): Group[] {
  const isService = ({ kind }: Group) => kind === "service";
  const byCause = Map.groupBy(groups.filter(isService), ({ verdict }) => verdict.cause);
  return [
    ...groups.filter((group) => !isService(group)),
    ...[...byCause.values()].flatMap((alike) => {
      const [first] = alike;
      if (first === undefined || alike.length <= maxAlike) return alike;
      const names = new Set(alike.flatMap((each) => [...each.names]));
      const messages = new Set(alike.flatMap((each) => [...each.messages]));
      const since = new Set(alike.flatMap((each) => [...each.since]));
      return [{ ...first, names, messages, since, services: alike.flatMap((each) => each.services) }];
    }),
  ];
}

/** The message without what differs from case to case: names of nodes, Services and their addresses, and numbers. */
function plain(message: string, names: ReadonlySet<string>): string {
  return message.replaceAll(/[\p{L}\d_][\p{L}\d_.:/-]*/gu, (text) => {
    const word = text.replace(/[.:]+$/, "");
    return names.has(word) || /^\d+$/.test(word) ? "…" : word;
  });
}

type ServiceCause = CauseOf<"service">;

/** Causes of Services that follow from a problem of a pool with the given cause. */
const followsFromPool: Readonly<Partial<Record<CauseOf<"pool">, readonly ServiceCause[]>>> = {
  full: ["poolFull", "noPoolFits"],
  ipamFailing: ["awaitsIpam"],
  noActiveSpeaker: ["noActiveSpeaker"],
  noNodeSelected: ["noNodeSelected"],
  nodeExcluded: ["nodeExcluded"],
  noInterface: ["noInterface"],
  noPeer: ["noPeer"],
  noKernelAccess: ["noKernelAccess", "notInKernel"],
};
const followsFromPeer: readonly string[] = ["noSession", "someSessionsDown", "routeNotCarried"] satisfies ServiceCause[];
const followsFromConfiguration: readonly string[] = ["noConfiguration", "noPools"] satisfies ServiceCause[];

/** Whether the Service is not well because of this problem. */
function follows(one: MergedService, { kind, verdict: { cause, evidence }, names, title }: Group): boolean {
  const { verdict } = one;
  const [name = ""] = names;
  switch (kind) {
    case "pool":
      return (
        followsFromPool[cause as CauseOf<"pool">]?.some((code) => code === verdict.cause) === true && poolsOf(one).includes(name)
      );
    case "peer": {
      if (!followsFromPeer.includes(verdict.cause)) return false;
      const said = [verdict.message, ...verdict.evidence.flatMap(({ name: of, value }) => [of, value])]
        .join(" ")
        .split(/[\s,;()]+/);
      return said.includes(name) || said.includes(title);
    }
    case "configuration":
      return followsFromConfiguration.includes(verdict.cause);
    case "node":
      return (
        cause === nicDown &&
        followsFromPool.noInterface?.some((code) => code === verdict.cause) === true &&
        evidence.some(({ name: of, value }) => of === "pool" && poolsOf(one).includes(value))
      );
    default:
      return false;
  }
}

/** The pools of its addresses, or those that the reason names why it has none. */
function poolsOf({ addresses, verdict }: MergedService): string[] {
  const named = verdict.evidence.flatMap(({ name, value }) => (name === "pool" ? [/"([^"]+)"/.exec(value)?.[1] ?? value] : []));
  return [...new Set([...addresses.flatMap(({ pool }) => pool ?? []), ...named])];
}

const checks: Readonly<Record<Kind, CheckName>> = {
  configuration: "configuration",
  node: "nodes",
  peer: "peers",
  pool: "pools",
  service: "Services",
  address: "Services",
};

/** Causes that a test on the wire finds. */
const onTheWire: readonly string[] = [
  "notAnswered",
  "answeredByTwo",
  "answeredByAnother",
  "notConnected",
] satisfies ServiceCause[];

function findingOf(group: Group, affected: readonly MergedService[]): Finding {
  const { kind, verdict, names, messages, since } = group;
  const [name = ""] = names;
  const own = kind === "service" ? [...names] : [...new Set(affected.map(({ service }) => service))];
  const isError = verdict.state === "Pending" || affected.some((one) => one.verdict.state === "Pending");
  const isFirst = messages.size > 1 && names.size > 1;
  return {
    check: onTheWire.includes(verdict.cause) && kind === "service" ? "self-test" : checks[kind],
    severity: isError ? "error" : "warning",
    where: whereOf(group),
    found: `${verdict.message} (${verdict.cause}${isFirst ? "; of the first one" : ""})`,
    fix: kind === "peer" ? remedyFor(verdict, "node", [...group.by][0] ?? "") : remedyFor(verdict, kind, name),
    services: own,
    cause: verdict.cause,
    subject: kind === "configuration" ? "config" : `${kind === "service" ? "svc" : kind}/${name}`,
    since: [...since].sort()[0] ?? "",
  };
}

function whereOf({ kind, names, title, by }: Group): string {
  switch (kind) {
    case "configuration":
      return kind;
    case "peer":
      return `peer ${title}${by.size === 1 ? ` of ${list([...by])}` : `, seen by ${counted(by.size, "node")}: ${list([...by].sort())}`}`;
    case "service":
      return `Service ${list([...names])}`;
    default:
      return `${kind} ${list([...names])}`;
  }
}
