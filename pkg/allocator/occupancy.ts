import { limits } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import { type AddressRequest, namespaceOf, type Port } from "#pkg/service";
import { IntervalSet } from "./intervals.ts";
import type { Layout, Span } from "./layout.ts";
import type { Allocation, Refusal } from "./types.ts";

/** The addresses of one Service, and the terms on which it holds them. */
export interface Holding {
  readonly terms: Terms;
  readonly allocation: Allocation;
  /** Slots of `allocation.addresses`, in that order. */
  readonly slots: readonly bigint[];
  /** The wishes for which all pools were looked at: while they stay the same, the Service does not leave its pool for what it lacks. */
  readonly settledFor: string;
}

/** The holders of a slot: one Service that does not share, or all that share under one sharing key and one backend key. */
type Holders = Holding | Sharers;

class Sharers {
  readonly holdings = new Set<Holding>();
  readonly ports = new Map<string, Holding>(); // port text -> who has it
  readonly namespaces = new Map<string, number>(); // namespace -> how many of them
  /** The key of the group that the slot is in; empty where nobody may join. */
  group = "";
}

/** The slots that a Service under one sharing key and one backend key may join, as far as ports allow. */
interface Group {
  readonly slots: IntervalSet;
  readonly ports: Map<string, IntervalSet>; // port text -> those of the slots where it is taken
}

type Counts = Readonly<Record<Family, number>>;
const none: Counts = { IPv4: 0, IPv6: 0 };

/** Knows the holders of each slot of a layout. Keeps the books only; the caller decides whether a holding may be put down. */
export class Occupancy {
  readonly layout: Layout;
  readonly #used = new IntervalSet();
  readonly #occupied = new IntervalSet(); // Another host of the network has them.
  readonly #holders = new Map<bigint, Holders>(); // slot -> who is on it
  readonly #groups = new Map<string, Group>(); // sharing key and backend key, and maybe namespace -> slots
  readonly #inUse = new Map<string, Counts>(); // pool -> slots with a holder
  readonly #ofNobody = new Map<string, Counts>(); // pool -> those that are reserved for nobody since
  #wanted = textsOf([]); // Terms for which a slot was last looked for: the same search may come thousands of times.

  constructor(layout: Layout) {
    this.layout = layout;
  }

