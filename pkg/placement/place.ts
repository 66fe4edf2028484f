import type { Protocol } from "#pkg/config";
import type { Address, Prefix } from "#pkg/net";
import type { NodeEndpoints } from "#pkg/service";
import { type Election, elect, electFor, inheritOwner } from "./election.ts";
import { eligibleFor, isInSubnet, mostPreferred, type PoolNodes, without } from "./eligibility.ts";
import { ableAmong, type ReportedAnnouncers, unableFor } from "./views.ts";

/** A Service that has the address in its status. */
export interface Holder {
  /** `namespace/name`. */
  readonly service: string;
  /** The one of its addresses that this one goes with on layer 2: see `PoolIndex.goesWith`. */
  readonly goesWith: Address;
  /** Whether it may hold this address beside its others. */
  readonly isAllowed: boolean;
  /** Absent: yes. Otherwise no entry of the pool's `layer2-advertisements` is for it. */
  readonly isAdvertised?: boolean;
  /** When it was made, in seconds since 1970. */
  readonly created: number;
  /** The Pods that decide where the address is announced: see `backendKeyOf`. */
  readonly backendKey: string;
  readonly externalTrafficPolicy: "Cluster" | "Local";
  readonly endpoints: readonly NodeEndpoints[];
}

/** Why a Service's address is not announced by anyone, or not for this Service. */
export type NotAnnounced =
  /**
   * The address is in no pool of the configuration in force, or not in that of the Service's first one, which does not ask for several, or an
   * older Service on it has other backends.
   */
  | "ipNotAllowed"
  | "noReadyEndpoint"
  /** `externalTrafficPolicy: Local`, and no node has both a ready endpoint and an active speaker. */
  | "noReadyEndpointOnActiveNode"
  | "noActiveSpeaker"
  /** The pool's node selectors match no node that has an active speaker and, under `Local`, a ready endpoint. */
  | "noNodeSelected"
  /** They match some, and each of these is excluded from load balancers by its label. */
  | "nodeExcluded"
  /** No node that may announce the pool has an interface for it that can answer and has a carrier. */
  | "noInterface"
  /** Some have, and the speakers of these may not put addresses on NICs, as the pool asks for. */
  | "noKernelAccess"
  /** Some may, and none of these has the address in a subnet, as the pool asks for. */
  | "notInSubnet"
  /** It shares the address, and the node that announces it has none of this Service's endpoints (`Local`). */
  | "noReadyEndpointOnOwner"
  /** Too many Services that share the address come before this one. */
  | "sharedByTooMany"
  /** With protocol `bgp`: this node has no ready endpoint, and `externalTrafficPolicy` is `Local`. */
  | "noReadyEndpointOnNode"
  /** On layer 2 or by BGP the selectors of all the pool's advertisements leave out the oldest Service on the address. */
  | "notAdvertised"
  /** With protocol `bgp`: no advertisement of this node for the pool has a peer. */
  | "noPeer"
  /** By a central speaker: no node that may have traffic has an address of the family. */
  | "noNextHop"
  /** With protocol `bgp` and `Local`: this node does not see which endpoints are left, and nodes that do announce it. */
  | "apiViewOld"
  /** With protocol `bgp` and `Local`: routers send traffic to the pool's next-hop slots, which any node may own. */
  | "localBySlots"
  /** With protocol `bgp`: this node does not deliver to Pods, and others do, which have routes for it. */
  | "cannotDeliver"
  /** The pool has `protocol: none`: no speaker announces its addresses. */
  | "protocolNone";

export type PlacementResult = { readonly announced: true } | PlacementRefusal;

type RefusalOfNodes = "nodeExcluded" | "noInterface" | "noKernelAccess";

export type PlacementRefusal =
  | { readonly announced: false; readonly reason: Exclude<NotAnnounced, RefusalOfNodes | "notInSubnet"> }
  | { readonly announced: false; readonly reason: RefusalOfNodes; readonly nodes: readonly string[] } // Never empty.
  | {
      readonly announced: false;
      readonly reason: "notInSubnet";
      readonly nodes: readonly { readonly node: string; readonly subnets: readonly Prefix[] }[]; // Never empty.
    };

/**
 * Where Services on one address disagree on whose Pods it is for, the oldest decides, and those that disagree with it may not hold the address:
 * nobody who comes to an address changes where it is announced. The controller sees to it that they agree, some time after.
 */
