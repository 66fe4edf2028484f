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

  /** See `placeTogether`. */
  place(addresses: readonly Address[]): PlacedAddresses {
    return placeTogether(addresses, (address) => this.find(address));
  }
}

/** Which of its addresses a Service may hold at once. */
export interface PlacedAddresses {
  /** The pool of `held`. */
  readonly pool: Pool | undefined;
  readonly held: readonly Address[];
  readonly refused: readonly {
    readonly address: Address;
    readonly reason: "outsidePools" | "buggyAddress" | "severalPools";
    /** The pool that it is in. */
    readonly pool: Pool | undefined;
  }[];
}

/**
 * The one rule on which addresses of a Service go together: all are in the pool of the first that can be handed out. The allocator adopts
 * by it, a configuration is refused by it, and speakers announce by it, so that they cannot disagree.
 */
export function placeTogether(addresses: readonly Address[], poolOf: (address: Address) => Pool | undefined): PlacedAddresses {
  let first: Pool | undefined;
  const held: Address[] = [];
  const refused: PlacedAddresses["refused"][number][] = [];
  for (const address of addresses) {
    const pool = poolOf(address);
    if (pool === undefined) refused.push({ address, reason: "outsidePools", pool });
    else if (pool.avoidBuggyIPs && isBuggyAddress(address)) refused.push({ address, reason: "buggyAddress", pool });
    else if (first !== undefined && first !== pool) refused.push({ address, reason: "severalPools", pool });
    else {
      first = pool;
      held.push(address);
    }
  }
  return { pool: first, held, refused };
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
