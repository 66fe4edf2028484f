import { advertisementsFor, layer2PoolFor, type Peer, type Pool } from "#pkg/config";
import type { PeerField } from "../api/node-objects.ts";
import { routerAddress, type ServiceSpec } from "../api/objects.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import { isOnLan } from "./configured.ts";
import { hasNic } from "./ownership-sample.ts";

const pools = new WeakMap<Pool, Map<string, Pool>>(); // pool of a configuration -> labels -> the pool as Services with these have it

/** The pool as a Service has it. */
export function poolFor(whole: Pool, { tier }: ServiceSpec, team: string | undefined): Pool {
  const known = pools.get(whole) ?? new Map<string, Pool>();
  pools.set(whole, known);
  const labels = `${tier} ${team}`;
  const pool = known.get(labels) ?? poolWith(whole, tier, team);
  known.set(labels, pool);
  return pool;
}

function poolWith(whole: Pool, tier: string | undefined, team: string | undefined): Pool {
  const service = { namespace: "default", labels: tier === undefined ? {} : { tier }, annotations: {} };
  const namespaces = new Map([["default", team === undefined ? {} : { team }]]);
  const pool = layer2PoolFor(whole, service, namespaces)?.pool ?? {
    ...whole,
    protocols: whole.protocols.filter((protocol) => protocol !== "layer2"),
  };
  const own = advertisementsFor(whole, service, namespaces).advertisements;
  return { ...pool, advertisements: own.flatMap((each) => each ?? []) };
}

/** Field that a node has the value of -> whether that makes a session. */
const isOfUse: Readonly<Record<PeerField, (value: string) => boolean>> = {
  "peer-address": (value) => value === routerAddress,
  "my-asn": (value) => Number(value) > 0,
  "peer-asn": (value) => value === "65002" || value === "external",
  "router-id": (value) => value.includes("."),
};
const peerFields = Object.keys(isOfUse) as PeerField[];

/** The peer by which the node has a session with the router, as the labels and annotations of its Node and its default route have it. */
export function peerOf({ nodes, machines }: SimulatedCluster, peers: readonly Peer[], node: number): Peer | undefined {
  return peers.find(({ nodeSelectors, disabled, fromNode, discovery, roleStrict }) => {
    if (disabled || roleStrict) return false; // The router says no role.
    const isUsable = (field: PeerField) => isOfUse[field](nodes.peerValue(node, field) ?? "");
    if (!peerFields.every((field) => fromNode?.values.has(field) !== true || isUsable(field))) return false;
    if (discovery?.by === "gateway" && machines.withoutGateway.has(node)) return false;
    return nodeSelectors.length === 0 || nodes.isEdge(node);
  });
}

/** AS number and identifier of the router's session with the node, where the API wants others; undefined where they are right or there is no session. */
export function wrongSession(cluster: SimulatedCluster, peers: readonly Peer[], node: number): string | undefined {
  const { nodes, router } = cluster;
  const open = router.openOf(cluster.neighborOf(node));
  if (open === undefined) return undefined;
  const peer = peerOf(cluster, peers, node);
  const ofNode = (field: PeerField) => (peer?.fromNode?.values.has(field) ? nodes.peerValue(node, field) : undefined);
  const asn = peer && (ofNode("my-asn") ?? `${peer.myAsn}`);
  const routerId = ofNode("router-id") ?? peer?.routerId ?? open.routerId;
  const isRight = `${open.asn}` === asn && `${open.routerId}` === `${routerId}`;
  return isRight
    ? undefined
    : `AS ${open.asn} and ${open.routerId}, of ${peer === undefined ? "none" : `${asn} and ${routerId}`}`;
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
