import type { Millis } from "#pkg/clock";
import { aggregationLength, type BgpAdvertisement, describeRouter, limits, type Peer, type Pool, peersOfNode } from "#pkg/config";
import { type Address, type Family, isLinkLocal, matchesInterface, Prefix } from "#pkg/net";
import { type Eligibility, isSelected, type Labels } from "./eligibility.ts";
import type { InterfaceNode } from "./interface.ts";
import { type AddressPlacement, endpointsInUse, type Holder, isServedBy, ownerless, type PlacementResult } from "./place.ts";

/** A peer of this node, and what distinguishes it from the others. */
export interface NodePeer {
  /**
   * `address:port` as MetalLB labels its metrics, with the interface and the source where they are configured; `interface:port` for a router
   * that is found there.
   */
  readonly key: string;
  /** As it is for this node: with `discovery` by advertisements its `interface` is the one on which the router is looked for. */
  readonly peer: Peer;
}

/** A node's own facts, and those about the routers around it. */
export interface Surroundings {
  /** The node's name. */
  readonly node: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Names of its Ethernet interfaces. */
  readonly interfaces: readonly string[];
  /** The next hops of its default routes, by the family of the route. */
  readonly gateways: Readonly<Record<Family, readonly DefaultGateway[]>>;
}

export interface DefaultGateway {
  readonly address: Address;
  /** Name. */
  readonly interface: string;
  /** The route's metric: the lowest counts. */
  readonly metric: number;
  /** The route is gone. Until then its gateway counts, unless one does whose route is there, or went later. */
  readonly keptUntil?: Millis;
}

/**
 * The peers that a node has sessions with, in the order of the file. Among several peers with the same key, which one router cannot
 * distinguish, it is the first; peers beyond `limits.peersOfNode` have no session. @param labels see `eligibility`
 * @param around undefined for a node of which that is not known: an entry that finds its routers is one peer then
 */
export function nodePeers(peers: readonly Peer[], labels: Labels | undefined, around?: Surroundings): readonly NodePeer[] {
  return peersFor(peers, labels, around).slice(0, limits.peersOfNode);
}

/** All peers that are meant for a node, in the same order. */
export function peersFor(peers: readonly Peer[], labels: Labels | undefined, around?: Surroundings): readonly NodePeer[] {
  const found = new Map<string, NodePeer>(); // key -> peer
  for (const entry of peers) {
    if (entry.disabled || !isSelected(entry.nodeSelectors, labels)) continue;
    for (const peer of foundBy(entry, labels ?? {}, around)) {
      const key = peerKey(peer);
      if (!found.has(key)) found.set(key, { key, peer });
    }
  }
  return [...found.values()];
}

/** The entry as it is for each router that it means. */
function foundBy(given: Peer, labels: Labels, around: Surroundings | undefined): readonly Peer[] {
  if (around === undefined) return [given];
  return peersOfNode(given, { labels, annotations: around.annotations }).flatMap((entry) => {
    if (typeof entry === "string") {
      const what = `Node ${around.node} gives this peer no values: ${entry}`;
      // The key of its password may be one of these values: it waits for none.
      return [{ ...given, passwordSecret: undefined, refusal: { by: "node", what } as const }];
    }
    const { discovery } = entry;
    if (discovery === undefined) return [entry];
    const found = discovery.by === "gateway" ? byGateway(entry, discovery, around) : byInterface(entry, discovery, around);
    return found.length === 0 ? [entry] : found;
  });
}

type By<How> = Extract<NonNullable<Peer["discovery"]>, { by: How }>;

function byInterface(entry: Peer, discovery: By<"advertisements">, { interfaces }: Surroundings): readonly Peer[] {
  return discovery.interfaces
    .flatMap((name) => (/[*?]/.test(name) ? interfaces.filter((each) => matchesInterface([name], each)).sort() : [name]))
    .map((name) => ({ ...entry, interface: name, discovery: { ...discovery, interfaces: [name] } }));
}

/** Several where the best default route has several next hops (ECMP). One where IPv4 has the IPv6 router as its next hop. */
function byGateway(entry: Peer, discovery: By<"gateway">, { gateways }: Surroundings): readonly Peer[] {
  const hops = discovery.families.flatMap((family) => {
    const meant = gateways[family].filter((one) => matchesInterface(discovery.interfaces, one.interface));
    return bestOf(meant).map(({ address, interface: device }) => {
      return { family, address, device: isLinkLocal(address) ? device : undefined };
    });
  });
  return [...Map.groupBy(hops, ({ address, device }) => `${address}%${device}`).values()].flatMap((same): Peer[] => {
    const families = discovery.families.filter((family) => same.some((hop) => hop.family === family));
    return same.slice(0, 1).map(({ address, device }) => ({
      ...entry,
      address,
      interface: device,
      families: discovery.hasBoth ? families : entry.families,
      discovery: { ...discovery, families, interfaces: [] },
    }));
  });
}

