import {
  advertisementsFor,
  differByService,
  formatCommunity,
  hasOwners,
  type LabelSelector,
  type Pool,
  PoolIndex,
  type Protocol,
} from "#pkg/config";
import type { Service } from "#pkg/k8s";
import type { Address } from "#pkg/net";
import {
  type AddressPlacement,
  type BgpRoute,
  type Choose,
  eligibility,
  isByBgp,
  isDrained,
  isOnLan,
  type NodePeer,
  nodePeers,
  oldestOf,
  type PlacementRefusal,
  type PoolAdvertisements,
  type PoolNodes,
  place,
  placeBgp,
  placeNowhere,
  placeOnInterface,
  poolAdvertisements,
  poolNodes,
  preferenceWeight,
  StickyOwners,
} from "#pkg/placement";
import { type ClusterState, type HeldAddress, heldAddresses } from "./state.ts";

/** Where one address is announced by one protocol. */
export interface Placed {
  readonly address: string;
  readonly pool: string | undefined;
  readonly protocol: Protocol | undefined;
  /** See `AddressPlacement`. */
  readonly isOwned: boolean;
  /** Services with it in their status. */
  readonly services: readonly string[];
  /** Nodes that announce it, sorted: one at most where it is owned. */
  readonly nodes: readonly string[];
  readonly refusals: ReadonlyMap<string, PlacementRefusal>; // service key -> why no node announces it for this one
}

export interface Placements {
  readonly addresses: ReadonlyMap<string, Placed>; // address, and which of its pool's protocols -> where
  readonly routes: ReadonlyMap<string, Route>; // prefix, peer and attributes -> the route
}

/** A route that routers get by BGP. */
export interface Route {
  readonly prefix: string;
  /** Key of the peer. */
  readonly peer: string;
  /** In words, such as `local-pref 100, communities 65000:1`; empty for a route with none. */
  readonly attributes: string;
  readonly nodes: Set<string>;
}

/** Places all addresses in use, as all speakers do that have the same view. */
export function placeAll(state: ClusterState): Placements {
  const pools = new PoolIndex(state.config.pools);
  const owned = new Owned(state);
  const bgp = new Bgp(state);
  const held = [...heldAddresses(state).values()];
  const poolOf = new Map(held.map((one) => [one, pools.find(one.address)]));
  for (const [one, pool] of poolOf) if (pool !== undefined && owned.has(one, pool)) owned.announceSticky(one, pool);
  owned.settle();
  const by: Readonly<Record<Protocol, (held: HeldAddress, pool: Pool) => Placed>> = {
    layer2: (one, pool) => owned.place(one, pool),
    bgp: (one, pool) => bgp.place(one, pool),
    interface: (one, pool) => (owned.isOnLan(one, pool) ? owned.place(one, pool) : placeInKernels(state, one, pool)),
  };
  const addresses = new Map<string, Placed>();
  for (const [one, pool] of poolOf) {
    const placed =
      pool === undefined || pool.protocols.length === 0
        ? [nowhere(one, pool)]
        : pool.protocols.map((protocol) => by[protocol](one, pool));
    for (const [index, each] of placed.entries()) addresses.set(`${each.address} ${index}`, withRefused(each, one.refused));
  }
  return { addresses, routes: bgp.routes };
}

const sharedByTooMany: PlacementRefusal = { announced: false, reason: "sharedByTooMany" };

function withRefused(placed: Placed, refused: readonly string[]): Placed {
  const refusals = new Map([...placed.refusals, ...refused.map((service) => [service, sharedByTooMany] as const)]);
  return { ...placed, services: [...placed.services, ...refused], refusals };
}

function nowhere(held: HeldAddress, pool: Pool | undefined): Placed {
  const { verdicts } = placeNowhere(held.address, held.holders, pool?.name);
  return { ...common(held), pool: pool?.name, protocol: undefined, isOwned: false, nodes: [], refusals: refusals(verdicts) };
}

/** Addresses that have an owner. */
class Owned {
  readonly #state: ClusterState;
  readonly #nodes = new Map<Pool, PoolNodes>();
  readonly #sticky: StickyOwners;

