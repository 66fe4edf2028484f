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

/** Who is on a slot: one who does not share, or all who do, under one sharing key and one backend key. */
type Tenants = Holding | Party;

class Party {
  readonly holdings = new Set<Holding>();
  readonly ports = new Map<string, Holding>(); // port text -> who has it
}

/** The slots of all parties under one sharing key and one backend key. */
interface Group {
  readonly slots: IntervalSet;
  readonly ports: Map<string, IntervalSet>; // port text -> those of the slots where it is taken
}

/** Who is on which slot of a layout. Keeps the books; whether a holding may be put down is the caller's question. */
export class Occupancy {
  readonly layout: Layout;
  readonly #used = new IntervalSet();
  readonly #occupied = new IntervalSet(); // Another host of the network has them.
  readonly #tenants = new Map<bigint, Tenants>(); // slot -> who is on it
  readonly #groups = new Map<string, Group>(); // sharing key and backend key -> slots
  readonly #inUse = new Map<string, number>(); // pool -> slots with a holder

  constructor(layout: Layout) {
    this.layout = layout;
  }

  put(holding: Holding): void {
    for (const slot of holding.slots) {
      const shares = holding.terms.sharingKey !== "";
      if (this.#used.add(slot)) {
        this.#count(holding, 1);
        this.#tenants.set(slot, shares ? new Party() : holding);
      }
      const tenants = this.#tenants.get(slot);
      if (tenants instanceof Party && shares) this.#join(holding, slot, tenants);
      else if (tenants !== holding) throw new Error(`Cannot put ${holding.terms.service} on slot ${slot}: it is in use`);
    }
  }

  take(holding: Holding): void {
    for (const slot of holding.slots) {
      const tenants = this.#tenants.get(slot);
      if (tenants instanceof Party) {
        this.#leave(holding, slot, tenants);
        if (tenants.holdings.size > 0) continue;
      }
      this.#tenants.delete(slot);
      this.#used.delete(slot);
      this.#count(holding, -1);
    }
  }

  /** Gives the slot to nobody who takes what there is. */
  occupy(slot: bigint): void {
    this.#occupied.add(slot);
  }

  vacate(slot: bigint): void {
    this.#occupied.delete(slot);
  }

  isHeld(slot: bigint): boolean {
    return this.#tenants.has(slot);
  }

  holders(slot: bigint): readonly Holding[] {
    const tenants = this.#tenants.get(slot);
    if (tenants === undefined) return [];
    return tenants instanceof Party ? [...tenants.holdings] : [tenants];
  }

  inUse(pool: string): number {
    return this.#inUse.get(pool) ?? 0;
  }

  /** Why a Service on these terms may not be on a slot; undefined if it may. Does not walk those who share it. */
  conflict(terms: Terms, slot: bigint): Refusal | undefined {
    const tenants = this.#tenants.get(slot);
    if (!(tenants instanceof Party)) return tenants && conflictWith(tenants, terms, slot);
    for (const other of tenants.holdings) {
      if (other.terms.service === terms.service) continue;
      if (other.terms.sharingKey !== terms.sharingKey || other.terms.backendKey !== terms.backendKey)
        return conflictWith(other, terms, slot);
      break; // The others agree with this one.
    }
    for (const port of terms.ports) {
      const other = tenants.ports.get(portText(port));
      const refusal = other && conflictWith(other, terms, slot);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** The lowest slot that is free or that a Service on these terms may share; one that it is on already may be left out. */
  lowest(terms: Terms, span: Span): bigint | undefined {
    const free = this.#nextFree(span.start);
    if (free >= span.end) return this.#lowestShareable(terms, span);
    return this.#lowestShareable(terms, { start: span.start, end: free }) ?? free;
  }

  #nextFree(from: bigint): bigint {
    for (let at = from; ; ) {
      const unused = this.#used.nextAbsent(at);
      at = this.#occupied.nextAbsent(unused);
      if (at === unused) return at;
    }
  }

  #lowestShareable(terms: Terms, span: Span): bigint | undefined {
    const group = this.#groups.get(groupKey(terms));
    if (group === undefined) return undefined;
    const taken = terms.ports.flatMap((port) => group.ports.get(portText(port)) ?? []);
    // Many Services with one key and one port is how people use sharing: a port taken everywhere must not cost a walk.
    if (taken.some(({ size }) => size === group.slots.size)) return undefined;
    let slot = group.slots.next(span.start);
    while (slot !== undefined && slot < span.end) {
      const from: bigint = slot;
      const open = [...taken, this.#occupied].reduce((at, slots) => slots.nextAbsent(at), from);
      if (open === from) return from;
      slot = group.slots.next(open);
    }
    return undefined;
  }

  #join(holding: Holding, slot: bigint, party: Party): void {
    party.holdings.add(holding);
    const key = groupKey(holding.terms);
    const group = this.#groups.get(key) ?? { slots: new IntervalSet(), ports: new Map<string, IntervalSet>() };
    this.#groups.set(key, group);
    group.slots.add(slot);
    for (const port of holding.terms.ports.map(portText)) {
      party.ports.set(port, holding);
      const taken = group.ports.get(port) ?? new IntervalSet();
      group.ports.set(port, taken);
      taken.add(slot);
    }
  }

  #leave(holding: Holding, slot: bigint, party: Party): void {
    const key = groupKey(holding.terms);
    const group = this.#groups.get(key);
    party.holdings.delete(holding);
    for (const port of holding.terms.ports.map(portText)) {
      party.ports.delete(port);
      const taken = group?.ports.get(port);
      if (taken?.delete(slot) && taken.size === 0) group?.ports.delete(port);
    }
    if (party.holdings.size > 0) return;
    group?.slots.delete(slot);
    if (group?.slots.size === 0) this.#groups.delete(key);
  }

  #count({ allocation }: Holding, change: 1 | -1): void {
    this.#inUse.set(allocation.pool, this.inUse(allocation.pool) + change);
  }
}

function conflictWith(holding: Holding, terms: Terms, slot: bigint): Refusal | undefined {
  const address = holding.allocation.addresses[holding.slots.indexOf(slot)];
  if (address === undefined) throw new Error(`Cannot compare holders: ${holding.terms.service} is not on slot ${slot}`);
  return conflict(terms, holding.terms, address);
}

/** No two pairs give the same text, whatever characters an annotation has. */
function groupKey({ sharingKey, backendKey }: Terms): string {
  return `${sharingKey.length}:${sharingKey}${backendKey}`;
}
