import { list } from "#pkg/text";
import { type BriefVerdict, byEach, type CauseOf, isProblem, type VerdictAnswer, verdict, worst } from "#pkg/verdict";
import type { ControllerServices, PlacedAddress, PoolAnswer, PoolsAnswer, SpeakerServices } from "./answers.ts";
import { type Answer, isOtherVersion, isWithoutSpeakers, type Processes, type Unreachable } from "./processes.ts";

/** One address of a Service by one protocol, by all that were asked. */
export interface MergedAddress<V extends BriefVerdict = VerdictAnswer> {
  readonly address: string;
  readonly pool: string | null;
  readonly protocol: string | null;
  /** Nodes that announce it. */
  readonly nodes: readonly string[];
  readonly verdict: V;
}

export interface MergedService<V extends BriefVerdict = VerdictAnswer> {
  readonly service: string;
  readonly addresses: readonly MergedAddress<V>[];
  readonly verdict: V;
  /** The controller's problem with the Service, where the verdict is a worse one. */
  readonly also?: V;
}

/** All processes, whether they answer or not. */
export type All = Pick<Processes, "targets" | "isNodeLocal">;

export interface ServiceAnswers<V extends BriefVerdict = VerdictAnswer> {
  readonly all: All;
  /** Where no speaker runs: pools that none is to announce. */
  readonly unannounced?: ReadonlySet<string>;
  readonly controllers: readonly Answer<ControllerServices<V>>[];
  /** Everything that they know. */
  readonly whole: readonly Answer<SpeakerServices<V>>[];
  /** Their problems alone: what they leave out is well there, unless they are starting. */
  readonly problems: readonly Answer<SpeakerServices<V>>[];
}

interface Said<V extends BriefVerdict> extends PlacedAddress<V> {
  readonly by: string; // node
}

/** Statements of speakers on one Service. */
interface SaidOfService<V extends BriefVerdict> {
  readonly addresses: Map<string, Said<V>[]>; // address -> what each says
  readonly nodes: Set<string>; // who lists it
  without: V | undefined; // why it has no address
}

/**
 * One verdict on each Service. A refusal by the controller comes first: nobody announces a Service without an address. For an address by
 * layer 2 or on a NIC its owner's word counts, else that of any node which announces it, unless another node should announce it and does
 * not. Where no speaker runs, an address is announced by nobody, whatever speakers said before. Sorted by key.
 */
export function mergeServices<V extends BriefVerdict>(answers: ServiceAnswers<V>): MergedService<V>[] {
  if (!isWithoutSpeakers(answers.all)) return mergeSaid(answers);
  const { unannounced = new Set() } = answers;
  const isForSpeakers = (one: MergedService<V>) => one.addresses.some(({ pool }) => pool === null || !unannounced.has(pool));
  return mergeSaid({ ...answers, whole: [], problems: [] }).map((one) => (isForSpeakers(one) ? withoutSpeakers(one) : one));
}

/** Nobody knows since when there is no speaker. */
function withoutSpeakers<V extends BriefVerdict>(one: MergedService<V>): MergedService<V> {
  const message = "it has an address, and no speaker runs that could announce it";
  const judged = (said: V): V =>
    said.state === "Assigned" || said.state === "Degraded"
      ? { ...said, ...verdict("service", "noActiveSpeaker", { message }), since: "" }
      : said;
  const addresses = one.addresses.map((address) => ({ ...address, verdict: judged(address.verdict) }));
  const said = judged(one.verdict);
  return { ...one, addresses, verdict: said, ...(one.verdict.state === "Degraded" && { also: one.verdict }) };
}

