import type { Millis } from "#pkg/clock";
import type { FilterChange, FilterElement } from "#pkg/linux";
import type { Address, Family } from "#pkg/net";
import { elementsOf, type Handover, macLength, type SetName, setNames, shapeOf, speakerElement } from "./shape.ts";

// A message of this many elements is below 64 KiB, the most that an attribute has room for.
const maxElements = 250;
const minTimeout: Millis = 1_000;
const none = new Uint8Array();

/** Elements by set and key. */
export type Elements = Readonly<Record<SetName, Map<string, Element>>>; // key in hexadecimal -> the element

export interface Element extends FilterElement {
  /** Infinity for one that stays. */
  readonly until: Millis;
}

/** Keys of elements to look at, by set. */
export type Keys = Readonly<Record<SetName, Set<string>>>;

export function noKeys(): Keys {
  return { speakers: new Set(), links: new Set(), owned: new Set(), passed: new Set() };
}

/** The table of one family, as it is to be and as the kernel has it. */
export interface TableState {
  readonly family: Family;
  readonly wanted: Elements;
  /** Address -> its handover. */
  readonly handovers: Map<string, Handover>;
  /**
   * Address, in hexadecimal -> what an earlier life of the speaker handed over or passed on. The kernel ends it, unless the caller says first what is
   * to be done with the address.
   */
  readonly inherited: Map<string, { readonly set: "owned" | "passed"; readonly key: string }[]>;
  /** MAC addresses, in hexadecimal, that an earlier life of the speaker knew: of speakers that are away while this one begins, too. */
  readonly formerSpeakers: Map<string, Element>;
  /** The caller has named all handovers: remains of an earlier life may go. */
  isComplete: boolean;
  /** Undefined while the kernel has no such table; the keeper sets it when it reads the table. */
  found: Elements | undefined;
}

export function createTable(family: Family): TableState {
  return {
    family,
    wanted: noElements(),
    handovers: new Map(),
    inherited: new Map(),
    formerSpeakers: new Map(),
    isComplete: false,
    found: undefined,
  };
}

export function noElements(): Elements {
  return { speakers: new Map(), links: new Map(), owned: new Map(), passed: new Map() };
}

/**
 * At the beginning the kernel has what an earlier life left. A node that owned an address in between is to pass on what its successor sends, also with
 * a new speaker, which has no part in it. One that still owned it is to hand over what clients send, until the new speaker knows who owns it.
 */
export function inherit({ found, wanted, inherited, formerSpeakers, handovers }: TableState, until: Millis): void {
  for (const [key, element] of found?.speakers ?? []) {
    formerSpeakers.set(key, element);
    wanted.speakers.set(key, element);
  }
  for (const set of ["links", "owned", "passed"] as const)
    for (const key of found?.[set].keys() ?? []) endsTooSoon(found, set, key);
  const own = new Set([...handovers.values()].map(({ address }) => hex(address.toBytes())));
  for (const set of ["owned", "passed"] as const)
    for (const [key, element] of found?.[set] ?? []) {
      const address = set === "owned" ? key : key.slice(2 * macLength);
      const link = found?.links.get(address);
      if (link === undefined || own.has(address)) continue;
      inherited.set(address, [...(inherited.get(address) ?? []), { set, key }]);
      wanted[set].set(key, { ...element, until });
      wanted.links.set(address, { ...link, until });
      found?.[set].set(key, { ...element, until: Infinity });
      found?.links.set(address, { ...link, until: Infinity });
    }
}

/** Elements that the kernel has ended, or that somebody took away, are not put back: they would last longer than a handover may. */
export function forgetEnded(table: TableState): void {
  const ended = table.inherited
    .entries()
    .filter(([, each]) => !each.every(({ set, key }) => table.found?.[set].has(key) === true));
  forgetInherited(
    table,
    [...ended].map(([address]) => address),
  );
}

export function forgetInherited({ wanted, inherited }: TableState, addresses: Iterable<string>): void {
  for (const address of [...addresses]) {
    for (const { set, key } of inherited.get(address) ?? []) wanted[set].delete(key);
    if (inherited.delete(address)) wanted.links.delete(address);
  }
}

/** From now on this is the handover of the address; undefined for none. @returns the keys of the elements that may be others now */
export function want(table: TableState, of: Address, handover: Handover | undefined) {
  const { wanted, handovers } = table;
  const address = of.toString();
  forgetInherited(table, [hex(of.toBytes())]);
  const before = handovers.get(address);
  const each = [before, handover].flatMap((one) => (one === undefined ? [] : elementsOf(one)));
  for (const { set, element } of before === undefined ? [] : elementsOf(before)) wanted[set].delete(hex(element.key));
  if (handover === undefined) handovers.delete(address);
  else {
    handovers.set(address, handover);
    const { until } = handover;
    for (const { set, element } of elementsOf(handover)) {
      wanted[set].set(hex(element.key), { ...element, until });
      if (before?.until !== until) endsTooSoon(table.found, set, hex(element.key));
    }
  }
  return Map.groupBy(each, ({ set }) => set);
}

