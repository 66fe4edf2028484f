import type { Address, AddressRange } from "#pkg/net";
import type { Pool } from "./config.ts";

/** Finds the pool of an address among any number of disjoint pools, in logarithmic time. */
export class PoolIndex {
  readonly #ranges: readonly { readonly range: AddressRange; readonly pool: Pool }[]; // By first address.

  constructor(pools: readonly Pool[]) {
    const ranges = pools.flatMap((pool) => pool.ranges.map((range) => ({ range, pool })));
    this.#ranges = ranges.sort((a, b) => a.range.first.compare(b.range.first));
  }

  find(address: Address): Pool | undefined {
    let low = 0;
    let high = this.#ranges.length; // Ranges below `low` begin at or before the address, those from `high` on after it.
    while (low < high) {
      const middle = (low + high) >>> 1;
      const range = this.#ranges[middle]?.range;
      if (range !== undefined && range.first.compare(address) <= 0) low = middle + 1;
      else high = middle;
    }
    const last = this.#ranges[low - 1];
    return last?.range.contains(address) ? last.pool : undefined;
  }
}

/** How many addresses the pool can hand out: all, less those that `avoid-buggy-ips` holds back. */
export function countUsable(pool: Pool): bigint {
  return pool.ranges.reduce((sum, range) => sum + countUsableIn(pool, range), 0n);
}

/** How many of them are in one of its ranges. */
export function countUsableIn({ avoidBuggyIPs }: Pool, { family, first, last, size }: AddressRange): bigint {
  return avoidBuggyIPs && family === "IPv4" ? countUsableBelow(last.value + 1n) - countUsableBelow(first.value) : size;
}

/** Ends in .0 or .255, which some routers and their smurf protection take for a broadcast; what `avoid-buggy-ips` is about. */
export function isBuggyAddress(address: Address): boolean {
  const octet = address.value & 255n;
  return address.family === "IPv4" && (octet === 0n || octet === 255n);
}

/** How many IPv4 addresses below `value` are not buggy: 254 in each /24. */
export function countUsableBelow(value: bigint): bigint {
  const octet = value & 255n;
  return (value >> 8n) * 254n + (octet === 0n ? 0n : octet - 1n);
}

/** The IPv4 address that is not buggy and has `count` such addresses below it. */
export function usableAt(count: bigint): bigint {
  return ((count / 254n) << 8n) + (count % 254n) + 1n;
}