function mergeSaid<V extends BriefVerdict>({ all: asked, controllers, whole, problems }: ServiceAnswers<V>): MergedService<V>[] {
  const ofController = new Map(controllers.flatMap(({ body }) => body.services.map((one) => [one.service, one])));
  const said = new Map<string, SaidOfService<V>>();
  const outdated = new Set([...whole, ...problems].flatMap(({ body }) => (body.apiViewOld === true ? body.node : [])));
  // Its Services without an address may be gone, or have one by now. The controller knows them if they are there.
  const isPast = (node: string) => controllers.length > 0 && outdated.has(node);
  for (const { body } of [...whole, ...problems])
    for (const { service, addresses, verdict } of body.services) {
      const known = said.get(service) ?? {
        addresses: new Map<string, Said<V>[]>(),
        nodes: new Set<string>(),
        without: undefined,
      };
      said.set(service, known);
      known.nodes.add(body.node);
      if (addresses.length === 0 && !isPast(body.node)) known.without = verdict;
      for (const one of addresses)
        known.addresses.set(one.address, [...(known.addresses.get(one.address) ?? []), { ...one, by: body.node }]);
    }
  const quiet = problems.filter((one) => !isStarting(one)).map(({ body }) => body.node);
  for (const { body } of whole) for (const service of body.well ?? []) addWell(body.node, said.get(service));
  const names = wellByName({ controllers, whole });
  const keys = new Set([...ofController.keys(), ...said.keys()]);
  return [...keys].sort().flatMap((service) => {
    const decided = ofController.get(service);
    const known = said.get(service);
    const well = quiet.filter((node) => known?.nodes.has(node) !== true);
    const addresses = [...(known?.addresses.values() ?? [])].flatMap((all) => {
      const merge = (those: readonly Said<V>[]) => mergeAddress(those, well, outdated, asked.isNodeLocal);
      const each = byProtocol(all).map((those) => withoutOutdated(merge(those), those, outdated));
      const verdicts = byEach(each.map((one) => one.verdict));
      return each.map((one, index) => ({ ...one, verdict: verdicts[index] ?? one.verdict }));
    });
    // A speaker has not seen its address, or its end.
    if (decided === undefined && addresses.length === 0 && (names.has(service) || known?.without === undefined)) return [];
    const verdict = mergeVerdict(decided?.verdict, addresses, known?.without);
    const isHidden = decided !== undefined && isProblem(decided.verdict) && decided.verdict !== verdict;
    return {
      service,
      addresses: addresses.length > 0 ? addresses : unplaced(decided),
      verdict,
      ...(isHidden && { also: decided.verdict }),
    };
  });
}

/** A node that names a Service alone finds all its addresses well: these are the ones that other nodes list. */
function addWell<V extends BriefVerdict>(node: string, known: SaidOfService<V> | undefined): void {
  known?.nodes.add(node);
  for (const all of known?.addresses.values() ?? [])
    for (const one of new Map(all.map((each) => [each.protocol, each])).values()) {
      const announced = isByAnyNode(one) || one.owner === node;
      const found = { ...one.verdict, ...verdict("service", announced ? "announced" : "notOwner") };
      all.push({ ...one, announced, verdict: found, by: node });
    }
}

/** Services that some process lists by their names alone: service -> state. */
export function wellByName<V extends BriefVerdict>({
  controllers,
  whole,
}: Pick<ServiceAnswers<V>, "controllers" | "whole">): Map<string, V["state"]> {
  const of = (answers: readonly { readonly body: { readonly well?: readonly string[] } }[], state: V["state"]) =>
    answers.flatMap(({ body: { well = [] } }) => well.map((service) => [service, state] as const));
  return new Map([...of(controllers, "Assigned"), ...of(whole, "Announced")]);
}

/**
 * Whether one speaker finds nothing wrong with a Service of which the other sees no owner. The other may be cut off, so that its statement
 * about who announces an address is false.
 */
export function knowsMore<V extends BriefVerdict>(
  other: Answer<SpeakerServices<V>>,
  { body: { services: whole } }: Answer<SpeakerServices<V>>,
): boolean {
  if (isStarting(other)) return false;
  const problems = other.body.services;
  const listed = new Set(problems.map(({ service }) => service));
  const isLost = (one: PlacedAddress<V>) => !isByAnyNode(one) && one.owner === null && one.verdict.state === "Pending";
  return whole.some(({ service, addresses }) => !listed.has(service) && addresses.some(isLost));
}

/** Whether a speaker announces nothing yet, and may know of no Service: that it says nothing of one means nothing. */
export function isStarting({ body: { missing = [] } }: Answer<SpeakerServices<BriefVerdict>>): boolean {
  return missing.length > 0;
}

/** Speakers go by a status that somebody else wrote: what they say of it follows from that. */
const causeOfForeign: CauseOf<"service"> = "statusOverwritten";

