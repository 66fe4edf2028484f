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