  put(holding: Holding): void {
    for (const slot of holding.slots) {
      const shares = holding.terms.sharingKey !== "";
      if (this.#used.add(slot)) {
        this.#count(holding, slot, 1);
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
      this.#count(holding, slot, -1);
    }
  }

  /** Gives the slot to nobody who takes what there is. */
  occupy(slot: bigint): void {
    this.#occupied.add(slot);
  }

  vacate(slot: bigint): void {
    this.#occupied.delete(slot);
  }

  isOccupied(slot: bigint): boolean {
    return this.#occupied.nextAbsent(slot) !== slot;
  }

  isHeld(slot: bigint): boolean {
    return this.#holders.has(slot);
  }

  holders(slot: bigint): readonly Holding[] {
    const holders = this.#holders.get(slot);
    if (holders === undefined) return [];
    return holders instanceof Sharers ? [...holders.holdings] : [holders];
  }

  /** How many Services of each namespace are on a slot. */
  namespaces(slot: bigint): Iterable<readonly [namespace: string, holders: number]> {
    const holders = this.#holders.get(slot);
    if (holders === undefined) return [];
    return holders instanceof Sharers ? holders.namespaces : [[namespaceOf(holders.terms.service), 1]];
  }

  holdersOf(slot: bigint, namespace: string): number {
    const holders = this.#holders.get(slot);
    if (holders instanceof Sharers) return holders.namespaces.get(namespace) ?? 0;
    return holders !== undefined && namespaceOf(holders.terms.service) === namespace ? 1 : 0;
  }

  inUse(pool: string): Counts {
    return this.#inUse.get(pool) ?? none;
  }

  /** Slots among these that are reserved for nobody now. */
  inUseOfNobody(pool: string): Counts {
    return this.#ofNobody.get(pool) ?? none;
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

  /**
   * Why a Service that would come to this slot may not share it, by the pool's rule or because the maximum share it, although the terms of
   * all of them allow it (see `conflict`); undefined if it may.
   */
  newcomerRefusal({ service }: Terms, slot: bigint): Refusal | undefined {
    const holders = this.#holders.get(slot);
    if (!(holders instanceof Sharers)) return undefined;
    const { holdings, namespaces } = holders;
    const { pool, address } = this.layout.at(slot);
    const [other] = holdings;
    const isAlone = other === undefined || (holdings.size === 1 && other.terms.service === service);
    if (pool.sharing !== "cluster" && !isAlone) {
      if (namespaces.size > 1 || !namespaces.has(namespaceOf(service))) return { reason: "inUse", address };
      if (pool.sharing === "none") return { reason: "sharingOff", address, pool: pool.name };
    }
    const limit = limits.holdersOfAddress;
    const isFull = holdings.size >= limit && !holdings.values().some(({ terms }) => terms.service === service);
    return isFull ? { reason: "sharedByTooMany", address, limit } : undefined;
  }

  /**
   * The lowest slot that is free or that a Service on these terms may share; one that it is on already may be left out.
   * @param only `shareable`: none that is free
   */
  lowest(terms: Terms, span: Span, only?: "shareable"): bigint | undefined {
    if (only === "shareable") return this.#lowestShareable(terms, span);
    const free = this.#nextFree(span.start);
    if (terms.sharingKey === "") return free < span.end ? free : undefined;
    if (free >= span.end) return this.#lowestShareable(terms, span);
    return this.#lowestShareable(terms, { start: span.start, end: free }) ?? free;
  }

  /** Whether some slot of it is free of Services and other hosts. */
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
    let lowest: bigint | undefined;
    for (const sharing of ["cluster", "namespace"] as const) {
      const group = this.#groups.get(groupKey(terms, sharing));
      const slot = group && this.#lowestOf(group, terms, span);
      if (slot !== undefined && (lowest === undefined || slot < lowest)) lowest = slot;
    }
    return lowest;
  }

  #lowestOf(group: Group, { ports }: Terms, span: Span): bigint | undefined {
    if (this.#wanted.ports !== ports) this.#wanted = textsOf(ports);
    const wanted = this.#wanted.texts;
    let slot = group.slots.next(span.start);
    while (slot !== undefined && slot < span.end) {
      const holders = this.#holders.get(slot);
      if (holders instanceof Sharers && holders.holdings.size >= limits.holdersOfAddress) {
        slot = group.slots.next(slot + 1n); // Hundreds of Services for each slot that is passed over.
        continue;
      }
      const taken = group.ports.get(this.#portTaken(slot, wanted) ?? "");
      // Many Services with one key and one port is how people use sharing: a port taken everywhere must not cost a walk.
      if (taken?.size === group.slots.size) return undefined;
      const from: bigint = slot;
      const open = this.#occupied.nextAbsent(taken === undefined ? from : taken.nextAbsent(from));
      if (open === from) return from;
      slot = group.slots.next(open);
    }
    return undefined;
  }

  /**
   * One of the ports that is taken on a slot. To ask the slot costs no more than it has ports, or the Service; to ask for each port where it
   * is taken next would cost all of them, at each of thousands of slots.
   */
  #portTaken(slot: bigint, wanted: ReadonlySet<string>): string | undefined {
    const holders = this.#holders.get(slot);
    if (!(holders instanceof Sharers)) return undefined;
    const { ports } = holders;
    if (ports.size < wanted.size) return ports.keys().find((port) => wanted.has(port));
    return wanted.keys().find((port) => ports.has(port));
  }

  #join(holding: Holding, slot: bigint, sharers: Sharers): void {
    const { service, ports } = holding.terms;
    const namespace = namespaceOf(service);
    sharers.holdings.add(holding);
    sharers.namespaces.set(namespace, (sharers.namespaces.get(namespace) ?? 0) + 1);
    const texts = ports.map(portText);
    for (const port of texts) sharers.ports.set(port, holding);
    if (!this.#regroup(slot, sharers) && sharers.group !== "") this.#enter(slot, sharers.group, texts);
  }

  #leave(holding: Holding, slot: bigint, sharers: Sharers): void {
    const { service, ports } = holding.terms;
    const namespace = namespaceOf(service);
    const ofNamespace = (sharers.namespaces.get(namespace) ?? 0) - 1;
    sharers.holdings.delete(holding);
    if (ofNamespace > 0) sharers.namespaces.set(namespace, ofNamespace);
    else sharers.namespaces.delete(namespace);
    const texts = ports.map(portText);
    for (const port of texts) sharers.ports.delete(port);
    this.#exit(slot, sharers.group, texts);
    this.#regroup(slot, sharers);
  }

