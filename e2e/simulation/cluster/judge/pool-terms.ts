import { advertisementsFor, layer2PoolFor, type Peer, type Pool } from "#pkg/config";
import type { ServiceSpec } from "../api/objects.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import { isOnLan } from "./configured.ts";
import { hasNic } from "./ownership-sample.ts";

/** The pool as a Service has it. */
export function poolFor(whole: Pool, { tier }: ServiceSpec, team: string | undefined): Pool {
  const service = { namespace: "default", labels: tier === undefined ? {} : { tier }, annotations: {} };
  const namespaces = new Map([["default", team === undefined ? {} : { team }]]);
  const pool = layer2PoolFor(whole, service, namespaces)?.pool ?? {
    ...whole,
    protocols: whole.protocols.filter((protocol) => protocol !== "layer2"),
  };
  const own = advertisementsFor(whole, service, namespaces).advertisements;
  return { ...pool, advertisements: own.flatMap((each) => each ?? []) };
}

/** Whether the node has a session with a router, by the labels and annotations of its Node, and its default route. */
export function hasPeer({ nodes, machines }: SimulatedCluster, peers: readonly Peer[], node: number): boolean {
  return peers.some(({ nodeSelectors, disabled, fromNode, discovery }) => {
    if (disabled || (fromNode !== undefined && !nodes.namesRouter(node))) return false;
    if (discovery?.by === "gateway" && machines.withoutGateway.has(node)) return false;
    return nodeSelectors.length === 0 || nodes.isEdge(node);
  });
}

/** Whether each node has an address of the pool by itself, as far as these nodes go. */
export function isInKernels(cluster: SimulatedCluster, part: readonly number[], address: string, pool: Pool): boolean {
  const { placement } = pool.kernel ?? {};
  if (placement !== "auto") return placement === "routed";
  return !isOnLan(address) || !part.some((node) => isAble(cluster, node) && hasNic(cluster, node, pool));
}

export function isAble({ nodes }: SimulatedCluster, node: number): boolean {
  return !nodes.isExcluded(node) && !nodes.isOutOfService(node);
}