/** The gateways of the best default route. */
function bestOf(gateways: readonly DefaultGateway[]): readonly DefaultGateway[] {
  const latest = Math.max(...gateways.map(({ keptUntil = Infinity }) => keptUntil));
  const those = gateways.filter(({ keptUntil = Infinity }) => keptUntil === latest);
  const metric = Math.min(...those.map((one) => one.metric));
  return those.filter((one) => one.metric === metric).sort((a, b) => (`${a.address}` < `${b.address}` ? -1 : 1));
}

/** See `NodePeer`. */
export function peerKey(peer: Peer): string {
  const { address, interface: device, port, sourceAddress, sourceInterface } = peer;
  if (address === undefined) return `${device ?? describeRouter(peer)}:${port}`;
  const host = address.family === "IPv6" ? `[${address}${device === undefined ? "" : `%${device}`}]` : `${address}`;
  const source = sourceAddress ?? sourceInterface;
  return `${host}:${port}${source === undefined ? "" : ` from ${source}`}`;
}

/** An advertisement that this node makes. */
export interface Advertised {
  readonly advertisement: BgpAdvertisement;
  /** Keys of the peers that it is made to, by the family of the route; not none of both. */
  readonly peers: Readonly<Record<Family, readonly string[]>>;
  /** Its place among all advertisements of the configuration: of several for one prefix and peer, the last one counts. */
  readonly order: number;
  /** Next hops in place of this node. */
  readonly slots: SlotPaths;
  /** Families that the node brings to no Pods: routers are to prefer other nodes. */
  readonly lastResort?: readonly Family[];
  /** The one node that a central speaker's route leads to, where routes weigh nodes. */
  readonly node?: string | undefined;
}

/** One of several paths of a route (RFC 7911). */
export interface NextHopPath {
  /** 1 or more: the path identifier. */
  readonly path: number;
  readonly nextHop: Address;
  /** This node owns the next hop. */
  readonly isOwn: boolean;
}

/** Next-hop slots that this node gives to its routers, by family; a family without slots of its own in the pool is absent. */
export type SlotPaths = ReadonlyMap<Family, readonly NextHopPath[]>;

/** What this node can do for the addresses of one pool with protocol `bgp`, or for those of some Services. */
export interface PoolAdvertisements extends InterfaceNode {
  /** The pool's, in order; undefined in the place of one that is for other Services. */
  readonly entries: readonly (BgpAdvertisement | undefined)[];
  readonly advertised: readonly Advertised[];
  readonly slots: SlotPaths;
}

/** One route for an address. */
export interface BgpRoute {
  readonly prefix: Prefix;
  readonly via: Advertised;
  /**
   * This node's share of the traffic for the address, in endpoints. Under `Local` these are the ready ones of the node. Under `Cluster`,
   * where each node passes traffic on to all endpoints, every node is as good as one endpoint. At least 1.
   */
  readonly weight: number;
}

/** What this node advertises for one address. `owner`, `candidates` and `contenders` are empty: each node announces by itself. */
export interface BgpPlacement extends AddressPlacement {
  readonly routes: readonly BgpRoute[];
  /** This node sees a ready endpoint of its own for a `Local` Service on the address. */
  readonly isLocalHere: boolean;
}

export function isByBgp(placement: AddressPlacement): placement is BgpPlacement {
  return placement.protocol === "bgp";
}

export interface PoolAdvertisementsOptions {
  readonly pool: Pool;
  /** How many advertisements the pools before it have. */
  readonly order: number;
  readonly node: string;
  /** Undefined while there is no Node object: see `eligibility`. */
  readonly labels: Labels | undefined;
  readonly eligibility: Eligibility;
  /** Peers of the node. */
  readonly peers: readonly NodePeer[];
  /** See `PoolAdvertisements`; absent for all of the pool's as they are. */
  readonly entries?: PoolAdvertisements["entries"];
  /** None where it does not matter which next hops the routes have. */
  readonly slots?: SlotPaths;
  /** See `Advertised`. */
  readonly lastResort?: readonly Family[];
}

