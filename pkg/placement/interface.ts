import { aggregationLength, type Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type Eligibility, eligibleFor, type PoolNodes } from "./eligibility.ts";
import { type AddressPlacement, endpointsInUse, type Holder, isServedBy, ownerless, type PlacementResult } from "./place.ts";

/** What this node's kernel has for one address that is routed. `owner`, `candidates` and `contenders` are empty: each node serves by itself. */
export interface InterfacePlacement extends AddressPlacement {
  /** The length of the prefix that it stands for; undefined where the kernel is not to have it. */
  readonly prefixLength: number | undefined;
}

export function isByInterface(placement: AddressPlacement): placement is InterfacePlacement {
  return placement.protocol === "interface" && !placement.isOwned;
}

/**
 * Whether an address of a pool of protocol `interface` is on the NIC of one node. With `placement: auto` it is there while any node that
 * may announce the pool reports a subnet with the address on an interface of the pool that has a carrier, or cannot report any. Nodes tell
 * one another. A node learns of its own subnets first, so that it never routes an address of theirs.
 */
export function isOnLan(address: Address, nodes: PoolNodes): boolean {
  const { placement = "routed" } = nodes.pool.kernel ?? {};
  return placement === "lan" || (placement === "auto" && eligibleFor(nodes, address).length > 0);
}

export interface InterfaceNode {
  readonly pool: Pool;
  readonly node: string;
  readonly eligibility: Eligibility;
}

/**
 * Whether this node's kernel has an address of a pool of protocol `interface` that is routed: under `Cluster` when any endpoint is ready,
 * under `Local` when this node has a ready endpoint; other nodes matter only where they deliver in place of this one. An aggregate comes from Services with `Cluster` alone:
 * under `Local` it would draw the traffic of all its addresses to nodes that have the endpoints of one.
 * @param delivering nodes that bring what comes for the address to Pods in this node's stead; none while this node does so
 */
export function placeOnInterface(
  address: Address,
  holders: readonly Holder[],
  on: InterfaceNode,
  delivering: readonly string[] = none,
): InterfacePlacement {
  const verdicts = new Map<string, PlacementResult>();
  let prefixLength: number | undefined;
  for (const holder of holders) {
    const verdict = judge(holder, on, delivering);
    verdicts.set(holder.service, verdict);
    if (verdict.announced) prefixLength = Math.min(prefixLength ?? address.bits, lengthFor(address, holder, on.pool));
  }
  return { ...ownerless(address, on.pool, "interface", verdicts), prefixLength };
}

// One for all of the many addresses of a speaker.
const none: readonly never[] = [];
const announced: PlacementResult = { announced: true };

function lengthFor(address: Address, { externalTrafficPolicy }: Holder, { kernel }: Pool): number {
  if (externalTrafficPolicy === "Local" || kernel === undefined) return address.bits;
  return aggregationLength(kernel, address.family);
}

function judge(
  { isAllowed, endpoints, externalTrafficPolicy }: Holder,
  { node, eligibility }: InterfaceNode,
  delivering: readonly string[],
): PlacementResult {
  if (!isAllowed) return { announced: false, reason: "ipNotAllowed" };
  const ready = endpointsInUse(endpoints);
  if (ready.length === 0) return { announced: false, reason: "noReadyEndpoint" };
  if (eligibility === "outOfService") return { announced: false, reason: "noActiveSpeaker" };
  if (eligibility !== "eligible") return { announced: false, reason: "nodeExcluded", nodes: [node] };
  if (isServedBy(delivering, { externalTrafficPolicy }, ready)) return { announced: false, reason: "cannotDeliver" };
  if (externalTrafficPolicy === "Cluster" || ready.some(({ nodeName }) => nodeName === node)) return announced;
  return { announced: false, reason: "noReadyEndpointOnNode" };
}