export function heeded(holders: readonly Holder[]): readonly Holder[] {
  const oldest = oldestOf(holders);
  if (holders.every(({ backendKey }) => backendKey === oldest?.backendKey)) return holders;
  return holders.map((holder) => (holder.backendKey === oldest?.backendKey ? holder : { ...holder, isAllowed: false }));
}

/** The oldest holder that may have the address; the first of several that are equally old. */
export function oldestOf(holders: readonly Holder[]): Holder | undefined {
  let oldest: Holder | undefined;
  for (const holder of holders) if (holder.isAllowed && !(holder.created >= (oldest?.created ?? Infinity))) oldest = holder;
  return oldest;
}

/**
 * Chooses the candidate that announces an address; undefined without candidates, or while that is not settled.
 * @param weights how much they are preferred; none where all are alike
 */
export type Choose = (
  candidates: readonly string[],
  electionAddress: Address,
  weights: PoolNodes["weights"],
) => string | undefined;

/** Where one address is announced by one protocol; the same on every node where it is owned. */
export interface AddressPlacement extends Election {
  readonly address: Address;
  /** One node, the address's owner, announces it. Otherwise each node announces by itself. */
  readonly isOwned: boolean;
  /** Nodes that could announce it; the contenders are those of them that the pool prefers most. */
  readonly candidates: readonly string[];
  readonly pool: string | undefined;
  /** By which entry of the pool's `layer2-advertisements`; absent where it has none, or none is for the oldest Service. */
  readonly entry?: number;
  /** Undefined where no protocol announces it: it is in no pool, or in one with `protocol: none`. */
  readonly protocol: Protocol | undefined;
  /** The owner was not elected, so that the next election cannot start from it. */
  readonly chosen?: boolean;
  readonly verdicts: ReadonlyMap<string, PlacementResult>; // service key -> what is true of it
  /** Of a next-hop slot, which the pool itself holds: whether a node may own it. */
  readonly slot?: PlacementResult;
}

/** An address that no protocol announces: of a pool with `protocol: none`, or of none when `pool` is undefined. */
export function placeNowhere(address: Address, holders: readonly Holder[], pool: string | undefined): AddressPlacement {
  const why = ({ isAllowed }: Holder) => refusal(pool === undefined || !isAllowed ? "ipNotAllowed" : "protocolNone");
  const verdicts = new Map(holders.map((holder) => [holder.service, why(holder)]));
  return ownerless(address, { name: pool }, undefined, verdicts);
}

/** A placement that no node owns: each node announces the address by itself, or none does. */
export function ownerless(
  address: Address,
  { name }: { readonly name: string | undefined },
  protocol: Protocol | undefined,
  verdicts: AddressPlacement["verdicts"],
): AddressPlacement {
  return {
    address,
    isOwned: false,
    electionAddress: address,
    contenders: none,
    candidates: none,
    owner: undefined,
    pool: name,
    protocol,
    verdicts,
  };
}

// One for all of the many addresses of a speaker.
const none: readonly never[] = [];

/**
 * Places one address that has an owner, on layer 2 or on its NIC, among the nodes that may announce its pool. Services that share
 * it share its owner: the nodes that suit all of them are candidates or, where no node suits all, those that suit any. `before`, an
 * earlier answer for the address, changes nothing but the time it takes. `choose` takes the place of the election.
 * @param alone the node that this is for, where it need not know which other one is elected; undefined where it has to
 */