const noSlots: SlotPaths = new Map();

export function poolAdvertisements({
  pool,
  order,
  node,
  labels,
  eligibility,
  peers,
  entries = pool.advertisements,
  slots = noSlots,
  lastResort = [],
}: PoolAdvertisementsOptions): PoolAdvertisements {
  const recipients = new Recipients(peers);
  const advertised: Advertised[] = [];
  for (const [index, advertisement] of [...entries.entries()].reverse()) {
    if (advertisement === undefined || !isSelected(advertisement.nodeSelectors, labels)) continue;
    const peers = recipients.take(advertisement);
    if (peers.IPv4.length > 0 || peers.IPv6.length > 0)
      advertised.push({ advertisement, peers, order: order + index, slots, lastResort });
  }
  return { pool, node, eligibility, entries, advertised: advertised.reverse(), slots };
}

/**
 * Finds the peers of each advertisement of a pool, from the last to the first: among several for the same prefixes a peer hears the last
 * one alone. So the number of announcements for an address is at most peers times lengths of prefixes, however many advertisements there
 * are. Advertisements of one length are for different prefixes under `Local`, where some of them keep more-specifics.
 */
class Recipients {
  readonly #peers: PeersByName;
  readonly #served: Readonly<Record<Family, Map<string, Set<string>>>> = { IPv4: new Map(), IPv6: new Map() }; // length and kind -> keys

  constructor(peers: readonly NodePeer[]) {
    this.#peers = peersByName(peers);
  }

  /** To be called for the last advertisement first. */
  take(advertisement: BgpAdvertisement): Advertised["peers"] {
    return { IPv4: this.#take(advertisement, "IPv4"), IPv6: this.#take(advertisement, "IPv6") };
  }

  #take(advertisement: BgpAdvertisement, family: Family): readonly string[] {
    const prefixes = `${aggregationLength(advertisement, family)} ${advertisement.keepMoreSpecifics}`;
    const { byName, all } = this.#peers;
    const { keys, list } = all[family];
    const served = this.#served[family].get(prefixes) ?? new Set();
    if (served.size === keys.size) return [];
    const { peers: names } = advertisement;
    const named = names.flatMap((name) => byName.get(name) ?? []);
    const asked = names.length === 0 ? list : keysOf(named, family);
    const found = served.size === 0 ? asked : asked.filter((key) => !served.has(key));
    if (names.length > 0) for (const key of found) served.add(key);
    this.#served[family].set(prefixes, names.length === 0 ? keys : served);
    return found;
  }
}

interface PeersByName {
  readonly byName: ReadonlyMap<string | undefined, readonly NodePeer[]>;
  readonly all: Readonly<Record<Family, { readonly list: readonly string[]; readonly keys: Set<string> }>>;
}

const known = new WeakMap<readonly NodePeer[], PeersByName>(); // Thousands of advertisements have the same peers.

function peersByName(peers: readonly NodePeer[]): PeersByName {
  const allOf = (family: Family) => {
    const list = keysOf(peers, family);
    return { list, keys: new Set(list) };
  };
  const made = known.get(peers) ?? {
    byName: Map.groupBy(peers, ({ peer }) => peer.name),
    all: { IPv4: allOf("IPv4"), IPv6: allOf("IPv6") },
  };
  known.set(peers, made);
  return made;
}

function keysOf(peers: readonly NodePeer[], family: Family): readonly string[] {
  return [...new Set(peers.flatMap(({ key, peer }) => (peer.families.includes(family) ? [key] : [])))];
}

/** Nodes that serve an address in this node's stead. */
export interface Elsewhere {
  /**
   * This node's view of the API is old, and nodes with a current one announce the address: these know where endpoints are. A route of this node
   * could lead to none, where routers share traffic between nodes.
   */
  readonly isLocalElsewhere: boolean;
  /** They deliver to Pods and have routes, and this node does not deliver; else none. */
  readonly delivering: readonly string[];
}

const nowhereElse: Elsewhere = { isLocalElsewhere: false, delivering: [] };

/**
 * This node's announcements by BGP for one address: under `Cluster` when any endpoint is ready, under `Local` when this node has a ready
 * endpoint; other nodes do not matter. The route is there while any of the Services on the address wants it.
 */
