import { hasOwners, layer2PoolFor, type Pool, PoolIndex, type Protocol } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import {
  type AddressPlacement,
  type Choose,
  isDrained,
  isOnLan,
  oldestOf,
  type PlacementRefusal,
  type PoolNodes,
  place,
  placeNowhere,
  placeOnInterface,
  poolNodes,
  preferenceWeight,
  StickyOwners,
} from "#pkg/placement";
import { BgpRoutes, type Route } from "./place-by-bgp.ts";
import { common, eligibilityOf, labelsOf, type Placed, refusals, refusalsOfAll } from "./placed.ts";
import { type ClusterState, type HeldAddress, heldAddresses } from "./state.ts";

export interface Placements {
  readonly addresses: ReadonlyMap<string, Placed>; // address, and which of its pool's protocols -> where
  readonly routes: ReadonlyMap<string, Route>; // prefix, peer and attributes -> the route
}

/** Places all addresses in use, as all speakers do that have the same view. */
export function placeAll(state: ClusterState): Placements {
  const pools = new PoolIndex(state.config.pools);
  const owned = new Owned(state);
  const bgp = new BgpRoutes(state);
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
  readonly #services: ReadonlyMap<string, Service>;

  constructor(state: ClusterState) {
    this.#state = state;
    this.#services = new Map(state.services.map((service) => [service.key, service]));
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
    const first = oldestOf(holders)?.service ?? "";
    const own = layer2PoolFor(pool, this.#services.get(first), this.#state.namespaces);
    const those = own === undefined ? holders.map((holder) => ({ ...holder, isAdvertised: false })) : holders;
    return place(address, those, this.#nodesOf(own?.pool ?? pool), undefined, this.#isSticky(pool) ? choose : undefined);
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
      () => [],
      (node) => preferenceWeight(pool, labels.get(node)),
      (node) => isDrained(labels.get(node), this.#state.nodes.find(({ name }) => name === node)?.taints),
    );
    this.#nodes.set(pool, nodes);
    return nodes;
  }
}

/** Each node has the addresses in its kernel that it can serve. */
function placeInKernels(state: ClusterState, held: HeldAddress, pool: Pool): Placed {
  const { address, holders } = held;
  const each = state.active.map((node) =>
    placeOnInterface(address, holders, { pool, node, eligibility: eligibilityOf(state, pool.nodeSelectors, node) }),
  );
  const nodes = state.active.filter((_, index) => each[index]?.prefixLength !== undefined);
  return {
    ...common(held),
    pool: pool.name,
    protocol: "interface",
    isOwned: false,
    nodes,
    refusals: refusalsOfAll(held, each, state.active),
  };
}