function mergeVerdict<V extends BriefVerdict>(
  decided: V | undefined,
  addresses: readonly MergedAddress<V>[],
  without: V | undefined,
): V {
  const [first, ...rest] = addresses.map((one) => one.verdict);
  if (decided !== undefined && (decided.state === "Pending" || decided.state === "NotOurs" || first === undefined))
    return decided;
  const announced = first === undefined ? without : worst([first, ...rest]);
  if (announced === undefined) return decided as V; // One of the two has it.
  if (decided?.cause === causeOfForeign) return decided;
  return decided !== undefined && isProblem(decided) ? worst([decided, announced]) : announced;
}

/** Addresses that only the controller knows. */
function unplaced<V extends BriefVerdict>(decided: ControllerServices<V>["services"][number] | undefined): MergedAddress<V>[] {
  if (decided === undefined) return [];
  return decided.addresses.map((address) => ({
    address,
    pool: decided.pool,
    protocol: null,
    nodes: [],
    verdict: decided.verdict,
  }));
}

/** Statements about one address, for each protocol by which it is announced; a speaker that has not placed it yet knows no protocol. */
function byProtocol<V extends BriefVerdict>(all: readonly Said<V>[]): readonly (readonly Said<V>[])[] {
  const [first = null, ...others] = new Set(all.flatMap(({ protocol }) => protocol ?? []));
  const isFirst = (one: Said<V>) => one.protocol === null || one.protocol === first;
  return [all.filter(isFirst), ...others.map((protocol) => all.filter((one) => one.protocol === protocol))];
}

/**
 * @param well nodes where nothing is wrong with the Service
 * @param outdated nodes that announce what they knew before they lost the API
 * @param isNodeLocal other nodes may announce what this one leaves to them
 */
function mergeAddress<V extends BriefVerdict>(
  all: readonly Said<V>[],
  well: readonly string[],
  outdated: ReadonlySet<string>,
  isNodeLocal = false,
): MergedAddress<V> {
  const sure = all.filter((one) => (well.length > 0 ? one.verdict.cause !== undecided : !isHearsay(one, outdated)));
  const first =
    all.find(({ owner, by }) => owner === by) ??
    (sure.length > 0 ? sure : all).reduce((one, other) => (rank(other) < rank(one) ? other : one));
  // The one that is to announce it for others knows better: it may have lost the API.
  const denied = all.find(({ by, verdict }) => by === first.owner && verdict.state === "Pending");
  const best = denied ?? first;
  const { address, pool, protocol, owner } = best;
  if (!isByAnyNode(best)) {
    const nodes = owner === null || best.verdict.state === "Pending" ? [] : [owner];
    // Nothing is wrong with it at its owner: it announces the address.
    const isOwners = owner !== null && best.verdict.cause === "notOwner" && well.includes(owner);
    const said = isOwners ? { ...best.verdict, cause: "announced" } : best.verdict;
    // The owner cannot know the findings of another node on the wire.
    const onWire = all.find((one) => one.by !== owner && one.owner === owner && one.verdict.state === "Degraded");
    return { address, pool, protocol, nodes, verdict: isProblem(said) ? said : (onWire?.verdict ?? said) };
  }
  const announcing = all.filter(({ announced, verdict: { state } }) => announced && state !== "Pending").map(({ by }) => by);
  const nodes = [...announcing, ...well].sort();
  const merged = { address, pool, protocol, nodes };
  if (nodes.length === 0) return { ...merged, verdict: isNodeLocal ? best.verdict : nobodysVerdict(best, all) };
  const served =
    protocol === "bgp"
      ? `${nodes.length === 1 ? "1 node announces" : `${nodes.length} nodes announce`} ${address} of pool ${pool} by BGP`
      : `${nodes.length === 1 ? "1 node has" : `${nodes.length} nodes have`} ${address} of pool ${pool} in the kernel`;
  const [worstOff, ...others] = all.filter(isTroubled).sort((a, b) => rank(b) - rank(a));
  const isElsewhere = others.length > 0 || nodes.some((node) => node !== worstOff?.by);
  if (worstOff !== undefined && isElsewhere) return { ...merged, verdict: troubledVerdict(served, worstOff, others) };
  if (!isProblem(best.verdict) || announcing.includes(best.by)) return { ...merged, verdict: best.verdict };
  return { ...merged, verdict: { ...best.verdict, ...verdict("service", "announced", { message: served }) } };
}

