import { aggregationLength, type Peer } from "#pkg/config";
import { type Address, type Family, families, Prefix } from "#pkg/net";
import { fnv1a } from "#pkg/text";
import {
  type Advertised,
  type BgpPlacement,
  type BgpRoute,
  type NextHopPath,
  type NodePeer,
  nodePeers,
  type PoolAdvertisements,
  peersFor,
  poolAdvertisements,
  type SlotPaths,
} from "./bgp.ts";
import type { Labels } from "./eligibility.ts";
import { endpointsInUse, type Holder, type PlacementRefusal, type PlacementResult } from "./place.ts";

// Central speakers: some few announce for all nodes by BGP, with the nodes as next hops.

/** A node that may have traffic of load balancers. */
export interface ServedNode {
  readonly name: string;
  readonly labels: Labels | undefined;
  /** The path to it, for each family of which it has an address. */
  readonly paths: ReadonlyMap<Family, NextHopPath>;
}

/** All such nodes, as a speaker knows them now. */
export interface ServedNodes {
  readonly nodes: ReadonlyMap<string, ServedNode>; // name -> node
  readonly drained: ReadonlySet<string>;
  /** All that routes depend on, as text: another one is another set. */
  readonly facts: string;
}

/** What a central speaker can do for the addresses of one pool, or for those of some Services. */
export interface CentralAdvertisements extends PoolAdvertisements {
  /** How many advertisements the pools before it have. */
  readonly order: number;
  /** Peers of the configuration: see `centralPeers`. */
  readonly peers: readonly Peer[];
  readonly nodes: ReadonlyMap<string, ServedNode>; // name -> node
  /** Nodes that are to have no traffic where others can have it. */
  readonly spared: Readonly<Record<Holder["externalTrafficPolicy"], ReadonlySet<string>>>;
  /** The view of the API is old, and another central speaker has a current one. */
  readonly isOutdated: boolean;
  // Made when they are asked for.
  readonly ofNode: Map<string, readonly Advertised[]>; // node -> its advertisements
  readonly ofNodes: Map<string, readonly Advertised[]>; // names of nodes -> theirs, each with a path to all of them
}

/** The peers that central speakers can have: a router that a node finds, or is told of by its Node object, is that node's own. */
export function centralPeers(peers: readonly Peer[]): readonly Peer[] {
  return peers.filter(({ discovery, fromNode }) => discovery === undefined && fromNode === undefined);
}

/** Those that it has sessions with: `node-selectors` choose the nodes whose paths a peer gets. */
export function centralSessions(peers: readonly Peer[]): readonly NodePeer[] {
  return peersFor(
    centralPeers(peers).map((peer) => ({ ...peer, nodeSelectors: [] })),
    {},
  );
}

/** Path identifiers (RFC 7911) of next hops: the same at each speaker, and after a restart. */
export function pathIdentifiers(nextHops: Iterable<Address>): ReadonlyMap<string, number> {
  const found = new Map<string, number>(); // next hop -> identifier
  const used = new Set([0]);
  for (const text of [...nextHops].map(String).sort()) {
    let identifier = fnv1a(text) >>> 0;
    while (used.has(identifier)) identifier = (identifier + 1) >>> 0;
    used.add(identifier);
    found.set(text, identifier);
  }
  return found;
}

/**
 * A central speaker's announcements for one address: a path to each node that serves it. Under `Cluster` these are all nodes, when any endpoint is
 * ready; under `Local` those with a ready endpoint.
 */
export function placeCentral(address: Address, holders: readonly Holder[], central: CentralAdvertisements): BgpPlacement {
  const verdicts = new Map<string, PlacementResult>();
  const serving = new Set<string>();
  let isLocalHere = false;
  for (const holder of holders) {
    const nodes = servedBy(address.family, holder, central);
    const isAnnounced = Array.isArray(nodes);
    verdicts.set(holder.service, isAnnounced ? { announced: true } : (nodes as PlacementRefusal));
    if (isAnnounced) for (const node of nodes) serving.add(node);
    isLocalHere ||= isAnnounced && holder.externalTrafficPolicy === "Local";
  }
  return {
    address,
    isOwned: false,
    electionAddress: address,
    contenders: none,
    candidates: none,
    owner: undefined,
    pool: central.pool.name,
    protocol: "bgp",
    verdicts,
    routes: serving.size === 0 ? none : routes(address, holders, [...serving].sort(), central),
    isLocalHere,
  };
}

const none: readonly never[] = [];

const refusal = (reason: PlacementRefusal["reason"]) => ({ announced: false, reason }) as PlacementRefusal;