export function place(
  address: Address,
  holders: readonly Holder[],
  nodes: PoolNodes,
  before?: AddressPlacement,
  choose?: Choose,
  reported?: ReportedAnnouncers,
  alone?: string,
): AddressPlacement {
  const within = eligibleFor(nodes, address);
  const suitable = new Map(holders.map((holder) => [holder.service, suitableNodes(address, holder, nodes, within, reported)])); // service key -> nodes or refusal
  const choices = [...suitable.values()].flatMap((found) => ("reason" in found ? [] : [found]));
  const suiting = without(agreed(choices), unableFor(address, nodes, reported)); // It may be the only choice of one of them.
  const candidates = without(suiting, nodes.drained);
  const first = electionAddress(address, holders);
  const chosen = choose !== undefined;
  const all = mostPreferred(candidates, nodes.weights);
  const contenders = chosen ? all : withoutLeaving(address, holders, nodes, candidates, all, first);
  const last = before?.chosen ? undefined : before;
  const isForAlone = suitable.values().every((found) => "reason" in found || found === suiting);
  const { owner, rival = undefined } = chosen
    ? { owner: choose(candidates, first, nodes.weights) }
    : alone !== undefined && isForAlone
      ? electFor(alone, contenders, first, last)
      : { owner: elect(contenders, first, last) };
  const verdicts = new Map<string, PlacementResult>();
  for (const [service, found] of suitable) verdicts.set(service, verdict(found, owner ?? rival, suiting));
  const placed: AddressPlacement = {
    address,
    isOwned: true,
    electionAddress: first,
    contenders,
    candidates,
    owner,
    ...(rival !== undefined && { rival }),
    chosen,
    pool: nodes.pool.name,
    protocol: nodes.pool.protocols.includes("layer2") ? "layer2" : "interface",
    verdicts,
  };
  if (rival !== undefined && last !== undefined) inheritOwner(placed, last);
  return placed;
}

/**
 * The contenders without nodes of versions that know no views: these would leave the address to a node that is behind, and that node would not
 * take it. Where no other contender is left, another candidate takes it; without any, the node that is behind does.
 */
function withoutLeaving(
  address: Address,
  holders: readonly Holder[],
  nodes: PoolNodes,
  candidates: readonly string[],
  contenders: readonly string[],
  first: Address,
): readonly string[] {
  const { withoutViews } = nodes;
  if (withoutViews.length === 0) return contenders;
  const owner = elect(contenders, first);
  if (owner === undefined || !withoutViews.includes(owner)) return contenders;
  const theirs = place(address, holders, { ...nodes, behind: none, outdated: none, withoutViews: none }).owner;
  if (theirs === undefined || theirs === owner) return contenders;
  const others = mostPreferred(
    candidates.filter((node) => !withoutViews.includes(node)),
    nodes.weights,
  );
  return others.length > 0 ? others : [theirs];
}

/** The owner of an address that a node owns, while that node is not there; undefined where nodes do not elect it. */
export function ownerWithout(
  node: string,
  { candidates, chosen, electionAddress }: AddressPlacement,
  { weights, drained }: Pick<PoolNodes, "weights" | "drained">,
): string | undefined {
  const without = (nodes: readonly string[]) => nodes.filter((other) => other !== node);
  const others = candidates.some((other) => other !== node) ? candidates : drained;
  return chosen ? undefined : elect(mostPreferred(without(others), weights), electionAddress);
}

/** Any node takes packets to it: the pool holds it, as a Service holds an address that all nodes serve. */
const slotHolder = {
  service: "",
  isAllowed: true,
  created: 0,
  backendKey: "",
  externalTrafficPolicy: "Cluster",
  endpoints: [{ nodeName: undefined, ready: 1, draining: 0 }],
} as const;

/** Places a next-hop slot among the nodes that may own those of its pool. @param holders Services that have its address, and may not */
export function placeSlot(
  address: Address,
  holders: readonly Holder[],
  nodes: PoolNodes,
  before?: AddressPlacement,
  choose?: Choose,
  reported?: ReportedAnnouncers,
): AddressPlacement {
  const { verdicts, ...placed } = place(address, [{ ...slotHolder, goesWith: address }], nodes, before, choose, reported);
  const slot = verdicts.get(slotHolder.service) ?? refusal("noActiveSpeaker");
  return { ...placed, slot, verdicts: new Map(holders.map(({ service }) => [service, refusal("ipNotAllowed")])) };
}

/**
 * Endpoints that take traffic: the ready ones or, if no node has any left, the draining ones. kube-proxy then passes packets on to these
 * (KEP-1669), so that the last Pod of a Service goes without a lost connection.
 */
export function endpointsInUse(endpoints: readonly NodeEndpoints[]): readonly EndpointsInUse[] {
  const state = stateInUse(endpoints);
  if (state === undefined) return [];
  return endpoints.flatMap((each) => (each[state] > 0 ? [{ nodeName: each.nodeName, count: each[state] }] : []));
}