/** Causes that hold for each node: one that does not know of them announces the address in vain. */
const ofEachNode: ReadonlySet<string> = new Set<CauseOf<"service">>(["noReadyEndpoint", "notAdvertised", "ipNotAllowed"]);

/** The address as nodes that reach the API see it, where all nodes that announce it have an old view of the API. */
function withoutOutdated<V extends BriefVerdict>(
  merged: MergedAddress<V>,
  all: readonly Said<V>[],
  outdated: ReadonlySet<string>,
): MergedAddress<V> {
  const { nodes } = merged;
  const current = all.find((one) => !outdated.has(one.by) && ofEachNode.has(one.verdict.cause))?.verdict;
  if (current === undefined || nodes.length === 0 || !nodes.every((node) => outdated.has(node))) return merged;
  const degraded = { ...current, state: "Degraded" } as const;
  if (!isWhole(current)) return { ...merged, verdict: degraded };
  const message = `${current.message}; only ${list(nodes)}, whose view of the API is old, ${nodes.length === 1 ? "announces" : "announce"} it`;
  return { ...merged, verdict: { ...degraded, message } };
}

/** The verdict on an address that each node announces for itself, and none does. */
function nobodysVerdict<V extends BriefVerdict>({ address, verdict: said }: Said<V>, all: readonly Said<V>[]): V {
  const ofEach: CauseOf<"service"> = "noReadyEndpointOnNode";
  if (!all.every((one) => one.verdict.cause === ofEach)) return said;
  const message = `no node whose speaker answers has a ready endpoint, as externalTrafficPolicy Local asks for: none announces ${address}`;
  return { ...said, ...verdict("service", "noReadyEndpointOnActiveNode", { message }) };
}

/**
 * Causes that keep a node from announcing an address that it should announce. Other nodes need not announce it: they lack an endpoint, a
 * peer or a label.
 */
const troubles: ReadonlySet<string> = new Set<CauseOf<"service">>([
  "noSession",
  "someSessionsDown",
  "routeNotCarried",
  "notInKernel",
]);

/** Causes for which a node leaves to others what each announces for itself: where none of these has it either, they know why. */
const notMeant: ReadonlySet<string> = new Set<CauseOf<"service">>(["nodeExcluded", "noActiveSpeaker", "apiViewOld"]);
const notHere: CauseOf<"service"> = "noReadyEndpointOnNode";
/** Causes of an address with an owner that a node gives which sees too few others: these know more. */
const notSeen: ReadonlySet<string> = new Set<CauseOf<"service">>(["noActiveSpeaker", "noReadyEndpointOnActiveNode"]);

function isTroubled({ verdict: { cause } }: Said<BriefVerdict>): boolean {
  return troubles.has(cause);
}

/** The address is announced, and not, or not to all routers, by these nodes. */
function troubledVerdict<V extends BriefVerdict>(served: string, { by, verdict }: Said<V>, others: readonly Said<V>[]): V {
  const degraded = { ...verdict, state: "Degraded" } as const;
  if (!isWhole(verdict)) return degraded;
  const where = list([by, ...others.map((other) => other.by)]);
  const message = `${served}, but not all is well on ${where}: ${verdict.message}`;
  const facts = others.flatMap((other) =>
    isWhole(other.verdict) ? [{ name: other.by, value: other.verdict.message, source: "speaker" }] : [],
  );
  return { ...degraded, message, evidence: [...verdict.evidence, ...facts.slice(0, maxFacts)] };
}

const maxFacts = 8; // Limit of nodes: more tell people nothing.

function isWhole(verdict: BriefVerdict): verdict is VerdictAnswer {
  return "message" in verdict;
}

/** Announced by each node that serves it, and not by an owner alone. */
function isByAnyNode({ protocol, owner }: PlacedAddress<BriefVerdict>): boolean {
  return protocol === "bgp" || (protocol === "interface" && owner === null);
}

/** Statements that say most come first: of nodes that fail to announce an address, then of nodes without a peer, then of nodes that leave it to others. */
function rank(said: Said<BriefVerdict>): number {
  const { state, cause } = said.verdict;
  if (state === "Announced") return 0;
  if (cause === notHere) return 5;
  if ((isByAnyNode(said) ? notMeant : notSeen).has(cause)) return 4; // Degraded where another protocol announces the address.
  if (cause === peerless) return 3;
  if (state === "Degraded") return 1;
  return isTroubled(said) ? 2 : 3;
}

