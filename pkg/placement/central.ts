import { remembered } from "#pkg/collections";
import type { Peer } from "#pkg/config";
import { type Address, type Family, families, type Prefix } from "#pkg/net";
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
  prefixOf,
  type SlotPaths,
  withoutReplaced,
} from "./bgp.ts";
import { rank } from "./election.ts";
import type { Labels } from "./eligibility.ts";
import { endpointsInUse, type Holder, ownerless, type PlacementRefusal, type PlacementResult } from "./place.ts";

// Central speakers: some few announce for all nodes by BGP, with the nodes as next hops.

/** A node that may have traffic of load balancers. */
export interface ServedNode {
  readonly name: string;
  readonly labels: Labels | undefined;
  /** Its InternalIPs. */
  readonly addresses: readonly Address[];
  /** The path to it, for each family of which it has an address. */
  readonly paths: ReadonlyMap<Family, NextHopPath>;
}

/** @param nodes that may have traffic */
export function servedNodes(nodes: readonly Omit<ServedNode, "paths">[]): Map<string, ServedNode> {
  const identifiers = pathIdentifiers(nodes.flatMap(({ addresses }) => addresses));
  return new Map(
    nodes.map(({ name, labels, addresses }) => {
      const paths = families.flatMap((family): (readonly [Family, NextHopPath])[] => {
        const nextHop = addresses.find((address) => address.family === family);
        if (nextHop === undefined) return [];
        return [[family, { path: identifiers.get(nextHop.toString()) ?? 1, nextHop, isOwn: false }]];
      });
      return [name, { name, labels, addresses, paths: new Map(paths) }] as const;
    }),
  );
}

/** All such nodes, as a speaker knows them now. */
export interface ServedNodes {
  readonly nodes: Map<string, ServedNode>; // name -> node
  readonly drained: ReadonlySet<string>;
  readonly cordoned: ReadonlySet<string>;
  /** Everything else that routes depend on, as text: another text is another set. */
  readonly facts: string;
}

/** The advertisements of one pool by a central speaker, or of some Services. */
export interface CentralAdvertisements extends PoolAdvertisements {
  /** How many advertisements the pools before it have. */
  readonly order: number;
  /** Peers of the configuration: see `centralPeers`. */
  readonly peers: readonly Peer[];
  readonly nodes: ReadonlyMap<string, ServedNode>; // name -> node
  /** Nodes that are to have no traffic where others can have it: those that cannot deliver and, under `Cluster`, drained ones. */
  readonly undelivering: Readonly<Record<Family, ReadonlySet<string>>>;
  readonly drained: ReadonlySet<string>;
  /** Nodes that are cordoned or about to go, and keys of the peers that are to prefer others. */
  readonly cordoned: { readonly nodes: ReadonlySet<string>; readonly peers: ReadonlySet<string> };
  /** The view of the API is old, and another central speaker has a current one. */
  readonly isOutdated: boolean;
  // Made when they are asked for.
  readonly ofCluster: Map<string, readonly string[]>; // family and group of addresses -> nodes that serve under policy `Cluster`
  readonly ofNode: Map<string, readonly Advertised[]>; // node -> its advertisements
  readonly ofNodes: Map<string, readonly Advertised[]>; // names of nodes -> theirs, each with a path to all of them
}

/** The advertisements that follow from what a central speaker knows. */
export function advertisedCentrally(
  known: Omit<CentralAdvertisements, "eligibility" | "advertised" | "ofCluster" | "ofNode" | "ofNodes">,
): CentralAdvertisements {
  const made = { advertised: [], ofCluster: new Map(), ofNode: new Map(), ofNodes: new Map() };
  const central: CentralAdvertisements = { ...known, eligibility: "eligible", ...made };
  return { ...central, advertised: advertisedBy(central, [...known.nodes.keys()]) };
}

/** The peers that central speakers can have: a router that a node finds, or is told of by its Node object, is that node's own. */
export function centralPeers(peers: readonly Peer[]): readonly Peer[] {
  return peers.filter((peer) => !isOfNode(peer));
}

function isOfNode({ discovery, fromNode }: Peer): boolean {
  return discovery !== undefined || fromNode !== undefined;
}

/**
 * The peers that have a session with it. Their `node-selectors` choose the nodes whose paths they get. After these stand the ones of nodes, each with its
 * `refusal`, and without what a session would take.
 */
export function centralSessions(peers: readonly Peer[]): readonly NodePeer[] {
  const all = [...centralPeers(peers), ...peers.filter(isOfNode)].map((peer) => ({ ...peer, nodeSelectors: [] }));
  return peersFor(all, {}).map((found) => (isOfNode(found.peer) ? withoutSession(found) : found));
}

