import type { Millis } from "#pkg/clock";
import type { Address } from "#pkg/net";
import { compareRank, rank } from "../election.ts";
import type { StickyData } from "./sticky-data.ts";
import { isFollower, type Unit } from "./sticky-unit.ts";

/** The speakers as their gossip describes them; this node's ownership goes there too. */
export interface OwnershipGossip {
  isParticipating(node: string): boolean;
  /** Nodes that participate and own the address, this one included. */
  owners(address: string): readonly string[];
  /** How uncertain a node's view of the others is, as it has reported. */
  viewUncertainty(node: string): number;
  own(address: Address): void;
  release(address: Address): void;
  /** Reports once more whether this node owns the address. */
  repeat(address: Address): void;
}

// Between two candidates that could take an address which the one before does not take. Gossip takes a tenth of it.
const stepMs: Millis = 700;
const maxSteps = 3;
// Speakers see what changes in the API up to some seconds apart: so long an owner may not know that it is no candidate.
export const graceMs: Millis = 4_000;
// From when an address is given away until this node keeps it after all.
const giveAwayMs: Millis = 4_000;

/** Among the owners that are candidates, the one that the others yield to. */
export function keeperOf(
  gossip: OwnershipGossip,
  first: string,
  candidates: readonly string[],
  owners: readonly string[],
): string | undefined {
  if (owners.length === 0) return undefined;
  const able = owners.filter((node) => candidates.includes(node));
  if (able.length < 2) return able[0];
  const uncertainty = (node: string) => gossip.viewUncertainty(node);
  return able.sort((a, b) => uncertainty(a) - uncertainty(b) || compareRank(first, a, b))[0];
}

/**
 * The node that is to have an address that nobody keeps; undefined without candidates. Where no address has more candidates than another,
 * there is one with less than its share: else they had more than there are.
 */
export function choose(
  at: StickyData,
  unit: Unit,
  held: ReadonlyMap<string, number>,
  chosenForFirst: string | undefined,
): string | undefined {
  const { key, first, preferred } = unit;
  const together = isFollower(unit)
    ? [chosenForFirst ?? at.units.get(first)?.keeper]
    : [...(at.followers.get(key) ?? [])].map(({ keeper }) => keeper);
  for (const node of together) if (node !== undefined && preferred.includes(node)) return node;
  if (at.isEven) {
    const least = Math.min(...preferred.map((node) => held.get(node) ?? 0));
    return lowest(
      first,
      preferred.filter((node) => (held.get(node) ?? 0) === least),
    );
  }
  const share = shareOf(at, preferred);
  const withRoom = isFollower(unit) ? preferred : preferred.filter((node) => (held.get(node) ?? 0) < share);
  return lowest(first, withRoom.length > 0 ? withRoom : preferred);
}

/** How many addresses each of the nodes has where all have the same number, rounded up. */
export function shareOf({ firsts }: StickyData, nodes: readonly string[]): number {
  return Math.ceil(firsts.size / nodes.length);
}

/**
 * How many addresses a node keeps once the nodes have been the same for long. Where numbers cannot be equal, the nodes that
 * have most addresses now keep the one more, so that no address moves for it.
 */
export function restShare(at: StickyData, node: string, nodes: readonly string[]): number {
  if (!at.isEven) return shareOf(at, nodes) + 1;
  const sizeOf = (one: string) => at.kept.get(one)?.size ?? 0;
  const before = nodes.filter((one) => sizeOf(one) > sizeOf(node) || (sizeOf(one) === sizeOf(node) && one < node)).length;
  const rest = at.firsts.size % nodes.length;
  return Math.floor(at.firsts.size / nodes.length) + (before < rest ? 1 : 0);
}

/** How long this node waits for others to take what nobody keeps. @param node this one */
export function waitMs({ candidates, preferred, first, owners, isGivenAway }: Unit, node: string, chosen: string): Millis {
  const grace = owners.length > 0 ? graceMs : 0;
  if (isGivenAway) return grace + giveAwayMs;
  if (chosen === node) return grace;
  const isFirstChoice = (one: string) => Number(preferred.includes(one));
  const comparedToThis = (one: string) => isFirstChoice(node) - isFirstChoice(one) || compareRank(first, one, node);
  const ahead = candidates.filter((one) => one !== chosen && comparedToThis(one) < 0).length;
  return grace + stepMs * Math.min(ahead + 1, maxSteps);
}

function lowest(address: string, nodes: readonly string[]): string | undefined {
  let best: { readonly node: string; readonly rank: number } | undefined;
  for (const node of nodes) {
    const found = { node, rank: rank(node, address) };
    if (best === undefined || found.rank < best.rank || (found.rank === best.rank && node < best.node)) best = found;
  }
  return best?.node;
}