  /** Moves a slot to the group that it is in now. @returns false where that is the same one */
  #regroup(slot: bigint, sharers: Sharers): boolean {
    const before = sharers.group;
    sharers.group = this.#groupOf(slot, sharers);
    if (sharers.group === before) return false;
    const ports = [...sharers.ports.keys()];
    if (before !== "") {
      this.#exit(slot, before, ports);
      const group = this.#groups.get(before);
      group?.slots.delete(slot);
      if (group?.slots.size === 0) this.#groups.delete(before);
    }
    if (sharers.group !== "") this.#enter(slot, sharers.group, ports);
    return true;
  }

  #groupOf(slot: bigint, { holdings, namespaces }: Sharers): string {
    const [first] = holdings;
    if (first === undefined) return "";
    const { sharing } = this.layout.hasSharingRules ? this.layout.at(slot).pool : { sharing: "cluster" as const };
    // Services of several namespaces have shared the slot since before the pool's rule.
    return sharing === "none" || (sharing === "namespace" && namespaces.size > 1) ? "" : groupKey(first.terms, sharing);
  }

  #enter(slot: bigint, key: string, ports: readonly string[]): void {
    const group = this.#groups.get(key) ?? { slots: new IntervalSet(), ports: new Map<string, IntervalSet>() };
    this.#groups.set(key, group);
    group.slots.add(slot);
    for (const port of ports) {
      const taken = group.ports.get(port) ?? new IntervalSet();
      group.ports.set(port, taken);
      taken.add(slot);
    }
  }

  /** These ports are free there again. */
  #exit(slot: bigint, key: string, ports: readonly string[]): void {
    const group = this.#groups.get(key);
    for (const port of ports) {
      const taken = group?.ports.get(port);
      if (taken?.delete(slot) && taken.size === 0) group?.ports.delete(port);
    }
  }

  #count({ allocation, slots }: Holding, slot: bigint, change: 1 | -1): void {
    const index = slots.indexOf(slot);
    const pool = allocation.pools[index] ?? "";
    const address = allocation.addresses[index];
    if (address === undefined) return;
    const isOfNobody = this.layout.locate(address)?.reservedFor?.type === "nobody";
    for (const counts of isOfNobody ? [this.#inUse, this.#ofNobody] : [this.#inUse]) {
      const before = counts.get(pool) ?? none;
      counts.set(pool, { ...before, [address.family]: before[address.family] + change });
    }
  }
}

function conflictWith(holding: Holding, terms: Terms, slot: bigint): Refusal | undefined {
  const address = holding.allocation.addresses[holding.slots.indexOf(slot)];
  if (address === undefined) throw new Error(`Cannot compare holders: ${holding.terms.service} is not on slot ${slot}`);
  return conflict(terms, holding.terms, address);
}

/** No two pairs give the same text, even with odd characters in an annotation; nor a pair and a namespace, which has no colon. */
function groupKey({ service, sharingKey, backendKey }: Terms, sharing: "cluster" | "namespace"): string {
  const key = `${sharingKey.length}:${sharingKey}${backendKey}`;
  return sharing === "cluster" ? key : `${namespaceOf(service)}/${key}`;
}

/** The part of a request that decides which Services may share an address. */
export interface Terms extends Pick<AddressRequest, "service" | "sharingKey" | "backendKey" | "ports"> {
  /** Absent for no: of many Services few do. */
  readonly mayHoldSeveral?: boolean;
}

const noPorts: readonly Port[] = [];

function textsOf(ports: readonly Port[]): { readonly ports: readonly Port[]; readonly texts: ReadonlySet<string> } {
  return { ports, texts: new Set(ports.map(portText)) };
}

/** Only what later decisions need is kept: without a sharing key the ports never matter. */
export function termsOf({ service, sharingKey, backendKey, ports, mayHoldSeveral }: AddressRequest): Terms {
  const terms = { service, sharingKey, backendKey, ports: sharingKey === "" ? noPorts : ports };
  return mayHoldSeveral ? { ...terms, mayHoldSeveral } : terms;
}

/** Such as `80/TCP`. */
export function portText({ protocol, port }: Port): string {
  return `${port}/${protocol}`;
}

/**
 * Why a Service may not have `address` while `holder` has it too; nothing stands between a Service and itself. The refusal says of a holder
 * in another namespace only that it exists: its name is nobody's business there.
 */
export function conflict(terms: Terms, holder: Terms, address: Address): Refusal | undefined {
  const refusal = between(terms, holder, address);
  return refusal === undefined || namespaceOf(terms.service) === namespaceOf(holder.service)
    ? refusal
    : { reason: "inUse", address };
}

function between(terms: Terms, holder: Terms, address: Address): Refusal | undefined {
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
