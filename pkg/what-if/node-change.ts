import type { PlacementRefusal } from "#pkg/placement";
import { type Placements, placeAll } from "./place-all.ts";
import type { Placed } from "./placed.ts";
import type { ClusterState } from "./state.ts";

/** An address that other nodes announce than before. */
export interface MovedAddress extends Pick<Placed, "address" | "pool" | "protocol" | "services"> {
  /** Nodes; those that stay among them. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** A Service that is announced on an address now, and would not be. */
export interface LostAddress {
  readonly address: string;
  readonly service: string;
  readonly why: PlacementRefusal["reason"];
}

/** Differences in another state of the cluster, with the same configuration and addresses. */
export interface NodeChange {
  readonly moved: readonly MovedAddress[];
  readonly lost: readonly LostAddress[];
  /** Addresses that stay where they are. */
  readonly stay: number;
  readonly load: readonly NodeLoad[];
  /** Prefixes that routers have by fewer nodes, or no longer. */
  readonly prefixes: readonly {
    readonly prefix: string;
    readonly peer: string;
    readonly before: number;
    readonly after: number;
  }[];
}

/** How many addresses a node announces by layer 2. */
export interface NodeLoad {
  readonly node: string;
  readonly before: number;
  readonly after: number;
}

/** Compares what is placed in two states of one cluster. */
export function nodeChange(before: ClusterState, after: ClusterState): NodeChange {
  const [now, then] = [placeAll(before), placeAll(after)];
  const moved: MovedAddress[] = [];
  const lost: LostAddress[] = [];
  let stay = 0;
  for (const [address, all] of byAddress(now)) {
    const others = all.map(([key]) => then.addresses.get(key) as Placed); // The Services, their addresses and protocols are the same.
    const was = all.map(([, placed]) => placed);
    const gone = refusedByAll(others).filter(([service]) => was.some(({ refusals }) => !refusals.has(service)));
    for (const [service, { reason }] of gone) lost.push({ address, service, why: reason });
    const isAnnounced = others.some(({ nodes }) => nodes.length > 0);
    const elsewhere = was.flatMap(({ pool, protocol, services, nodes }, index): MovedAddress[] => {
      const after = others[index]?.nodes ?? [];
      return isAnnounced && nodes.join() !== after.join() ? [{ address, pool, protocol, services, before: nodes, after }] : [];
    });
    moved.push(...elsewhere);
    if (gone.length === 0 && elsewhere.length === 0 && was.some(({ nodes }) => nodes.length > 0)) stay++;
  }
  return { moved, lost, stay, load: loads(before, now, then), prefixes: fewerNodes(now, then) };
}

/** Address -> by each of its pool's protocols. */
function byAddress({ addresses }: Placements) {
  return Map.groupBy(addresses, ([, { address }]) => address);
}

/** A Service is refused on an address where each of its pool's protocols refuses it, and the first one says why. */
function refusedByAll(each: readonly Placed[]): readonly (readonly [string, PlacementRefusal])[] {
  const [first, ...others] = each.map(({ refusals }) => refusals);
  return [...(first ?? [])].filter(([service]) => others.every((refusals) => refusals.has(service)));
}

function loads({ active }: ClusterState, now: Placements, then: Placements): NodeLoad[] {
  const count = ({ addresses }: Placements) => {
    const counts = new Map<string | undefined, number>();
    for (const {
      isOwned,
      nodes: [node],
    } of addresses.values())
      if (isOwned) counts.set(node, (counts.get(node) ?? 0) + 1);
    return counts;
  };
  const [before, after] = [count(now), count(then)];
  return active.map((node) => ({ node, before: before.get(node) ?? 0, after: after.get(node) ?? 0 }));
}

function fewerNodes(now: Placements, then: Placements): NodeChange["prefixes"] {
  return [...now.routes].flatMap(([key, { prefix, peer, nodes }]) => {
    const after = then.routes.get(key)?.nodes.size ?? 0;
    return after < nodes.size ? [{ prefix, peer, before: nodes.size, after }] : [];
  });
}