const peerless: CauseOf<"service"> = "noPeer";
const elsewhere: CauseOf<"service"> = "notOwner";
const undecided: CauseOf<"service"> = "notPlaced";

/** Some node announces the address, as it was when this one lost the API. */
function isHearsay({ by, owner, verdict: { cause } }: Said<BriefVerdict>, outdated: ReadonlySet<string>): boolean {
  return outdated.has(by) && owner === null && cause === elsewhere;
}

/**
 * One verdict on each pool, the worst of what controller and speakers say. In the order of the configuration. The controller alone says how
 * full a pool is: where no speaker runs, or none answers, no pool that they are to announce is available.
 */
export function mergePools(
  answers: readonly Answer<PoolsAnswer>[],
  all: All & { readonly unreachable: readonly Unreachable[] },
): PoolAnswer[] {
  const silent = new Map(all.unreachable.map(({ target, why }) => [target.pod, !isOtherVersion(why)]));
  const speakers = all.targets.filter(({ program }) => program === "speaker");
  const areSilent = speakers.length > 0 && speakers.every(({ pod }) => silent.get(pod) === true);
  const why = isWithoutSpeakers(all) ? "no speaker runs" : areSilent ? "no speaker answers" : undefined;
  const said = why === undefined ? answers : answers.filter(({ target }) => target.program === "controller");
  return mergeSaidOfPools(said).map((one) => {
    if (why === undefined || one.verdict.cause !== "available" || one.protocol === "none") return one;
    const message = `${why} that could announce pool ${one.pool}`;
    const found = verdict("pool", "noActiveSpeaker", { message, evidence: one.verdict.evidence });
    return { ...one, verdict: { ...found, since: "" } };
  });
}

function mergeSaidOfPools(answers: readonly Answer<PoolsAnswer>[]): PoolAnswer[] {
  const byName = new Map<string, PoolAnswer[]>();
  // The controller's come first, in the order of the configuration.
  const ordered = answers.toSorted((a, b) => a.target.program.localeCompare(b.target.program));
  for (const { body } of ordered) for (const one of body.pools) byName.set(one.pool, [...(byName.get(one.pool) ?? []), one]);
  return [...byName].flatMap(([pool, all]): PoolAnswer[] => {
    const [first, ...rest] = all;
    if (first === undefined) return [];
    const worstOfAll = worst([first.verdict, ...rest.map((one) => one.verdict), ...nobody(pool, ordered)]);
    // A node that is cut off sees nobody else who could announce the pool.
    const isSomewhere = worstOfAll.state === "Pending" && isAvailableTo(pool, ordered);
    const verdict = isSomewhere ? { ...worstOfAll, state: "Degraded" as const } : worstOfAll;
    const merged = { ...(all.find((one) => one.total !== undefined) ?? first), verdict };
    const slots = all.some((one) => one.slots !== undefined) && all.flatMap((one) => one.slots ?? []);
    return [
      slots === false
        ? merged
        : { ...merged, slots: slots.toSorted((a, b) => a.address.localeCompare(b.address, "en", { numeric: true })) },
    ];
  });
}

function isAvailableTo(pool: string, answers: readonly Answer<PoolsAnswer>[]): boolean {
  const speakers = answers.filter(({ target }) => target.program === "speaker");
  return speakers.some(({ body }) => body.pools.some((one) => one.pool === pool && one.verdict.state === "Ready"));
}

/** By BGP each node speaks for itself, and may have nothing to do with a pool; where that is so of all that answer, nobody announces it. */
function nobody(pool: string, answers: readonly Answer<PoolsAnswer>[]): VerdictAnswer[] {
  const speakers = answers.filter(({ target }) => target.program === "speaker");
  const verdicts = speakers.flatMap(({ body }) => body.pools.find((one) => one.pool === pool)?.verdict ?? []);
  const [first] = verdicts;
  const isNobodys = verdicts.every(({ state, cause }) => state === "NotOurs" && cause !== "protocolNone");
  return first === undefined || !isNobodys ? [] : [{ ...first, state: "Pending" }];
}