/** Whether one of these nodes brings what comes for the Service to its Pods. @param ready its endpoints in use */
export function isServedBy(
  nodes: readonly string[],
  { externalTrafficPolicy }: Pick<Holder, "externalTrafficPolicy">,
  ready: readonly EndpointsInUse[],
): boolean {
  return nodes.some((node) => externalTrafficPolicy === "Cluster" || ready.some(({ nodeName }) => nodeName === node));
}

function stateInUse(endpoints: readonly NodeEndpoints[]): "ready" | "draining" | undefined {
  if (endpoints.some(({ ready }) => ready > 0)) return "ready";
  return endpoints.some(({ draining }) => draining > 0) ? "draining" : undefined;
}

function nodesInUse(endpoints: readonly NodeEndpoints[], state: "ready" | "draining"): ReadonlySet<string | undefined> {
  const nodes = new Set<string | undefined>();
  for (const each of endpoints) if (each[state] > 0) nodes.add(each.nodeName);
  return nodes;
}

interface EndpointsInUse {
  readonly nodeName: string | undefined;
  readonly count: number;
}

/** @param suiting among them is the owner */
function verdict(
  found: readonly string[] | PlacementRefusal,
  owner: string | undefined,
  suiting: readonly string[],
): PlacementResult {
  if ("reason" in found) return found;
  const isFor = owner !== undefined && (found === suiting || found.includes(owner));
  return isFor ? { announced: true } : refusal("noReadyEndpointOnOwner");
}

/** Never empty: without a suitable node, the reason. @param within the eligible nodes that may announce this address */
function suitableNodes(
  address: Address,
  holder: Holder,
  nodes: PoolNodes,
  within: readonly string[],
  reported: ReportedAnnouncers | undefined,
): readonly string[] | PlacementRefusal {
  if (!holder.isAllowed) return refusal("ipNotAllowed");
  if (holder.isAdvertised === false) return refusal("notAdvertised");
  const { inService, eligible, excluded, withoutInterface, withoutKernelAccess, subnets } = nodes;
  const told = reported?.told ?? none;
  if (told.length > 0) return ableAmong(address, told, nodes, true, reported);
  const inUse = stateInUse(holder.endpoints);
  if (inUse === undefined) return refusal("noReadyEndpoint");
  if (inService.length === 0) return refusal("noActiveSpeaker");
  const local = holder.externalTrafficPolicy === "Local" ? nodesInUse(holder.endpoints, inUse) : undefined;
  const among = (nodes: readonly string[]) => (local === undefined ? nodes : nodes.filter((node) => local.has(node)));
  const suitable = among(within);
  if (suitable.length > 0) return ableAmong(address, suitable, nodes, local !== undefined, reported);
  if (among(inService).length === 0) return refusal("noReadyEndpointOnActiveNode");
  const powerless = among(withoutKernelAccess).filter((node) => isInSubnet(nodes, node, address));
  if (powerless.length > 0) return { announced: false, reason: "noKernelAccess", nodes: powerless };
  const outside = among([...eligible, ...withoutKernelAccess]).map((node) => ({ node, subnets: subnets.get(node) ?? [] }));
  if (outside.length > 0) return { announced: false, reason: "notInSubnet", nodes: outside };
  for (const [reason, those] of [["noInterface", among(withoutInterface)] as const, ["nodeExcluded", among(excluded)] as const])
    if (those.length > 0) return { announced: false, reason, nodes: those };
  return refusal("noNodeSelected");
}

function refusal(reason: Exclude<NotAnnounced, RefusalOfNodes | "notInSubnet">): PlacementRefusal {
  return { announced: false, reason };
}

/**
 * The nodes of all choices, or, without any, those of each. Most of a thousand Services have the same choice, or choices of the same nodes.
 */
function agreed(choices: readonly (readonly string[])[]): readonly string[] {
  const different = [...new Set(choices)];
  const [first, ...rest] = different;
  if (first === undefined || rest.length === 0) return first ?? [];
  const counts = new Map<string, number>(); // node -> how many chose it
  for (const choice of different) for (const node of choice) counts.set(node, (counts.get(node) ?? 0) + 1);
  const common = first.filter((node) => counts.get(node) === different.length);
  return common.length > 0 ? common : [...counts.keys()];
}

/** The address that it goes with for the oldest Service on it, as MetalLB does for a dual-stack Service: no other Service moves it. */
function electionAddress(address: Address, holders: readonly Holder[]): Address {
  return (oldestOf(holders) ?? holders[0])?.goesWith ?? address;
}