export function placeBgp(
  address: Address,
  holders: readonly Holder[],
  advertisements: PoolAdvertisements,
  elsewhere = nowhereElse,
): BgpPlacement {
  const verdicts = new Map<string, PlacementResult>();
  let weight = 0;
  let isLocalHere = false;
  for (const holder of holders) {
    const verdict = judge(address.family, holder, advertisements, elsewhere);
    verdicts.set(holder.service, verdict);
    if (verdict.announced) weight += weightOf(holder, advertisements.node);
    if (verdict.announced || verdict.reason === "apiViewOld") isLocalHere ||= holder.externalTrafficPolicy === "Local";
  }
  return {
    ...ownerless(address, advertisements.pool, "bgp", verdicts),
    routes: weight > 0 ? routes(address, holders, weight, advertisements) : none,
    isLocalHere,
  };
}

// One for all of the many addresses of a speaker, which keeps the verdicts for each.
const none: readonly never[] = [];
const announced: PlacementResult = { announced: true };
const localBySlots: PlacementResult = { announced: false, reason: "localBySlots" };

function routes(
  address: Address,
  holders: readonly Holder[],
  weight: number,
  { advertised, slots }: PoolAdvertisements,
): readonly BgpRoute[] {
  if (slots.get(address.family)?.length === 0) return none; // Other nodes have the slots.
  const toPrefix = prefixOf(address, holders);
  const all = advertised.filter(isFor(address.family)).map((via) => ({ prefix: toPrefix(via), via, weight }));
  return withoutReplaced(all);
}

/** Without routes in whose place all of their peers hear a later advertisement of the same prefix: one of them keeps more-specifics then. */
export function withoutReplaced(routes: readonly BgpRoute[]): readonly BgpRoute[] {
  if (!routes.some(({ via }) => via.advertisement.keepMoreSpecifics)) return routes;
  const isReplaced = ({ prefix, via }: BgpRoute): boolean => {
    const { family } = prefix;
    const later = routes.filter((other) => other.via.order > via.order && other.prefix.equals(prefix));
    return via.peers[family].every((peer) => later.some((other) => other.via.peers[family].includes(peer)));
  };
  return routes.filter((route) => !isReplaced(route));
}

/** The prefix of an address in each advertisement: not all nodes have traffic for one of policy `Local`, so that an aggregate would mislead it. */
export function prefixOf(address: Address, holders: readonly Holder[]): (via: Pick<Advertised, "advertisement">) => Prefix {
  const isLocal = holders.some(({ isAllowed, externalTrafficPolicy }) => isAllowed && externalTrafficPolicy === "Local");
  return ({ advertisement }) => {
    const isOwn = isLocal && advertisement.keepMoreSpecifics;
    return new Prefix(address, isOwn ? address.bits : aggregationLength(advertisement, address.family));
  };
}

function isFor(family: Family): (advertised: Advertised) => boolean {
  return ({ peers }) => peers[family].length > 0;
}

function judge(
  family: Family,
  { isAllowed, endpoints, externalTrafficPolicy }: Holder,
  { node, eligibility, entries, advertised, slots }: PoolAdvertisements,
  { isLocalElsewhere, delivering }: Elsewhere,
): PlacementResult {
  if (!isAllowed) return { announced: false, reason: "ipNotAllowed" };
  const ready = endpointsInUse(endpoints);
  if (ready.length === 0) return { announced: false, reason: "noReadyEndpoint" };
  if (entries.every((entry) => entry === undefined)) return { announced: false, reason: "notAdvertised" };
  if (eligibility === "outOfService") return { announced: false, reason: "noActiveSpeaker" };
  if (eligibility !== "eligible") return { announced: false, reason: "nodeExcluded", nodes: [node] };
  if (slots.has(family)) return externalTrafficPolicy === "Local" ? localBySlots : announced; // Routes to slots may be static.
  if (!advertised.some(isFor(family))) return { announced: false, reason: "noPeer" };
  if (isServedBy(delivering, { externalTrafficPolicy }, ready)) return { announced: false, reason: "cannotDeliver" };
  if (externalTrafficPolicy === "Cluster") return announced;
  if (!ready.some(({ nodeName }) => nodeName === node)) return { announced: false, reason: "noReadyEndpointOnNode" };
  return isLocalElsewhere ? { announced: false, reason: "apiViewOld" } : announced;
}

function weightOf({ endpoints, externalTrafficPolicy }: Holder, node: string): number {
  if (externalTrafficPolicy === "Cluster") return 1;
  return endpointsInUse(endpoints).reduce((sum, { nodeName, count }) => (nodeName === node ? sum + count : sum), 0);
}
