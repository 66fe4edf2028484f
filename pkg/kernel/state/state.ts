import type { Millis } from "#pkg/clock";
import type { InterfaceAddress, KernelRequest, NetworkInterface } from "#pkg/linux";
import { type Item, isSameItem, itemKey } from "./items.ts";

/**
 * The wanted and the known entries of this node's kernel. The functions of this folder change it in place; the driver reads the kernel,
 * makes the requests of `plan` and reports their results. Infinity is a deadline that is not set.
 */
export interface KernelState {
  /** The kernel keeps the mark of an address (IFA_PROTO, Linux 5.18); otherwise `recorded` says which are ours. */
  readonly hasMarks: boolean;
  readonly entries: Map<string, KernelEntry>; // key -> item that is wanted
  readonly owners: Map<string, readonly Item[]>; // who wants something -> what
  readonly agenda: Map<string, Millis>; // key of an entry -> when a request for it is due
  readonly strays: Map<string, Stray>; // key of an entry that is ours and not wanted -> how it is removed
  readonly held: Map<string, string>; // address that somebody else has put somewhere, as text -> interface
  readonly links: Map<number, Link>; // index -> interface
  readonly indexes: Map<string, number>; // name of an interface -> index
  readonly interfaces: Interfaces;
  /** Marks that this life and the one before it have used: what carries one is ours. */
  readonly marks: Set<number>;
  readonly tables: Set<number>; // tables in which there may be routes of ours
  /** How many are wanted for no longer than this process lives. */
  shortLived: number;
  readonly recorded: Set<string>; // keys of addresses of the life before, and of this one, without marks
  /** Everything that is wanted is known: what is ours and not wanted may go. */
  isComplete: boolean;
  /** When all is to be read and compared. */
  scanAt: Millis;
  scannedAt: Millis;
  readonly disturbance: Disturbance;
}

export interface KernelEntry {
  readonly item: Item;
  /** How many want it. */
  users: number;
  /**
   * `placed`: it is there, with our mark. `foreign`: it is there, and somebody else put it there. `held`: another interface, `by`, has the
   * address. `absent`: it is not there.
   */
  place: "absent" | "placed" | "foreign" | "held";
  by: string | undefined;
  /** Since when `place` is so. */
  since: Millis;
  /** Why it could not be placed: the name of `errno`. */
  error: string | undefined;
  /** How often somebody took it away, and it was put back. */
  restored: number;
  /** In a row: that it was refused, or taken away soon after it was put back. */
  failures: number;
  restoredAt: Millis;
  /** When the kernel takes it off if it is not renewed. */
  expiresAt: Millis;
  /** Somebody took it away, and it is not back yet. */
  isTaken: boolean;
}

export type Stray = Extract<KernelRequest, { readonly type: "deleteAddress" | "deleteRoute" }>;

export type Link = Pick<NetworkInterface, "name" | "up" | "kind">;

/** The interfaces of items, and those among them that are made where they are absent. */
export interface Interfaces {
  readonly uses: Map<string, Use>; // name -> what is wanted on it
  readonly created: Set<string>; // that this life made, and whose settings are due
  /** Kind of the interface to make: kernels without dummies have bridges. */
  kind: "dummy" | "bridge";
  /** When one that is missing is made, or one that is down is turned on. */
  dueAt: Millis;
  failures: number;
  /** Why it could not be made: the name of `errno`. */
  error: string | undefined;
}

/** How many items are wanted on an interface. */
export interface Use {
  items: number;
  routes: number;
  /** For which it is made where it is absent. */
  making: number;
}

/** Removals of our entries by somebody else, for a report. */
export interface Disturbance {
  /** Since the last report. */
  count: number;
  readonly examples: Set<string>;
  reportAt: Millis;
  reportedAt: Millis;
  total: number;
}

const unmade = { kind: "dummy", dueAt: Infinity, failures: 0, error: undefined } as const;

/** Whether a kernel of this release keeps the mark of an address (IFA_PROTO). */
export function hasAddressMarks(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 18);
}

/** @param hasMarks see `KernelState` */
export function createKernelState(hasMarks: boolean): KernelState {
  return {
    hasMarks,
    entries: new Map(),
    owners: new Map(),
    agenda: new Map(),
    strays: new Map(),
    held: new Map(),
    links: new Map(),
    indexes: new Map(),
    interfaces: { uses: new Map(), created: new Set(), ...unmade },
    marks: new Set(),
    tables: new Set(),
    shortLived: 0,
    recorded: new Set(),
    isComplete: false,
    scanAt: -Infinity,
    scannedAt: -Infinity,
    disturbance: { count: 0, examples: new Set(), reportAt: Infinity, reportedAt: -Infinity, total: 0 },
  };
}