  constructor(state: ClusterState) {
    this.#state = state;
    const { active, owners } = state;
    // The view of a speaker that owns nothing itself, and knows the gossip of all others.
    this.#sticky = new StickyOwners("", {
      isParticipating: (node) => active.includes(node),
      owners: (address) => {
        const owner = owners.get(address);
        return owner !== undefined && active.includes(owner) ? [owner] : [];
      },
      viewUncertainty: () => 0,
      own() {},
      release() {},
      repeat() {},
    });
  }

  has(held: HeldAddress, pool: Pool): boolean {
    return pool.protocols.includes("layer2") || this.isOnLan(held, pool);
  }

  /** Whether the address is on a NIC of its owner. */
  isOnLan({ address }: HeldAddress, pool: Pool): boolean {
    return hasOwners(pool) && isOnLan(address, this.#nodesOf(pool));
  }

  /** All sticky addresses together decide which nodes have room for more. */
  announceSticky(held: HeldAddress, pool: Pool): void {
    if (this.#isSticky(pool)) this.#place(held, pool);
  }

  settle(): void {
    this.#sticky.settle(0);
  }

  place(held: HeldAddress, pool: Pool): Placed {
    const { protocol, owner, verdicts } = this.#place(held, pool);
    const nodes = owner === undefined ? [] : [owner];
    return { ...common(held), pool: pool.name, protocol, isOwned: true, nodes, refusals: refusals(verdicts) };
  }

  #place({ address, holders }: HeldAddress, pool: Pool): AddressPlacement {
    const before = this.#state.owners.get(address.toString());
    const choose: Choose = (candidates, first, weights) => this.#sticky.place({ address, first, candidates, weights, before }, 0);
    return place(address, holders, this.#nodesOf(pool), undefined, this.#isSticky(pool) ? choose : undefined);
  }

  /** Without reports of all nodes there is no ring on which they could agree. */
  #isSticky({ l2Placement }: Pool): boolean {
    const { active, reachability } = this.#state;
    return l2Placement.sticky && active.every((node) => typeof reachability.get(node) === "object");
  }

  #nodesOf(pool: Pool): PoolNodes {
    const known = this.#nodes.get(pool);
    if (known !== undefined) return known;
    const { active, reachability } = this.#state;
    const labels = labelsOf(this.#state);
    const nodes = poolNodes(
      pool,
      active,
      (node) => eligibilityOf(this.#state, pool.nodeSelectors, node),
      (node) => reachability.get(node) ?? "notReported",
      () => "current",
      [],
      (node) => preferenceWeight(pool, labels.get(node)),
      (node) => isDrained(labels.get(node), this.#state.nodes.find(({ name }) => name === node)?.taints),
    );
    this.#nodes.set(pool, nodes);
    return nodes;
  }
}

class Bgp {
  readonly routes = new Map<string, Route>();
  readonly #state: ClusterState;
  readonly #peers: ReadonlyMap<string, readonly NodePeer[]>; // node -> its peers
  readonly #advertisements = new Map<Pool, Map<string, readonly PoolAdvertisements[]>>(); // pool -> for Services with equal ones -> those of each node
  readonly #services: ReadonlyMap<string, Service>;

  constructor(state: ClusterState) {
    this.#state = state;
    this.#peers = peersOf(state);
    this.#services = new Map(state.services.map((service) => [service.key, service]));
  }

  place(held: HeldAddress, pool: Pool): Placed {
    const each = this.#advertisementsOf(pool, oldestOf(held.holders)?.service).map((advertisements) =>
      placeBgp(held.address, held.holders, advertisements),
    );
    const nodes: string[] = [];
    for (const [index, placement] of each.entries()) {
      const node = this.#state.active[index] as string;
      if (!isByBgp(placement) || placement.routes.length === 0) continue;
      nodes.push(node);
      for (const route of placement.routes) this.#add(route, held.address, node);
    }
    return { ...common(held), pool: pool.name, protocol: "bgp", isOwned: false, nodes, refusals: refusalsOfAll(held, each) };
  }

  #add({ prefix, via }: BgpRoute, { family }: Address, node: string): void {
    const attributes = attributesOf(via.advertisement, family);
    for (const peer of via.peers[family]) {
      const key = `${prefix} ${peer} ${attributes}`;
      const known = this.routes.get(key);
      if (known !== undefined) known.nodes.add(node);
      else this.routes.set(key, { prefix: prefix.toString(), peer, attributes, nodes: new Set([node]) });
    }
  }

  #advertisementsOf(pool: Pool, key: string | undefined): readonly PoolAdvertisements[] {
    const service = differByService(pool) && key !== undefined ? this.#services.get(key) : undefined;
    const own = service && advertisementsFor(pool, service, this.#state.namespaces);
    const byKey = this.#advertisements.get(pool) ?? new Map<string, readonly PoolAdvertisements[]>();
    this.#advertisements.set(pool, byKey);
    const known = byKey.get(own?.key ?? "");
    if (known !== undefined) return known;
    const labels = labelsOf(this.#state);
    const all = this.#state.active.map((node) =>
      poolAdvertisements({
        pool,
        order: 0,
        node,
        labels: labels.get(node),
        eligibility: eligibilityOf(this.#state, [], node),
        peers: this.#peers.get(node) ?? [],
        ...(own !== undefined && { entries: own.advertisements }),
      }),
    );
    byKey.set(own?.key ?? "", all);
    return all;
  }
}

/** Each node has the addresses in its kernel that it can serve. */
function placeInKernels(state: ClusterState, held: HeldAddress, pool: Pool): Placed {
  const { address, holders } = held;
  const each = state.active.map((node) =>
    placeOnInterface(address, holders, { pool, node, eligibility: eligibilityOf(state, pool.nodeSelectors, node) }),
  );
  const nodes = state.active.filter((_, index) => each[index]?.prefixLength !== undefined);
  return { ...common(held), pool: pool.name, protocol: "interface", isOwned: false, nodes, refusals: refusalsOfAll(held, each) };
}

/** The BGP peers of every node with an active speaker. */
export function peersOf(state: ClusterState): ReadonlyMap<string, readonly NodePeer[]> {
  const labels = labelsOf(state);
  return new Map(state.active.map((node) => [node, nodePeers(state.config.peers, labels.get(node))]));
}

function labelsOf({ nodes }: ClusterState) {
  return new Map(nodes.map(({ name, labels }) => [name, labels]));
}

/** @param selectors those of the protocol; by BGP advertisements have their own */
function eligibilityOf({ nodes, ignoreExcludeLabel }: ClusterState, selectors: readonly LabelSelector[], name: string) {
  const node = nodes.find((one) => one.name === name);
  return eligibility(selectors, node?.labels, ignoreExcludeLabel, node?.taints);
}

function common({ address, holders }: HeldAddress): Pick<Placed, "address" | "services"> {
  return { address: address.toString(), services: holders.map(({ service }) => service) };
}

function refusals(verdicts: AddressPlacement["verdicts"]): Map<string, PlacementRefusal> {
  const found = new Map<string, PlacementRefusal>();
  for (const [service, verdict] of verdicts) if (!verdict.announced) found.set(service, verdict);
  return found;
}

/** By BGP each node decides for itself: a Service is refused where every node refuses it, and the first one says why. */
function refusalsOfAll({ holders }: HeldAddress, each: readonly AddressPlacement[]): Map<string, PlacementRefusal> {
  const [first, ...others] = each.map(({ verdicts }) => refusals(verdicts));
  if (first === undefined)
    return new Map(holders.map(({ service }) => [service, { announced: false, reason: "noActiveSpeaker" } as const]));
  for (const service of first.keys()) if (others.some((one) => !one.has(service))) first.delete(service);
  return first;
}

function attributesOf(advertisement: BgpRoute["via"]["advertisement"], family: Address["family"]): string {
  const { localPref, communities, med, asPathPrepend, nextHop, nextHopV6, weightByEndpoints } = advertisement;
  const hop = family === "IPv4" ? nextHop : nextHopV6;
  const given: readonly (readonly [string, string])[] = [
    ["local-pref", localPref === undefined ? "" : `${localPref}`],
    ["communities", communities.map(formatCommunity).join(" ")],
    ["med", med === undefined ? "" : `${med}`],
    ["as-path-prepend", asPathPrepend === 0 ? "" : `${asPathPrepend}`],
    ["next-hop", hop === undefined ? "" : `${hop}`],
    ["weight-by-endpoints", weightByEndpoints ? "yes" : ""],
  ];
  return given.flatMap(([name, value]) => (value === "" ? [] : [`${name} ${value}`])).join(", ");
}
