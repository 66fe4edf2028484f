import type { Address } from "#pkg/net";
import type { AddressRequest, Port } from "#pkg/service";
import { IntervalSet } from "./intervals.ts";
import type { Layout, Span } from "./layout.ts";
import type { Allocation, Refusal } from "./types.ts";

/** What one Service holds, and on what terms. */
export interface Holding {
  readonly terms: Terms;
  readonly allocation: Allocation;
  /** Of `allocation.addresses`, in that order. */
  readonly slots: readonly bigint[];
}

/** Who is on a slot: one who does not share, or all who do, under one sharing key and one backend key. */
type Holders = Holding | Sharers;

class Sharers {
  readonly holdings = new Set<Holding>();
  readonly ports = new Map<string, Holding>(); // port text -> who has it
}

/** The slots of all sharers under one sharing key and one backend key. */
interface Group {
  readonly slots: IntervalSet;
  readonly ports: Map<string, IntervalSet>; // port text -> those of the slots where it is taken
}

/** Who is on which slot of a layout. Keeps the books; whether a holding may be put down is the caller's question. */
export class Occupancy {
  readonly layout: Layout;
  readonly #used = new IntervalSet();
  readonly #occupied = new IntervalSet(); // Another host of the network has them.
  readonly #holders = new Map<bigint, Holders>(); // slot -> who is on it
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
        this.#holders.set(slot, shares ? new Sharers() : holding);
      }
      const holders = this.#holders.get(slot);
      if (holders instanceof Sharers && shares) this.#join(holding, slot, holders);
      else if (holders !== holding) throw new Error(`Cannot put ${holding.terms.service} on slot ${slot}: it is in use`);
    }
  }

  take(holding: Holding): void {
    for (const slot of holding.slots) {
      const holders = this.#holders.get(slot);
      if (holders instanceof Sharers) {
        this.#leave(holding, slot, holders);
        if (holders.holdings.size > 0) continue;
      }
      this.#holders.delete(slot);
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
    return this.#holders.has(slot);
  }

  holders(slot: bigint): readonly Holding[] {
    const holders = this.#holders.get(slot);
    if (holders === undefined) return [];
    return holders instanceof Sharers ? [...holders.holdings] : [holders];
  }

  inUse(pool: string): number {
    return this.#inUse.get(pool) ?? 0;
  }

  /** Why a Service on these terms may not be on a slot; undefined if it may. Does not walk those who share it. */
  conflict(terms: Terms, slot: bigint): Refusal | undefined {
    const holders = this.#holders.get(slot);
    if (!(holders instanceof Sharers)) return holders && conflictWith(holders, terms, slot);
    for (const other of holders.holdings) {
      if (other.terms.service === terms.service) continue;
      if (other.terms.sharingKey !== terms.sharingKey || other.terms.backendKey !== terms.backendKey)
        return conflictWith(other, terms, slot);
      break; // The others agree with this one.
    }
    for (const port of terms.ports) {
      const other = holders.ports.get(portText(port));
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

  /** Whether nobody has some slot of it: neither a Service nor another host. */
  hasFree(span: Span): boolean {
    return this.#nextFree(span.start) < span.end;
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

  #join(holding: Holding, slot: bigint, sharers: Sharers): void {
    sharers.holdings.add(holding);
    const key = groupKey(holding.terms);
    const group = this.#groups.get(key) ?? { slots: new IntervalSet(), ports: new Map<string, IntervalSet>() };
    this.#groups.set(key, group);
    group.slots.add(slot);
    for (const port of holding.terms.ports.map(portText)) {
      sharers.ports.set(port, holding);
      const taken = group.ports.get(port) ?? new IntervalSet();
      group.ports.set(port, taken);
      taken.add(slot);
    }
  }

  #leave(holding: Holding, slot: bigint, sharers: Sharers): void {
    const key = groupKey(holding.terms);
    const group = this.#groups.get(key);
    sharers.holdings.delete(holding);
    for (const port of holding.terms.ports.map(portText)) {
      sharers.ports.delete(port);
      const taken = group?.ports.get(port);
      if (taken?.delete(slot) && taken.size === 0) group?.ports.delete(port);
    }
    if (sharers.holdings.size > 0) return;
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

/** The part of a request that decides who may be on one address with whom. */
export type Terms = Pick<AddressRequest, "service" | "sharingKey" | "backendKey" | "ports">;

const noPorts: readonly Port[] = [];

/** Only what later decisions need is kept: without a sharing key the ports never matter. */
export function termsOf({ service, sharingKey, backendKey, ports }: AddressRequest): Terms {
  return { service, sharingKey, backendKey, ports: sharingKey === "" ? noPorts : ports };
}

/** Such as `80/TCP`. */
export function portText({ protocol, port }: Port): string {
  return `${port}/${protocol}`;
}

/** Why a Service may not have `address` while `holder` has it too; nothing stands between a Service and itself. */
export function conflict(terms: Terms, holder: Terms, address: Address): Refusal | undefined {
  if (terms.service === holder.service) return undefined;
  const found = { address, holder: holder.service };
  if (terms.sharingKey === "" || holder.sharingKey === "") return { reason: "inUse", ...found };
  if (terms.sharingKey !== holder.sharingKey)
    return { reason: "sharingKeyMismatch", ...found, key: terms.sharingKey, holderKey: holder.sharingKey };
  if (terms.backendKey !== holder.backendKey)
    return { reason: "backendKeyMismatch", ...found, key: terms.backendKey, holderKey: holder.backendKey };
  const port = terms.ports.find((wanted) => holder.ports.some((taken) => isSame(wanted, taken)));
  return port && { reason: "portClash", ...found, port };
}

function isSame(a: Port, b: Port): boolean {
  return a.port === b.port && a.protocol === b.protocol;
}
