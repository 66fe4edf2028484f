import { asnOf } from "#pkg/bgp/testing";
import { advertisementsFor, layer2PoolFor, type Peer, type Pool } from "#pkg/config";
import type { PeerField } from "../api/node-objects.ts";
import { routerAddress, type ServiceSpec } from "../api/objects.ts";
import { prefixOf, type SimulatedCluster } from "../simulated-cluster.ts";
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

const gracefulShutdown = 0xffff_0000;

/** The attributes of the routes to an address through a node, where the pool wants others; undefined where they are right, or there are several routes to it. */
export function wrongAttributes(
  cluster: SimulatedCluster,
  peers: readonly Peer[],
  node: number,
  { address, spec, pool }: { readonly address: string; readonly spec: ServiceSpec; readonly pool: Pool },
): string | undefined {
  const [wanted, ...others] = pool.advertisements;
  const name = cluster.neighborOf(node);
  const open = cluster.router.openOf(name);
  const [path] = cluster.router.pathsOf(name).filter(({ prefix }) => prefix === prefixOf(address));
  const peer = peerOf(cluster, peers, node);
  if (wanted === undefined || others.length > 0 || !open || path?.attributes === undefined || peer === undefined)
    return undefined;
  const { asPath, med, localPref, largeCommunities = [] } = path.attributes;
  const asked = wanted.communitiesFrom?.allowed.get(spec.community ?? "");
  const communities = [...wanted.communities, ...(asked ? [asked] : [])];
  const standard = communities.flatMap((each) => (each.type === "standard" ? [each.value] : []));
  const large = communities.flatMap(({ type, ...each }) => (type === "large" ? [each] : []));
  const peerAsn = peer.fromNode?.values.has("peer-asn") ? cluster.nodes.peerValue(node, "peer-asn") : peer.peerAsn;
  const isInternal = peerAsn === "internal" || Number(peerAsn) === asnOf(open);
  const nextHop = address.includes(":") ? wanted.nextHopV6 : wanted.nextHop;
  const ases = isInternal ? [] : new Array<number>(1 + wanted.asPathPrepend).fill(asnOf(open));
  const should = [
    ases,
    wanted.med,
    isInternal ? (wanted.localPref ?? 0) : undefined,
    sorted(standard),
    large,
    `${nextHop ?? path.nextHop}`,
  ];
  const marked = path.communities.filter((each) => each !== gracefulShutdown);
  const isMarked = marked.length < path.communities.length;
  const is = [
    asPath.flatMap(({ asns }) => asns),
    med,
    isMarked ? should[2] : localPref,
    sorted(marked),
    largeCommunities,
    path.nextHop,
  ];
  const [found, right] = [JSON.stringify(is), JSON.stringify(should)];
  return found === right ? undefined : `${found}, of ${right}`;
}

function sorted(values: readonly number[]): readonly number[] {
  return [...new Set(values)].sort((a, b) => a - b);
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
  const isRight = `${asnOf(open)}` === asn && `${open.routerId}` === `${routerId}`;
  const settings = cluster.speakers.get(node)?.bgpSettings;
  const [used, wanted] = [settings, peer].map((each) => JSON.stringify([each?.password, each?.ttl, each?.ttlSecurityHops]));
  if (isRight && used !== wanted) return `one with ${used}, of ${wanted}`;
  return isRight
    ? undefined
    : `AS ${asnOf(open)} and ${open.routerId}, of ${peer === undefined ? "none" : `${asn} and ${routerId}`}`;
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
