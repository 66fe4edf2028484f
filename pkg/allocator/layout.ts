import { countUsableBelow, countUsableIn, isBuggyAddress, type Pool, usableAt } from "#pkg/config";
import { Address, type AddressRange, type Family, families } from "#pkg/net";

/** Where an address stands. `slot` is absent where the pool has the address but never hands it out. */
export interface Place {
  readonly pool: Pool;
  readonly slot: bigint | undefined;
}

/** Slots from `start` up to, but not including, `end`. */
export interface Span {
  readonly start: bigint;
  readonly end: bigint;
}

/** One entry of a pool's `addresses`: consecutive slots for those of its addresses that can be handed out. */
interface Run {
  readonly pool: Pool;
  /** Index in the pool's list. */
  readonly entry: number;
  readonly range: AddressRange;
  /** Its first slot. */
  readonly base: bigint;
}

/**
 * Numbers every address that can be handed out, over all pools, in the order in which they are tried: in each family first the
 * pools with auto-assign, in the file's order, then the others; in a pool its entries as listed; in an entry the lowest address
 * first, without those that `avoid-buggy-ips` excludes. So what to try first is the lowest free slot, and finding it neither
 * walks pools nor steps over excluded addresses. Memory grows with the entries, not with the addresses in them.
 */
export class Layout {
  /** In the file's order. */
  readonly pools: readonly Pool[];
  readonly #ordered: readonly Pool[]; // Those with auto-assign first.
  readonly #autoCount: number;
  readonly #ranks = new Map<string, number>(); // pool -> index in #ordered
  readonly #starts: Record<Family, bigint[]> = { IPv4: [], IPv6: [] }; // Index in #ordered -> first slot; one more for the end.
  readonly #runs: Run[] = []; // By base.
  readonly #byAddress: Record<Family, Run[]> = { IPv4: [], IPv6: [] }; // By first address; they are disjoint.

  constructor(pools: readonly Pool[]) {
    this.pools = pools;
    const auto = pools.filter((pool) => pool.autoAssign);
    this.#ordered = [...auto, ...pools.filter((pool) => !pool.autoAssign)];
    this.#autoCount = auto.length;
    for (const [rank, pool] of this.#ordered.entries()) this.#ranks.set(pool.name, rank);
    let base = 0n;
    for (const family of families) {
      for (const pool of this.#ordered) {
        this.#starts[family].push(base);
        for (const [entry, range] of pool.ranges.entries()) {
          if (range.family !== family) continue;
          const run = { pool, entry, range, base };
          this.#runs.push(run);
          this.#byAddress[family].push(run);
          base += countUsableIn(pool, range);
        }
      }
      this.#starts[family].push(base);
      this.#byAddress[family].sort((a, b) => a.range.first.compare(b.range.first));
    }
  }

  pool(name: string): Pool | undefined {
    const rank = this.#ranks.get(name);
    return rank === undefined ? undefined : this.#ordered[rank];
  }

  /** @returns undefined if no pool has the address */
  locate(address: Address): Place | undefined {
    const run = lastWhere(this.#byAddress[address.family], (run) => run.range.first.value <= address.value);
    if (run === undefined || address.value > run.range.last.value) return undefined;
    const { pool, range, base } = run;
    if (!avoids(run)) return { pool, slot: base + address.value - range.first.value };
    return {
      pool,
      slot: isBuggyAddress(address) ? undefined : base + countUsableBelow(address.value) - countUsableBelow(range.first.value),
    };
  }

  /** The address of a slot that `span` or `autoSpan` covers, its pool, and the index of its entry in the pool's list. */
  at(slot: bigint): { readonly pool: Pool; readonly entry: number; readonly address: Address } {
    const run = lastWhere(this.#runs, (run) => run.base <= slot);
    if (run === undefined) throw new RangeError(`Cannot find address: slot is ${slot}`);
    const { pool, entry, range, base } = run;
    const value = avoids(run) ? usableAt(slot - base + countUsableBelow(range.first.value)) : slot - base + range.first.value;
    return { pool, entry, address: new Address(range.family, value) };
  }

  /** All slots of one pool in one family. */
  span(pool: Pool, family: Family): Span {
    const rank = this.#rank(pool);
    return this.#span(family, rank, rank + 1);
  }

  /** The slots of `from` and all pools tried after it by themselves; by default those of all pools with auto-assign. */
  autoSpan(family: Family, from?: Pool): Span {
    return this.#span(family, from === undefined ? 0 : this.#rank(from), this.#autoCount);
  }

  /** How many addresses of a family the pool can hand out. */
  size(pool: Pool, family: Family): bigint {
    const { start, end } = this.span(pool, family);
    return end - start;
  }

  /** Whether `a` is tried after `b`. */
  isAfter(a: Pool, b: Pool): boolean {
    return this.#rank(a) > this.#rank(b);
  }

  #span(family: Family, from: number, to: number): Span {
    const starts = this.#starts[family];
    const [start, end] = [starts[from], starts[to]];
    if (start === undefined || end === undefined) throw new RangeError(`Cannot find slots: pools are ${from} to ${to}`);
    return { start, end };
  }

  #rank(pool: Pool): number {
    const rank = this.#ranks.get(pool.name);
    if (rank === undefined) throw new RangeError(`Cannot find slots: pool is ${pool.name}`);
    return rank;
  }
}

function avoids(run: Run): boolean {
  return run.pool.avoidBuggyIPs && run.range.family === "IPv4";
}

/** The last item for which `holds`, in a list where it holds for a leading part. */
function lastWhere<T>(items: readonly T[], holds: (item: T) => boolean): T | undefined {
  let [from, to] = [0, items.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (holds(items[middle] as T)) from = middle + 1;
    else to = middle;
  }
  return items[from - 1];
}
