import { IntervalSet } from "./interval-set.ts";
import type { Layout, Span } from "./layout.ts";
import { conflict, portText, type Terms } from "./sharing.ts";
import type { Allocation, Refusal } from "./types.ts";

/** What one Service holds, and on what terms. */
export interface Holding {
  readonly terms: Terms;
  readonly allocation: Allocation;
  /** Of `allocation.addresses`, in that order. */
  readonly slots: readonly bigint[];
}

/** Addresses in use under one sharing key and one backend key. */
interface Group {
  readonly slots: IntervalSet;
  size: number;
  readonly portUses: Map<string, number>; // port text -> on how many of the addresses it is taken
}

/** Who is on which slot of a layout. Keeps the books; whether a holding may be put down is the caller's question. */
export class Occupancy {
  readonly layout: Layout;
  readonly #used = new IntervalSet();
  readonly #holders = new Map<bigint, Holding[]>(); // slot -> who is on it, never empty
  readonly #groups = new Map<string, Group>(); // sharing key and backend key -> addresses
  readonly #inUse = new Map<string, number>(); // pool -> slots with a holder

  constructor(layout: Layout) {
    this.layout = layout;
  }

  put(holding: Holding): void {
    for (const slot of holding.slots) {
      const holders = this.#holders.get(slot);
      if (holders !== undefined) holders.push(holding);
      else {
        this.#holders.set(slot, [holding]);
        this.#used.add(slot);
        this.#count(holding, 1);
      }
      this.#join(holding.terms, slot);
    }
  }

  take(holding: Holding): void {
    for (const slot of holding.slots) {
      const holders = this.#holders.get(slot) ?? [];
      const index = holders.indexOf(holding);
      if (index < 0) throw new Error(`Cannot take back slot ${slot}: ${holding.terms.service} is not on it`);
      holders.splice(index, 1);
      if (holders.length === 0) {
        this.#holders.delete(slot);
        this.#used.delete(slot);
        this.#count(holding, -1);
      }
      this.#leave(holding.terms, slot, holders.length === 0);
    }
  }

  holders(slot: bigint): readonly Holding[] {
    return this.#holders.get(slot) ?? [];
  }

  inUse(pool: string): number {
    return this.#inUse.get(pool) ?? 0;
  }

  /** Why a Service on these terms may not be on a slot; undefined if it may. */
  conflict(terms: Terms, slot: bigint): Refusal | undefined {
    for (const holder of this.holders(slot)) {
      const address = holder.allocation.addresses[holder.slots.indexOf(slot)];
      const refusal = address && conflict(terms, holder.terms, address);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** The lowest slot that is free or that a Service on these terms may share. */
  lowest(terms: Terms, span: Span): bigint | undefined {
    const free = this.#used.nextAbsent(span.start);
    if (free >= span.end) return this.#lowestShareable(terms, span);
    return this.#lowestShareable(terms, { start: span.start, end: free }) ?? free;
  }

  #lowestShareable(terms: Terms, span: Span): bigint | undefined {
    const group = this.#groups.get(groupKey(terms));
    // Many Services with one key and one port is how people use sharing, so a port taken everywhere must not cost a walk.
    if (group === undefined || terms.ports.some((port) => group.portUses.get(portText(port)) === group.size)) return undefined;
    let slot = group.slots.next(span.start);
    while (slot !== undefined && slot < span.end) {
      if (this.conflict(terms, slot) === undefined) return slot;
      slot = group.slots.next(slot + 1n);
    }
    return undefined;
  }

  #join(terms: Terms, slot: bigint): void {
    if (terms.sharingKey === "") return;
    const key = groupKey(terms);
    const group = this.#groups.get(key) ?? { slots: new IntervalSet(), size: 0, portUses: new Map() };
    this.#groups.set(key, group);
    if (group.slots.add(slot)) group.size++;
    for (const port of terms.ports) add(group.portUses, portText(port), 1);
  }

  #leave(terms: Terms, slot: bigint, last: boolean): void {
    const key = groupKey(terms);
    const group = this.#groups.get(key);
    if (group === undefined) return; // Without a sharing key there is none.
    for (const port of terms.ports) add(group.portUses, portText(port), -1);
    if (last && group.slots.delete(slot)) group.size--;
    if (group.size === 0) this.#groups.delete(key);
  }

  #count({ allocation }: Holding, change: 1 | -1): void {
    add(this.#inUse, allocation.pool, change);
  }
}

/** No two pairs give the same text, whatever characters an annotation has. */
function groupKey({ sharingKey, backendKey }: Terms): string {
  return `${sharingKey.length}:${sharingKey}${backendKey}`;
}

function add(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