function withoutSession({ key, peer }: NodePeer): NodePeer {
  const what = "central speakers have sessions with routers that have a peer-address, and no values from nodes";
  const none = { discovery: undefined, passwordSecret: undefined, bfdProfile: undefined } as const;
  return { key, peer: { ...peer, ...none, refusal: { by: "central", what } } };
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
  let serving: readonly string[] = none;
  let isLocalHere = false;
  for (const holder of holders) {
    const nodes = servedBy(address, holder, central);
    const isAnnounced = Array.isArray(nodes);
    verdicts.set(holder.service, isAnnounced ? { announced: true } : (nodes as PlacementRefusal));
    if (isAnnounced) serving = serving.length === 0 ? nodes : [...new Set([...serving, ...nodes])];
    isLocalHere ||= isAnnounced && holder.externalTrafficPolicy === "Local";
  }
  return {
    ...ownerless(address, central.pool, "bgp", verdicts),
    routes: serving.length === 0 ? none : routes(address, holders, serving, central),
    isLocalHere,
  };
}

const none: readonly never[] = [];

const refusal = (reason: PlacementRefusal["reason"]) => ({ announced: false, reason }) as PlacementRefusal;

/** The nodes that get paths for this holder; without any, the reason. */
function servedBy(
  address: Address,
  { isAllowed, endpoints, externalTrafficPolicy }: Holder,
  central: CentralAdvertisements,
): readonly string[] | PlacementRefusal {
  const { family } = address;
  const { entries, advertised, nodes, slots, isOutdated } = central;
  if (!isAllowed) return refusal("ipNotAllowed");
  const ready = endpointsInUse(endpoints);
  if (ready.length === 0) return refusal("noReadyEndpoint");
  if (entries.every((entry) => entry === undefined)) return refusal("notAdvertised");
  const isLocal = externalTrafficPolicy === "Local";
  if (slots.has(family) && isLocal) return refusal("localBySlots");
  const ofCluster = clusterNodes(family, central);
  if (ofCluster.length === 0) return refusal("noNextHop");
  if (!advertised.some(({ peers }) => peers[family].length > 0)) return refusal("noPeer");
  if (!isLocal) return ofCluster;
  const names = new Set(ready.flatMap(({ nodeName }) => nodeName ?? []));
  const serving = [...names].filter((name) => hasNextHop(central, nodes.get(name), family)).sort();
  if (serving.length === 0) return refusal("noReadyEndpointOnActiveNode");
  const led = serving.filter((name) => isLedTo(central, name, family));
  if (led.length === 0) return refusal("noPeer");
  return isOutdated ? refusal("apiViewOld") : preferred(led, central.undelivering[family]);
}

/** Whether there is a next hop for packets to the node: an address of its own, a slot, or the one that an advertisement has. */
function hasNextHop(central: CentralAdvertisements, node: ServedNode | undefined, family: Family): boolean {
  return node !== undefined && (central.slots.has(family) || node.paths.has(family) || isLedTo(central, node.name, family));
}

/** Whether an advertisement with a peer leads to the node: one that none leads to takes over from no other. */
function isLedTo(central: CentralAdvertisements, name: string, family: Family): boolean {
  return advertisementsOf(central, name).some(({ peers }) => peers[family].length > 0);
}

/** One list for all addresses: with a thousand nodes, each of its own would take long. */
function clusterNodes(family: Family, central: CentralAdvertisements): readonly string[] {
  return remembered(central.ofCluster, family, families.length, () => {
    const able = [...central.nodes.values()].filter((node) => hasNextHop(central, node, family)).map(({ name }) => name);
    const led = able.filter((name) => isLedTo(central, name, family));
    return preferred(preferred(led.length > 0 ? led : able, central.undelivering[family]), central.drained);
  });
}

function preferred(nodes: readonly string[], spared: ReadonlySet<string>): readonly string[] {
  const left = nodes.filter((node) => !spared.has(node));
  return left.length > 0 ? left : nodes;
}

// Routers that spread flows take 64 next hops, or 128. Of more nodes each address has some, so that all nodes have traffic.
const maxPaths = 64;
// Addresses of a group have the same nodes.
const groups = 32;