/** The nodes with paths for the holder's sake, or why there are none. */
function servedBy(
  family: Family,
  { isAllowed, endpoints, externalTrafficPolicy }: Holder,
  central: CentralAdvertisements,
): readonly string[] | PlacementRefusal {
  const { entries, advertised, nodes, spared, slots, isOutdated } = central;
  if (!isAllowed) return refusal("ipNotAllowed");
  const ready = new Set(endpointsInUse(endpoints).map(({ nodeName }) => nodeName));
  if (ready.size === 0) return refusal("noReadyEndpoint");
  if (entries.every((entry) => entry === undefined)) return refusal("notAdvertised");
  const isLocal = externalTrafficPolicy === "Local";
  if (slots.has(family) && isLocal) return refusal("localBySlots");
  const able = [...nodes.values()].filter(({ paths }) => slots.has(family) || paths.has(family)).map(({ name }) => name);
  if (able.length === 0) return refusal("noNextHop");
  if (!advertised.some(({ peers }) => peers[family].length > 0)) return refusal("noPeer");
  const serving = isLocal ? able.filter((node) => ready.has(node)) : able;
  if (serving.length === 0) return refusal("noReadyEndpointOnActiveNode");
  if (isLocal && isOutdated) return refusal("apiViewOld");
  const preferred = serving.filter((node) => !spared[externalTrafficPolicy].has(node));
  return preferred.length > 0 ? preferred : serving;
}

function routes(address: Address, holders: readonly Holder[], nodes: readonly string[], central: CentralAdvertisements) {
  return advertisedBy(central, nodes).flatMap((via): readonly BgpRoute[] => {
    if (via.peers[address.family].length === 0 || via.slots.get(address.family)?.length === 0) return none;
    const prefix = new Prefix(address, aggregationLength(via.advertisement, address.family));
    return [{ prefix, via, weight: via.node === undefined ? 1 : weightOf(holders, via.node) }];
  });
}

/** Endpoints of the address that a node stands for: see `BgpRoute`. */
function weightOf(holders: readonly Holder[], node: string): number {
  let sum = 0;
  for (const { isAllowed, endpoints, externalTrafficPolicy } of holders)
    if (isAllowed && externalTrafficPolicy === "Cluster") sum++;
    else if (isAllowed) for (const { nodeName, count } of endpointsInUse(endpoints)) if (nodeName === node) sum += count;
  return Math.max(sum, 1);
}

/** Advertisements with paths to all these nodes; those that weigh nodes have one node each. Peers that select other nodes have others. */
export function advertisedBy(central: CentralAdvertisements, nodes: readonly string[]): readonly Advertised[] {
  const key = nodes.join(" ");
  const known = central.ofNodes.get(key);
  if (known !== undefined) return known;
  const groups = new Map<string, Advertised[]>(); // what they have in common -> advertisements of nodes
  for (const name of nodes)
    for (const one of advertisementsOf(central, name)) {
      const { order, peers, node } = one;
      const common = node ?? `${peers.IPv4.join()} ${peers.IPv6.join()}`;
      const group = `${order} ${common}`;
      groups.set(group, [...(groups.get(group) ?? []), one]);
    }
  const made = [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined || group.length === 1) return group;
    const pathsOf = (family: Family) => central.slots.get(family) ?? group.flatMap(({ slots }) => slots.get(family) ?? []);
    const led = families.filter((family) => group.some(({ slots }) => slots.has(family)));
    return [{ ...first, slots: new Map(led.map((family) => [family, pathsOf(family)])) }];
  });
  if (central.ofNodes.size >= maxSets) central.ofNodes.clear();
  central.ofNodes.set(key, made);
  return made;
}

const noPaths: ServedNode["paths"] = new Map();
// Combinations of nodes with endpoints; those that are dropped are made anew.
const maxSets = 10_000;

function advertisementsOf(central: CentralAdvertisements, name: string): readonly Advertised[] {
  const known = central.ofNode.get(name);
  if (known !== undefined) return known;
  const { pool, order, peers, entries } = central;
  const { labels, paths = noPaths } = central.nodes.get(name) ?? {};
  const own = { pool, order, node: name, labels, eligibility: "eligible", peers: nodePeers(peers, labels), entries } as const;
  const made = poolAdvertisements(own).advertised.map((one): Advertised => {
    const { nextHop, nextHopV6, weightByEndpoints } = one.advertisement;
    const isFixed = { IPv4: nextHop !== undefined, IPv6: nextHopV6 !== undefined };
    const own: SlotPaths = new Map([...paths].map(([family, path]) => [family, [path]]));
    const slots = new Map([...own, ...central.slots].filter(([family]) => !isFixed[family]));
    const through = (family: Family) => (isFixed[family] || slots.has(family) ? one.peers[family] : none);
    return { ...one, peers: { IPv4: through("IPv4"), IPv6: through("IPv6") }, slots, node: weightByEndpoints ? name : undefined };
  });
  central.ofNode.set(name, made);
  return made;
}
