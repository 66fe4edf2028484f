import type { LabelSelector, Protocol } from "#pkg/config";
import { type AddressPlacement, eligibility, endpointsInUse, type PlacementRefusal } from "#pkg/placement";
import type { ClusterState, HeldAddress } from "./state.ts";

/** Where one address is announced by one protocol. */
export interface Placed {
  readonly address: string;
  readonly pool: string | undefined;
  readonly protocol: Protocol | undefined;
  /** See `AddressPlacement`. */
  readonly isOwned: boolean;
  /** Services with it in their status. */
  readonly services: readonly string[];
  /** Nodes that announce it, or that central speakers lead to, sorted: one at most where it is owned. */
  readonly nodes: readonly string[];
  readonly refusals: ReadonlyMap<string, PlacementRefusal>; // service key -> why no node announces it for this one
}

/** Node -> its labels. */
export function labelsOf({ nodes }: Pick<ClusterState, "nodes">) {
  return new Map(nodes.map(({ name, labels }) => [name, labels]));
}

/** @param selectors those of the protocol; by BGP advertisements have their own */
export function eligibilityOf({ nodes, ignoreExcludeLabel }: ClusterState, selectors: readonly LabelSelector[], name: string) {
  const node = nodes.find((one) => one.name === name);
  return eligibility(selectors, node?.labels, ignoreExcludeLabel, node?.taints);
}

export function common({ address, holders }: HeldAddress): Pick<Placed, "address" | "services"> {
  return { address: address.toString(), services: holders.map(({ service }) => service) };
}

export function refusals(verdicts: AddressPlacement["verdicts"]): Map<string, PlacementRefusal> {
  const found = new Map<string, PlacementRefusal>();
  for (const [service, verdict] of verdicts) if (!verdict.announced) found.set(service, verdict);
  return found;
}

/**
 * By BGP each node decides for itself: a Service is refused where every node refuses it. The first one says why or, under `Local`, the first that has an
 * endpoint.
 * @param nodes whose placements these are, in their order; none for those of central speakers
 */
export function refusalsOfAll(
  { holders }: HeldAddress,
  each: readonly AddressPlacement[],
  nodes: readonly string[],
): Map<string, PlacementRefusal> {
  const all = each.map(({ verdicts }) => refusals(verdicts));
  const [first, ...others] = all;
  if (first === undefined)
    return new Map(holders.map(({ service }) => [service, { announced: false, reason: "noActiveSpeaker" } as const]));
  for (const service of first.keys()) if (others.some((one) => !one.has(service))) first.delete(service);
  for (const { service, externalTrafficPolicy, endpoints } of nodes.length === each.length ? holders : []) {
    if (externalTrafficPolicy === "Cluster" || !isOfNode(first.get(service))) continue;
    const serving = new Set(endpointsInUse(endpoints).map(({ nodeName }) => nodeName));
    const found = all[nodes.findIndex((node) => serving.has(node))]?.get(service);
    first.set(service, found ?? { announced: false, reason: "noReadyEndpointOnActiveNode" });
  }
  return first;
}

/** Whether another node may refuse it for another reason. */
function isOfNode(refusal: PlacementRefusal | undefined): boolean {
  return refusal !== undefined && ["noReadyEndpointOnNode", "noPeer", "nodeExcluded", "noActiveSpeaker"].includes(refusal.reason);
}
