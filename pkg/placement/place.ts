import type { Protocol } from "#pkg/config";
import type { Address, Prefix } from "#pkg/net";
import { type Election, elect } from "./election.ts";
import { eligibleFor, type PoolNodes } from "./eligibility.ts";

/** One endpoint behind a Service. */
export interface Endpoint {
  readonly nodeName: string | undefined;
  readonly ready: boolean;
  /** It is terminating and serves until it is gone. */
  readonly draining?: boolean;
}

/** A Service that has the address in its status. */
export interface Holder {
  /** `namespace/name`. */
  readonly service: string;
  /** All its addresses; a dual-stack Service's follow the first. */
  readonly addresses: readonly Address[];
  /** Whether it may hold this address beside its others, which all have to be of one pool. */
  readonly isAllowed: boolean;
  readonly externalTrafficPolicy: "Cluster" | "Local";
  readonly endpoints: readonly Endpoint[];
}

/** Why a Service's address is not announced by anyone, or not for this Service. */
export type NotAnnounced =
  /** The address is in no pool of the configuration in force, or not in the pool of the Service's first one. */
  | "ipNotAllowed"
  | "noReadyEndpoint"
  /** `externalTrafficPolicy: Local`, and no node has both a ready endpoint and an active speaker. */
  | "noReadyEndpointOnActiveNode"
  | "noActiveSpeaker"
  /** The pool's node selectors match no node that has an active speaker and, under `Local`, a ready endpoint. */
  | "noNodeSelected"
  /** They match some, and each of these is excluded from load balancers by its label. */
  | "nodeExcluded"
  /** Of those that may announce the pool, none has an interface of it that can answer and has a carrier. */
  | "noInterface"
  /** Some have, and none of these has the address in a subnet, as the pool asks for. */
  | "notInSubnet"
  /** It shares the address, and the node that announces it has none of this Service's endpoints (`Local`). */
  | "noReadyEndpointOnOwner"
  /** Of protocol `bgp`: this node has none, and `externalTrafficPolicy` is `Local`. */
  | "noReadyEndpointOnNode"
  /** Of protocol `bgp`: no advertisement of this node for the pool has a peer. */
  | "noPeer"
  /** Of protocol `bgp` and `Local`: this node does not see which endpoints are left, and nodes that do announce it. */
  | "apiViewOld";

export type Verdict = { readonly announced: true } | Refusal;

export type Refusal =
  | { readonly announced: false; readonly reason: Exclude<NotAnnounced, "nodeExcluded" | "noInterface" | "notInSubnet"> }
  | { readonly announced: false; readonly reason: "nodeExcluded" | "noInterface"; readonly nodes: readonly string[] } // Never empty.
  | {
      readonly announced: false;
      readonly reason: "notInSubnet";
      readonly nodes: readonly { readonly node: string; readonly subnets: readonly Prefix[] }[]; // Never empty.
    };

/** Which of the candidates announces an address; undefined without candidates, or while that is not settled. */
export type Choose = (candidates: readonly string[], electionAddress: Address) => string | undefined;

/** What nodes report of an address themselves. It matters where the view of the API of some is not current. */
export interface ReportedAnnouncers {
  /** This node; undefined where nobody's view counts for more. */
  readonly node: string | undefined;
  /** Nodes that report that they announce the address. */
  readonly announcers: readonly string[];
}

const noneReported: ReportedAnnouncers = { node: undefined, announcers: [] };

/** Where one address is announced, the same on every node. */
export interface AddressPlacement extends Election {
  readonly address: Address;
  readonly pool: string | undefined;
  readonly protocol: Protocol | undefined;
  /** The owner was not elected, so that the next election cannot start from it. */
  readonly chosen?: boolean;
  readonly verdicts: ReadonlyMap<string, Verdict>; // service key -> what is true of it
}

/**
 * Places one address on layer 2 among the nodes that may announce its pool; `nodes` is undefined for an address in none. Services that share
 * it share its owner: the nodes that suit all of them are candidates or, where no node suits all, those that suit any. `before`, an
 * earlier answer for the address, changes nothing but the time it takes. `choose` takes the place of the election.
 */