function routes(address: Address, holders: readonly Holder[], nodes: readonly string[], central: CentralAdvertisements) {
  const isOfCluster = central.ofCluster.get(address.family) === nodes;
  const toPrefix = prefixOf(address, holders);
  const group = nodes.length <= maxPaths ? 0 : fnv1a(`${shortestOf(central.advertised.map(toPrefix))}`) % groups;
  const made = remembered(central.ofNodes, `${isOfCluster ? address.family : nodes.join(" ")} ${group}`, maxSets, () =>
    advertisedBy(central, nodes, group),
  );
  const all = made.flatMap((via): readonly BgpRoute[] => {
    if (via.peers[address.family].length === 0 || via.slots.get(address.family)?.length === 0) return none;
    return [{ prefix: toPrefix(via), via, weight: via.node === undefined ? 1 : weightOf(holders, via.node) }];
  });
  return withoutReplaced(all);
}

/** Addresses that share a prefix are of one group: else an aggregate would have the paths of several. */
function shortestOf(prefixes: readonly Prefix[]): Prefix | undefined {
  return prefixes.toSorted((a, b) => a.length - b.length)[0];
}

/** Endpoints of the address that a node stands for: see `BgpRoute`. */
function weightOf(holders: readonly Holder[], node: string): number {
  let sum = 0;
  for (const { isAllowed, endpoints, externalTrafficPolicy } of holders)
    if (isAllowed && externalTrafficPolicy === "Cluster") sum++;
    else if (isAllowed) for (const { nodeName, count } of endpointsInUse(endpoints)) if (nodeName === node) sum += count;
  return Math.max(sum, 1);
}

/**
 * Advertisements with paths to these nodes; those that weigh nodes have one node each. Peers that select other nodes have others. Of more than 64 nodes each
 * group of addresses has some, the same at each speaker: where one goes, one other comes in its place (rendezvous hashing). Cordoned nodes come last, and
 * their paths are marked for peers that ask for that.
 */
function advertisedBy(central: CentralAdvertisements, nodes: readonly string[], group = 0): readonly Advertised[] {
  const all = nodes.flatMap((name) => advertisementsOf(central, name).map((one) => ({ name, one })));
  const alike = Map.groupBy(all, ({ one: { order, peers } }) => `${order} ${peers.IPv4.join()} ${peers.IPv6.join()}`);
  return [...alike.values()].flatMap((those) => {
    const { nodes: cordoned, peers } = central.cordoned;
    const areMarked = families.some((family) => those[0]?.one.peers[family].some((peer) => peers.has(peer)));
    const isLast = (name: string) => areMarked && cordoned.has(name);
    const ranked = those.length <= maxPaths ? those : firstOf(those, `group ${group}`, isLast);
    const of = (isOfLast: boolean) => ranked.flatMap(({ name, one }) => (isLast(name) === isOfLast ? one : []));
    return [...together(of(false), central), ...together(of(true), central).flatMap((via) => marked(via, central))];
  });
}

/** Advertisements of some nodes as one with all their paths, unless each has a weight. */
function together(ranked: readonly Advertised[], { slots }: CentralAdvertisements): readonly Advertised[] {
  const [first] = ranked;
  if (first === undefined || first.node !== undefined) return ranked;
  const pathsOf = (family: Family) => slots.get(family) ?? ranked.flatMap((one) => one.slots.get(family) ?? []);
  const led = families.filter((family) => ranked.some((one) => one.slots.has(family)));
  return [{ ...first, slots: new Map(led.map((family) => [family, pathsOf(family)])) }];
}

/** Paths to cordoned nodes: some peers are to prefer others, where the next hops are nodes. */
function marked(via: Advertised, { slots, cordoned }: CentralAdvertisements): readonly Advertised[] {
  const lastResort = families.filter((family) => via.slots.has(family) && !slots.has(family));
  const of = (isMarked: boolean): Advertised["peers"] => {
    const { IPv4, IPv6 } = via.peers;
    const isOf = (peer: string) => cordoned.peers.has(peer) === isMarked;
    return { IPv4: IPv4.filter(isOf), IPv6: IPv6.filter(isOf) };
  };
  const each = [
    { ...via, peers: of(false) },
    { ...via, peers: of(true), lastResort },
  ];
  return each.filter(({ peers }) => families.some((family) => peers[family].length > 0));
}

/** The first of them by rank. A rank is computed once for each: in comparisons that would be most of the time with a thousand nodes. */
function firstOf<T extends { readonly name: string }>(
  those: readonly T[],
  text: string,
  isLast: (name: string) => boolean,
): readonly T[] {
  const ranked = those.map((each) => ({ each, rank: isLast(each.name) ? Infinity : rank(each.name, text) }));
  ranked.sort((a, b) => a.rank - b.rank || (a.each.name < b.each.name ? -1 : 1));
  return ranked.slice(0, maxPaths).map(({ each }) => each);
}

const noPaths: ServedNode["paths"] = new Map();
// Combinations of nodes with endpoints; dropped ones are made again.
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
