import { atOnce } from "#pkg/clock";
import { countUsableBelow, countUsableIn, type Fence, isBuggyAddress, type Pool, usableAt } from "#pkg/config";
import { Address, AddressRange, type Family, families } from "#pkg/net";
import type { ReservedFor } from "./holders.ts";
import { isChosenElsewhere } from "./ipam.ts";

// Pools, or parts of their ranges.
const partsAtOnce = 500;

/** Where an address stands. */
export interface AddressPlace {
  readonly pool: Pool;
  /** Absent where the pool has the address but never hands it out. */
  readonly slot: bigint | undefined;
  /** The owner of its reservation, if it has one. */
  readonly reservedFor: ReservedFor | undefined;
}

/** Slots from `start` up to, but not including, `end`. */
export interface Span {
  readonly start: bigint;
  readonly end: bigint;
}

/** The slots of one pool that are reserved for one holder, of one part of an entry of its `addresses`. */
export interface ReservedSpan extends Span {
  readonly pool: Pool;
  readonly family: Family;
}

/** Pools with auto-assign that have one fence. */
export interface Scope {
  readonly fence: Fence;
  /** The one that is tried first. */
  readonly first: Pool;
  /** Indexes in the layout's order. */
  readonly from: number;
  readonly to: number;
}

/** An entry of a pool's `addresses`, or a part of it: consecutive slots for those of its addresses that can be handed out. */
interface Run {
  readonly pool: Pool;
  /** Index in the pool's list. */
  readonly entry: number;
  readonly range: AddressRange;
  /** Its first slot. */
  readonly base: bigint;
  readonly reservedFor: ReservedFor | undefined;
}

/**
 * Numbers every address that can be handed out, over all pools: in each family first the pools with auto-assign, those with one fence
 * together, in the order in which they are tried; then the others; in a pool its entries as listed; in an entry the lowest address first,
 * without those that `avoid-buggy-ips` excludes. Reserved addresses come behind all of them. So what to try first among pools with one fence
 * is the lowest free slot, and finding it neither walks pools nor steps over excluded addresses. Memory grows with the entries, not with
 * the addresses in them.
 */
export class Layout {
  /** In the file's order. */
  readonly pools: readonly Pool[];
  /** By the pool of each that is tried first. */
  readonly scopes: readonly Scope[];
  /** Some pool is not shared by Services of the whole cluster. */
  readonly hasSharingRules: boolean;
  /** Pools with a fence of their own that an IPAM chooses addresses of, so that they are in no scope. */
  readonly fencedElsewhere: readonly Pool[];
  readonly #ordered: readonly Pool[]; // Scope by scope, then those that give nothing by themselves.
  readonly #positions = new Map<string, number>(); // pool -> index in #ordered
  readonly #ranks = new Map<string, number>(); // pool -> its place among all, in the order in which they are tried
  readonly #starts: Record<Family, bigint[]> = { IPv4: [], IPv6: [] }; // Index in #ordered -> first slot; one more for the end.
  readonly #runs: Run[] = []; // By base.
  readonly #byAddress: Record<Family, Run[]> = { IPv4: [], IPv6: [] }; // By first address; they are disjoint.
  readonly #reserved = new Map<string, ReservedSpan[]>(); // holder as text -> its slots
  readonly #reservedSizes = new Map<string, bigint>(); // family and pool -> addresses that are reserved for somebody
  #end = 0n;

  static of(pools: readonly Pool[]): Layout {
    return atOnce(Layout.inSteps(pools));
  }

  /** The same in steps, for some hundred pools or parts of their ranges each. */
  static *inSteps(pools: readonly Pool[]): Generator<undefined, Layout> {
    const layout = new Layout(pools);
    yield* layout.#numberAll();
    return layout;
  }