export function place(
  address: Address,
  holders: readonly Holder[],
  nodes: PoolNodes | undefined,
  before?: AddressPlacement,
  choose?: Choose,
  reported: ReportedAnnouncers = noneReported,
): AddressPlacement {
  const pool = nodes?.pool;
  const common = { address, electionAddress: electionAddress(address, holders), pool: pool?.name, protocol: pool?.protocol };
  const nowhere = { ...common, candidates: [], owner: undefined };
  if (nodes === undefined)
    return { ...nowhere, verdicts: new Map(holders.map(({ service }) => [service, refusal("ipNotAllowed")])) };
  const within = eligibleFor(nodes, address);
  const suitable = new Map(holders.map((holder) => [holder.service, suitableNodes(holder, nodes, within, reported)])); // service key -> nodes or refusal
  const candidates = agreed([...suitable.values()].flatMap((found) => ("reason" in found ? [] : [found])));
  const { electionAddress: first } = common;
  const chosen = choose !== undefined;
  const owner = chosen ? choose(candidates, first) : elect(candidates, first, before?.chosen ? undefined : before);
  const verdicts = new Map<string, Verdict>();
  for (const [service, found] of suitable) verdicts.set(service, verdict(found, owner));
  return { ...common, candidates, owner, chosen, verdicts };
}

/**
 * Those that take traffic: the ready ones or, where none is left on any node, those that drain. kube-proxy passes packets on to these then
 * (KEP-1669), so that the last Pod of a Service goes without a lost connection.
 */
export function endpointsInUse(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? ready : endpoints.filter(({ draining }) => draining === true);
}

function verdict(found: readonly string[] | Refusal, owner: string | undefined): Verdict {
  if ("reason" in found) return found;
  return owner !== undefined && found.includes(owner) ? { announced: true } : refusal("noReadyEndpointOnOwner");
}

/** Never empty: without a suitable node, the reason. @param within the eligible nodes that may announce this address */
function suitableNodes(
  holder: Holder,
  nodes: PoolNodes,
  within: readonly string[],
  reported: ReportedAnnouncers,
): readonly string[] | Refusal {
  if (!holder.isAllowed) return refusal("ipNotAllowed");
  const { inService, eligible, excluded, withoutInterface, subnets } = nodes;
  const ready = endpointsInUse(holder.endpoints);
  if (ready.length === 0) return refusal("noReadyEndpoint");
  if (inService.length === 0) return refusal("noActiveSpeaker");
  const local = holder.externalTrafficPolicy === "Local" ? new Set(ready.map((endpoint) => endpoint.nodeName)) : undefined;
  const among = (nodes: readonly string[]) => (local === undefined ? nodes : nodes.filter((node) => local.has(node)));
  const suitable = among(within);
  if (suitable.length > 0) return withoutUnaware(suitable, nodes, local !== undefined, reported);
  if (among(inService).length === 0) return refusal("noReadyEndpointOnActiveNode");
  const outside = among(eligible).map((node) => ({ node, subnets: subnets.get(node) ?? [] }));
  if (outside.length > 0) return { announced: false, reason: "notInSubnet", nodes: outside };
  for (const [reason, those] of [["noInterface", among(withoutInterface)] as const, ["nodeExcluded", among(excluded)] as const])
    if (those.length > 0) return { announced: false, reason, nodes: those };
  return refusal("noNodeSelected");
}

/**
 * A node whose view of the API is not current does not know of new Services, nor which nodes have ready endpoints. The others leave it what
 * it announces, but for `Local` Services when its view is old. It leaves to them what they announce, and takes nothing new.
 */
function withoutUnaware(
  suitable: readonly string[],
  { behind, outdated }: Pick<PoolNodes, "behind" | "outdated">,
  isLocal: boolean,
  { node, announcers }: ReportedAnnouncers,
): readonly string[] {
  if (behind.length === 0) return suitable;
  const isCurrent = (other: string) => !behind.includes(other);
  const others = announcers.filter(isCurrent);
  if (node !== undefined && !isCurrent(node) && others.length > 0) return others;
  const keeps = (other: string) => announcers.includes(other) && (!isLocal || other === node || !outdated.includes(other));
  const left = suitable.filter((other) => isCurrent(other) || keeps(other));
  return left.length > 0 ? left : suitable;
}

function refusal(reason: Exclude<NotAnnounced, "nodeExcluded" | "noInterface" | "notInSubnet">): Refusal {
  return { announced: false, reason };
}

function agreed(choices: readonly (readonly string[])[]): readonly string[] {
  const [first, ...rest] = choices;
  if (first === undefined) return [];
  const common = rest.reduce((left, right) => left.filter((node) => right.includes(node)), first);
  return common.length > 0 ? common : [...new Set(choices.flat())];
}

/** The first address of the Services on it where they agree on that, as MetalLB has it for a dual-stack Service; else the address itself. */
function electionAddress(address: Address, holders: readonly Holder[]): Address {
  const first = holders[0]?.addresses[0];
  return first !== undefined && holders.every((holder) => holder.addresses[0]?.equals(first)) ? first : address;
}
