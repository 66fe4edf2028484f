import { AddressRange, families, type Prefix, parsePrefix } from "#pkg/net";
import { quote } from "#pkg/text";
import type { Pool, Protocol } from "../config.ts";
import type { Place } from "../problems.ts";
import type { RawPool } from "../shape/raw.ts";
import type { PlacedRange } from "./addresses.ts";

// Fewer slots are uneven shares for a few nodes; more are more next hops than most routers take for a route.
const minSlots = 16;
const maxSlots = 64;

/** Reads `next-hop-slots`: none, or one prefix of a family or of each. */
export function readSlots(
  raw: RawPool["next-hop-slots"],
  protocols: readonly Protocol[] | undefined,
  at: Place,
): readonly Prefix[] {
  if (raw === undefined) return [];
  if (protocols?.includes("bgp") === false) {
    at.errorAtKey('only a pool with "protocol: bgp" can have these');
    return [];
  }
  const found: Prefix[] = [];
  for (const [text, here] of typeof raw === "string" ? [[raw, at] as const] : at.each(raw)) {
    const slots = parseSlots(text);
    const same = typeof slots === "string" ? undefined : found.find(({ family }) => family === slots.family);
    if (typeof slots === "string") here.error(slots);
    else if (same !== undefined) here.error(`${same} holds the ${same.family} slots of this pool already: write one prefix`);
    else found.push(slots);
  }
  return found;
}

function parseSlots(text: string): Prefix | string {
  const prefix = parsePrefix(text);
  const sizes = `${minSlots} to ${maxSlots} addresses, an IPv4 /28 to /26 or an IPv6 /124 to /122`;
  if (prefix === undefined) return `must be a CIDR of ${sizes}, but is ${quote(text)}`;
  if (prefix.size < minSlots || prefix.size > maxSlots)
    return `must hold ${sizes}, but ${quote(text)} holds ${prefix.size > 1_000_000n ? "many more" : prefix.size}`;
  return prefix;
}

/** A pool with slots, and where they stand. */
export interface PlacedSlots {
  readonly pool: Pool;
  readonly at: Place;
}

/**
 * Refuses what contradicts the slots of pools, and pools that share slots and select other nodes or interfaces for them.
 * @returns the slots, each once, to be compared with all other addresses
 */
export function checkSlots(all: readonly PlacedSlots[], order: number): PlacedRange[] {
  const first = new Map<string, PlacedSlots>(); // prefix -> the first pool that names it
  const placed: PlacedRange[] = [];
  for (const one of all) {
    const { pool, at } = one;
    for (const slots of pool.nextHopSlots) {
      const text = `${slots}`;
      const above = first.get(text);
      if (above === undefined) {
        first.set(text, one);
        placed.push({ range: AddressRange.ofPrefix(slots), text, pool: pool.name, at, order: order + placed.length });
      } else if (ownersText(above.pool) !== ownersText(pool))
        at.error(
          `${text} are the slots of pool ${quote(above.pool.name)} as well (${above.at}): both must have the same node-selectors and interfaces`,
        );
    }
    checkNextHops(one);
    warnOfMissingFamily(one);
  }
  return placed;
}

function ownersText({ nodeSelectors, interfaces }: Pool): string {
  return JSON.stringify([nodeSelectors, interfaces]);
}

function checkNextHops({ pool, at }: PlacedSlots): void {
  for (const { nextHop, nextHopV6 } of pool.advertisements)
    for (const hop of [nextHop, nextHopV6])
      if (hop !== undefined && pool.nextHopSlots.some(({ family }) => family === hop.family))
        at.error(`an advertisement of the pool has the next hop ${hop}, and slots are next hops too: take one of the two away`);
}

function warnOfMissingFamily({ pool, at }: PlacedSlots): void {
  for (const family of families)
    if (pool.ranges.some((range) => range.family === family) && !pool.nextHopSlots.some((slots) => slots.family === family))
      at.warn(`has no ${family} prefix: the next hop of the pool's ${family} routes is the node that advertises them`);
}