/** The kernel may end the element for an earlier handover, before its time, and keeps that time where the element is only added again. */
function endsTooSoon(found: Elements | undefined, set: SetName, key: string): void {
  const element = found?.[set].get(key);
  if (element !== undefined) found?.[set].set(key, { ...element, until: -Infinity });
}

/** From now on these are the MAC addresses of all other speakers. */
export function wantSpeakers({ wanted: { speakers }, formerSpeakers }: TableState, macs: Iterable<string>): void {
  speakers.clear();
  for (const [key, element] of formerSpeakers) speakers.set(key, element);
  for (const mac of macs) {
    const element = speakerElement(mac);
    if (element !== undefined) speakers.set(hex(element.key), { ...element, until: Infinity });
  }
}

/** Whether the kernel is to have the table. */
export function isWanted({ handovers, inherited }: TableState): boolean {
  return handovers.size + inherited.size > 0;
}

/**
 * The next changes, all of which the kernel makes together; none when it has all. Speakers come first: without them a packet could come
 * back. @param atOnce how many elements at most @param only these, where the kernel has all others
 */
export function plan(table: TableState, now: Millis, atOnce: number, only?: Keys): FilterChange[] {
  const { family, wanted, found, isComplete } = table;
  if (!isWanted(table)) return found !== undefined && isComplete ? [{ type: "deleteTable" }] : [];
  const changes = found === undefined ? shapeOf(family) : [];
  let left = atOnce;
  for (const set of setNames) {
    const keys = only?.[set];
    const here = among(found?.[set] ?? new Map<string, Element>(), keys);
    const isGone = ([key, one]: [string, Element]) => {
      const other = wanted[set].get(key);
      return other === undefined ? isComplete : one.until === -Infinity || !isSame(other, one);
    };
    const gone = here.entries().filter(isGone).take(left).toArray();
    left -= gone.length;
    const goneKeys = new Set(gone.map(([key]) => key));
    const isMissing = ([key, { until }]: [string, Element]) => until > now && (!here.has(key) || goneKeys.has(key));
    const missing = among(wanted[set], keys).entries().filter(isMissing).take(left).toArray();
    left -= missing.length;
    changes.push(
      ...inMessages(
        "deleteElements",
        set,
        gone.map(([, { key }]) => ({ key })),
      ),
    );
    changes.push(
      ...inMessages(
        "addElements",
        set,
        missing.map(([, one]) => asRequested(one, now)),
      ),
    );
  }
  return changes;
}

/** The kernel has made the changes. */
export function apply(table: TableState, changes: readonly FilterChange[]): void {
  for (const change of changes) {
    if (change.type === "addTable") table.found = noElements();
    else if (change.type === "deleteTable") table.found = undefined;
    else if (change.type === "deleteElements")
      for (const { key } of change.elements) table.found?.[change.set as SetName].delete(hex(key));
    else if (change.type === "addElements")
      for (const one of change.elements) table.found?.[change.set as SetName].set(hex(one.key), { ...one, until: Infinity });
  }
}

export function hex(key: Uint8Array): string {
  return Buffer.from(key).toString("hex");
}

function inMessages(type: "addElements" | "deleteElements", set: SetName, elements: readonly FilterElement[]): FilterChange[] {
  const messages: FilterChange[] = [];
  for (let from = 0; from < elements.length; from += maxElements)
    messages.push({ type, set, elements: elements.slice(from, from + maxElements) });
  return messages;
}

/** Those with these keys; all without keys. */
function among(elements: ReadonlyMap<string, Element>, keys: ReadonlySet<string> | undefined): ReadonlyMap<string, Element> {
  if (keys === undefined) return elements;
  return new Map(
    [...keys].flatMap((key) => {
      const element = elements.get(key);
      return element === undefined ? [] : [[key, element] as const];
    }),
  );
}

function asRequested({ key, value, until }: Element, now: Millis): FilterElement {
  const timeout = until === Infinity ? {} : { timeoutMs: Math.ceil(Math.max(minTimeout, until - now)) };
  return { key, ...(value && { value }), ...timeout };
}

function isSame(a: FilterElement, b: FilterElement): boolean {
  return a.value === b.value || Buffer.compare(a.value ?? none, b.value ?? none) === 0;
}