/** From now on `owner` wants these, and nothing else. @returns whether anything is different */
export function want(state: KernelState, owner: string, items: readonly Item[], now: Millis): boolean {
  const before = state.owners.get(owner) ?? [];
  if (items.length === before.length && items.every((item, index) => isSame(item, before[index]))) return false;
  for (const item of items) add(state, item, now);
  for (const item of before) release(state, item);
  if (items.length === 0) state.owners.delete(owner);
  else state.owners.set(owner, items);
  return true;
}

/** Everything that is wanted is known. */
export function complete(state: KernelState): void {
  state.isComplete = true;
}

/** Whether an address that the kernel has is ours. */
export function isOurs(state: KernelState, key: string, { protocol }: Pick<InterfaceAddress, "protocol">): boolean {
  return state.hasMarks || protocol !== undefined ? protocol !== undefined && state.marks.has(protocol) : state.recorded.has(key);
}

function isSame(item: Item, other: Item | undefined): boolean {
  return other !== undefined && isSameItem(item, other);
}

function add(state: KernelState, item: Item, now: Millis): void {
  const { entries, agenda, marks, tables } = state;
  const key = itemKey(item);
  const before = entries.get(key);
  marks.add(item.protocol);
  if (item.type === "route") tables.add(item.table);
  countUse(state, item, 1);
  if (makesInterface(item)) state.interfaces.dueAt = Math.min(state.interfaces.dueAt, now);
  if (before !== undefined && isSameItem(before.item, item)) {
    before.users++;
    return;
  }
  entries.set(key, {
    item,
    users: (before?.users ?? 0) + 1,
    place: adopts(state, key, item, before) ? "placed" : "absent",
    by: undefined,
    since: before?.since ?? now,
    error: undefined,
    restored: before?.restored ?? 0,
    failures: 0,
    restoredAt: -Infinity,
    expiresAt: before?.expiresAt ?? Infinity,
    isTaken: false,
  });
  agenda.set(key, now);
}

/**
 * Whether what an earlier configuration, or an earlier life, has put there stays: an address, which is brought up to date when it is
 * placed, or the same route. Another route for the prefix has to go first.
 */
function adopts(state: KernelState, key: string, item: Item, before: KernelEntry | undefined): boolean {
  const stray = state.strays.get(key);
  if (item.type === "address") return state.strays.delete(key) || before?.place === "placed";
  if (before !== undefined) {
    const old = before.place === "placed" ? strayOf(state, before.item) : undefined;
    if (old !== undefined) state.strays.set(`${key} before`, old);
    return false;
  }
  const own = strayOf(state, item);
  const isSameRoute =
    stray?.type === "deleteRoute" &&
    own?.type === "deleteRoute" &&
    stray.interfaceIndex === own.interfaceIndex &&
    stray.protocol === own.protocol;
  if (isSameRoute) state.strays.delete(key);
  return isSameRoute;
}

function release(state: KernelState, item: Item): void {
  const { entries, agenda, strays } = state;
  const key = itemKey(item);
  const entry = entries.get(key);
  countUse(state, item, -1);
  if (entry === undefined || --entry.users > 0) return;
  entries.delete(key);
  agenda.delete(key);
  const stray = entry.place === "placed" ? strayOf(state, entry.item) : undefined;
  if (stray !== undefined) strays.set(key, stray);
}

function countUse(state: KernelState, item: Item, change: 1 | -1): void {
  const { uses } = state.interfaces;
  const use = uses.get(item.interface) ?? { items: 0, routes: 0, making: 0 };
  use.items += change;
  if (item.type === "route") use.routes += change;
  else if (item.lifetimeSeconds === undefined) state.shortLived += change;
  if (makesInterface(item)) use.making += change;
  if (use.items > 0) uses.set(item.interface, use);
  else uses.delete(item.interface);
}

/** Undefined where its interface is gone, and it with it. */
export function strayOf(state: KernelState, item: Item): Stray | undefined {
  const interfaceIndex = state.indexes.get(item.interface);
  if (interfaceIndex === undefined) return undefined;
  if (item.type === "address")
    return { type: "deleteAddress", interfaceIndex, address: item.address, prefixLength: item.prefixLength };
  return { type: "deleteRoute", interfaceIndex, prefix: item.prefix, table: item.table, protocol: item.protocol };
}

/** Whether what is wanted on an interface is wanted beside the node's own addresses. */
export function isNic({ interfaces }: KernelState, name: string): boolean {
  return interfaces.uses.get(name)?.making === 0;
}

/** NICs are there, or are not; only what stands for none is made. */
export function makesInterface(item: Item): boolean {
  return item.type === "route" || !item.isOnLan;
}