  /** Not usable before all is numbered. */
  private constructor(pools: readonly Pool[]) {
    this.pools = pools;
    this.hasSharingRules = pools.some(({ sharing }) => sharing !== "cluster");
    this.fencedElsewhere = pools.filter((pool) => isChosenElsewhere(pool) && isFenced(pool.fence));
    const tried = inOrder(pools.filter(isTried));
    const others = pools.filter((pool) => !isTried(pool));
    for (const [rank, { name }] of [...tried, ...others].entries()) this.#ranks.set(name, rank);
    const byFence = [...Map.groupBy(tried, ({ fence }) => fenceText(fence)).values()];
    this.#ordered = [...byFence.flat(), ...others];
    for (const [position, { name }] of this.#ordered.entries()) this.#positions.set(name, position);
    let from = 0;
    this.scopes = byFence.map((those) => {
      const first = those[0] as Pool;
      const scope = { fence: first.fence, first, from, to: from + those.length };
      from = scope.to;
      return scope;
    });
  }

  pool(name: string): Pool | undefined {
    const position = this.#positions.get(name);
    return position === undefined ? undefined : this.#ordered[position];
  }

  /** @returns undefined if no pool has the address */
  locate(address: Address): AddressPlace | undefined {
    const run = lastWhere(this.#byAddress[address.family], (run) => run.range.first.value <= address.value);
    if (run === undefined || address.value > run.range.last.value) return undefined;
    const { pool, range, base, reservedFor } = run;
    if (!avoids(run)) return { pool, slot: base + address.value - range.first.value, reservedFor };
    const before = countUsableBelow(address.value) - countUsableBelow(range.first.value);
    return { pool, slot: isBuggyAddress(address) ? undefined : base + before, reservedFor };
  }

  /** The address of a slot that a span of this layout covers, its pool, and the index of its entry in the pool's list. */
  at(slot: bigint): { readonly pool: Pool; readonly entry: number; readonly address: Address } {
    const run = lastWhere(this.#runs, (run) => run.base <= slot);
    if (run === undefined) throw new RangeError(`Cannot find address: slot is ${slot}`);
    const { pool, entry, range, base } = run;
    const value = avoids(run) ? usableAt(slot - base + countUsableBelow(range.first.value)) : slot - base + range.first.value;
    return { pool, entry, address: new Address(range.family, value) };
  }

  /** The slots of one pool in one family, but for those that are reserved. */
  span(pool: Pool, family: Family): Span {
    const position = this.#position(pool);
    return this.#span(family, position, position + 1);
  }

  /** The slots of the scope's pools from `from` on; by default of all of them. */
  scopeSpan(family: Family, scope: Scope, from?: Pool): Span {
    return this.#span(family, from === undefined ? scope.from : this.#position(from), scope.to);
  }

  /** The pool of the scope that is tried after this one. */
  next(scope: Scope, pool: Pool): Pool | undefined {
    const next = this.#position(pool) + 1;
    return next < scope.to ? this.#ordered[next] : undefined;
  }

  /** Reservations for a Service or a namespace, of pools that are not closed, in the order in which pools are tried. */
  reserved(holder: ReservedFor): readonly ReservedSpan[] {
    return this.#reserved.get(holderText(holder)) ?? [];
  }

  /** Whether anything is reserved for Services and namespaces. */
  get hasReserved(): boolean {
    return this.#reserved.size > 0;
  }

  /** Number of addresses of a family that the pool can hand out to all its Services. */
  size(pool: Pool, family: Family): bigint {
    const { start, end } = this.span(pool, family);
    return end - start;
  }

  /** How many addresses of the pool and family are reserved for Services and namespaces. */
  reservedSize(pool: Pool, family: Family): bigint {
    return this.#reservedSizes.get(`${family} ${pool.name}`) ?? 0n;
  }

  /** Whether `a` is tried after `b`. */
  isAfter(a: Pool, b: Pool): boolean {
    return this.#rank(a) > this.#rank(b);
  }

  *#numberAll(): Generator<undefined, void> {
    const reserved: Omit<Run, "base">[] = [];
    for (const family of families) for (const run of yield* this.#number(family)) reserved.push(run);
    for (const [index, run] of reserved.entries()) {
      if (index > 0 && index % partsAtOnce === 0) yield;
      this.#reserve(run);
    }
    if (this.#runs.length > partsAtOnce) yield;
    for (const family of families) this.#byAddress[family].sort((a, b) => a.range.first.compare(b.range.first));
    for (const spans of this.#reserved.values()) spans.sort((a, b) => this.#rank(a.pool) - this.#rank(b.pool));
  }

  /** Numbers what is not reserved. @returns what is, in parts to be numbered */
  *#number(family: Family): Generator<undefined, Omit<Run, "base">[]> {
    const reserved: Omit<Run, "base">[] = [];
    let numbered = 0;
    for (const [index, pool] of this.#ordered.entries()) {
      if (index > 0 && index % partsAtOnce === 0) yield;
      this.#starts[family].push(this.#end);
      const kept = keptOf(pool, family);
      if (kept.length > partsAtOnce) yield;
      for (const [entry, range] of pool.ranges.entries()) {
        if (range.family !== family) continue;
        for (const part of parts(range, kept)) {
          if (++numbered % partsAtOnce === 0) yield;
          if (part.reservedFor === undefined) this.#add({ pool, entry, ...part });
          else reserved.push({ pool, entry, ...part });
        }
      }
    }
    this.#starts[family].push(this.#end);
    return reserved;
  }

  #reserve(run: Omit<Run, "base">): void {
    const start = this.#end;
    this.#add(run);
    const { pool, range, reservedFor } = run;
    if (reservedFor === undefined || reservedFor.type === "nobody") return;
    this.#reservedSizes.set(`${range.family} ${pool.name}`, this.reservedSize(pool, range.family) + this.#end - start);
    if (pool.closed || start === this.#end) return; // `avoid-buggy-ips` may leave none.
    const span = { pool, family: range.family, start, end: this.#end };
    const before = this.#reserved.get(holderText(reservedFor));
    if (before === undefined) this.#reserved.set(holderText(reservedFor), [span]);
    else before.push(span);
  }

  #add(part: Omit<Run, "base">): void {
    const run = { ...part, base: this.#end };
    this.#runs.push(run);
    this.#byAddress[run.range.family].push(run);
    this.#end += countUsableIn(run.pool, run.range);
  }

  #span(family: Family, from: number, to: number): Span {
    const starts = this.#starts[family];
    const [start, end] = [starts[from], starts[to]];
    if (start === undefined || end === undefined) throw new RangeError(`Cannot find slots: pools are ${from} to ${to}`);
    return { start, end };
  }

  #position(pool: Pool): number {
    return known(this.#positions.get(pool.name), pool);
  }

  #rank(pool: Pool): number {
    return known(this.#ranks.get(pool.name), pool);
  }
}

function known(index: number | undefined, { name }: Pool): number {
  if (index === undefined) throw new RangeError(`Cannot find slots: pool is ${name}`);
  return index;
}

/** By priority; without one those with a fence come before the others; else as in the file. */
function inOrder(pools: readonly Pool[]): Pool[] {
  const group = ({ priority, fence }: Pool) => (priority !== undefined ? 0 : isFenced(fence) ? 1 : 2);
  return pools.toSorted((a, b) => group(a) - group(b) || (a.priority ?? 0) - (b.priority ?? 0));
}

/** Whether it keeps anybody out. */
export function isFenced({ namespaces, namespaceSelectors, serviceSelectors }: Fence): boolean {
  return namespaces.length + namespaceSelectors.length + serviceSelectors.length > 0;
}

function fenceText(fence: Fence): string {
  if (!isFenced(fence)) return "";
  return JSON.stringify(fence, (_key, value) => (value instanceof Map ? [...value] : value));
}

function holderText(holder: ReservedFor): string {
  if (holder.type === "nobody") return holder.type;
  return holder.type === "service" ? `service ${holder.service}` : `namespace ${holder.namespace}`;
}

interface Kept {
  readonly range: AddressRange;
  readonly holder: ReservedFor;
}

/** Reservations of a pool in one family, by first address. */
function keptOf({ reservations }: Pool, family: Family): Kept[] {
  const kept: Kept[] = [];
  for (const { ranges, holder } of reservations)
    for (const range of ranges) if (range.family === family) kept.push({ range, holder });
  return kept.sort((a, b) => a.range.first.compare(b.range.first));
}

/** The parts of a range: the reserved ones, and the rest between them. */
function* parts(range: AddressRange, kept: readonly Kept[]): Iterable<Pick<Run, "range" | "reservedFor">> {
  let from = range.first.value;
  const part = (last: bigint, reservedFor?: ReservedFor) => ({
    range: new AddressRange(new Address(range.family, from), new Address(range.family, last)),
    reservedFor,
  });
  for (let i = countWhere(kept, (one) => one.range.last.value < from); i < kept.length; i++) {
    const { range: reserved, holder } = kept[i] as Kept;
    if (reserved.first.value > range.last.value) break;
    if (reserved.first.value > from) yield part(reserved.first.value - 1n);
    if (reserved.first.value > from) from = reserved.first.value;
    const last = reserved.last.value < range.last.value ? reserved.last.value : range.last.value;
    yield part(last, holder);
    from = last + 1n;
  }
  if (from <= range.last.value) yield part(range.last.value);
}

function avoids(run: Run): boolean {
  return run.pool.avoidBuggyIPs && run.range.family === "IPv4";
}

/** The last item for which `holds`, in a list where it holds for a leading part. */
function lastWhere<T>(items: readonly T[], holds: (item: T) => boolean): T | undefined {
  return items[countWhere(items, holds) - 1];
}

/** How many items it holds for, in a list where it holds for a leading part. */
function countWhere<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let [from, to] = [0, items.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (holds(items[middle] as T)) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Whether Services that request no pool get addresses of it, as the allocator chooses. */
function isTried(pool: Pool): boolean {
  return pool.autoAssign && !pool.closed && !isChosenElsewhere(pool);
}
