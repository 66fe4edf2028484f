import type { Millis } from "#pkg/clock";
import type { KernelRequest } from "#pkg/linux";
import { addressKey, describeItem } from "./items.ts";
import { hasExpired, renewAt, validSeconds } from "./lifetimes.ts";
import { isNic, type KernelEntry, type KernelState, type Stray } from "./state.ts";

/** A request, and what of the state it is for. */
export interface Planned {
  readonly request: KernelRequest;
  readonly purpose:
    | { readonly type: "interface"; readonly name: string }
    | { readonly type: "stray"; readonly key: string }
    | { readonly type: "entry"; readonly key: string };
}

const exists = "EEXIST";
const unsupported = "ENOTSUP"; // Node's name for EOPNOTSUPP, which is the same number.

const firstRetryMs: Millis = 1_000;
const maxRetryMs: Millis = 60_000;
// Somebody fights over an item that disappears this soon after it was put back; an item that disappears later is put back at once.
const fightMs: Millis = 500;
const firstRestoreMs: Millis = 20;
const maxRestoreMs: Millis = 5_000;
const reportAfterMs: Millis = 5_000;
const reportEveryMs: Millis = 10 * 60_000;
const maxExamples = 3;

/** When `plan` has something to do, all is to be read again, or a report is due. */
export function nextDeadline(state: KernelState): Millis {
  const { agenda, strays, interfaces, scanAt, disturbance, isComplete } = state;
  let next = Math.min(scanAt, interfaces.dueAt, disturbance.reportAt);
  for (const at of agenda.values()) next = Math.min(next, at);
  return isComplete && strays.size > 0 ? -Infinity : next;
}

/** Due requests, at most about `max`: interfaces first, then removals, then additions. */
export function plan(state: KernelState, now: Millis, max: number): Planned[] {
  const planned = planInterfaces(state, now);
  for (const [key, request] of state.strays) {
    if (planned.length >= max) return planned;
    const removal: Planned = { request, purpose: { type: "stray", key } };
    const replacement = planReplacement(state, request, now);
    if (replacement !== undefined)
      planned.push(...(canBoth(request, replacement.request) ? [replacement, removal] : [removal, replacement]));
    else if (state.isComplete) planned.push(removal);
  }
  for (const [key, at] of state.agenda) {
    if (planned.length >= max) break;
    const entry = at <= now ? state.entries.get(key) : undefined;
    const one = entry && planEntry(state, key, entry, now);
    if (one !== undefined) planned.push(one);
  }
  return planned;
}

function planEntry(state: KernelState, key: string, entry: KernelEntry, now: Millis): Planned | undefined {
  if (entry.place === "absent" && noteHeld(state, key, entry, now)) return undefined;
  const request = requestFor(state, entry);
  if (request === undefined) {
    state.agenda.delete(key);
    return undefined;
  }
  // Known before it is there, so that a life after this one never takes it for somebody else's.
  if (!state.hasMarks && request.type === "setAddress" && !request.replaces) state.recorded.add(key);
  return { request, purpose: { type: "entry", key } };
}

/**
 * A request for the address that takes the place of a stray on the same NIC, in the same breath, so that somebody answers. The stray has another
 * length, because earlier versions gave it that of the subnet, or the same length, and the address is to come behind the node's own.
 */
function planReplacement(state: KernelState, stray: KernelRequest, now: Millis): Planned | undefined {
  const name = stray.type === "deleteAddress" ? state.links.get(stray.interfaceIndex)?.name : undefined;
  if (stray.type !== "deleteAddress" || name === undefined || !isNic(state, name)) return undefined;
  const key = addressKey(name, stray.address, stray.address.bits);
  const entry = state.entries.get(key);
  const replacement = entry && planEntry(state, key, entry, now);
  if (replacement !== undefined) state.agenda.delete(key); // Its result sets that again.
  return replacement;
}

/** Whether the kernel can have what goes beside what comes: an IPv6 address has one length at a time. */
function canBoth(stray: Stray, replacement: KernelRequest): boolean {
  if (stray.type !== "deleteAddress" || replacement.type !== "setAddress") return false;
  return stray.address.family === "IPv4" && stray.prefixLength !== replacement.prefixLength;
}

function planInterfaces(state: KernelState, now: Millis): Planned[] {
  const { interfaces, indexes, links } = state;
  const planned: Planned[] = [];
  if (interfaces.dueAt > now) return planned;
  interfaces.dueAt = Infinity;
  for (const [name, { making }] of interfaces.uses) {
    if (making === 0) continue;
    const purpose = { type: "interface", name } as const;
    const interfaceIndex = indexes.get(name);
    if (interfaceIndex === undefined) {
      planned.push({ request: { type: "createInterface", name, kind: interfaces.kind }, purpose });
      continue;
    }
    if (links.get(interfaceIndex)?.up === false) planned.push({ request: { type: "setInterfaceUp", interfaceIndex }, purpose });
    if (interfaces.created.delete(name)) planned.push({ request: { type: "promoteSecondaries", interfaceIndex }, purpose });
  }
  if (planned.length === 0) {
    interfaces.failures = 0; // Somebody else has made what could not be made.
    interfaces.error = undefined;
  }
  return planned;
}

/** Undefined where there is nothing to ask for now: its interface is missing, or somebody else has the address. */
function requestFor(state: KernelState, { item, place }: KernelEntry): KernelRequest | undefined {
  const interfaceIndex = state.indexes.get(item.interface);
  if (interfaceIndex === undefined || place === "held" || place === "foreign") return undefined;
  if (item.type === "route") {
    const { prefix, table, protocol } = item;
    return place === "placed" ? undefined : { type: "addRoute", prefix, interfaceIndex, table, protocol };
  }
  const { address, prefixLength, protocol, isOnLan } = item;
  // On a NIC it would come before the node's own, which programs know by being the first; in a subnet all addresses have one scope.
  const hasHostScope = !isOnLan && prefixLength === address.bits;
  const traits = { protocol, validSeconds: validSeconds(state, item), hasHostScope, noPrefixRoute: isOnLan };
  return { type: "setAddress", replaces: place === "placed", interfaceIndex, address, prefixLength, ...traits };
}

/** Applies the result of a planned request. `code`: the name of the errno that it was refused with; undefined when it was done. */
export function applyResult(state: KernelState, { request, purpose }: Planned, code: string | undefined, now: Millis): void {
  switch (purpose.type) {
    case "interface":
      interfaceResult(state, request, code, now);
      break;
    case "stray":
      // Where it was refused it is found again by the next comparison, and not asked for all the time.
      state.strays.delete(purpose.key);
      state.recorded.delete(purpose.key);
      break;
    case "entry": {
      const entry = state.entries.get(purpose.key);
      const seconds = request.type === "setAddress" ? request.validSeconds : Infinity;
      if (entry !== undefined) entryResult(state, purpose.key, entry, seconds, code, now);
      break;
    }
    default:
      purpose satisfies never;
  }
}

function interfaceResult(state: KernelState, request: KernelRequest, code: string | undefined, now: Millis): void {
  const { interfaces } = state;
  if (request.type === "promoteSecondaries") return; // Kernels that cannot: what goes with the first address is put back.
  if (request.type === "createInterface" && code === unsupported && interfaces.kind === "dummy") {
    interfaces.kind = "bridge";
    interfaces.dueAt = now;
    return;
  }
  if (code === undefined || (code === exists && interfaces.failures === 0)) {
    if (code === undefined && request.type === "createInterface") interfaces.created.add(request.name);
    interfaces.failures = code === undefined ? 0 : 1; // An interface that exists and is then not found has that name as its second one (altname).
    interfaces.error = undefined;
    state.scanAt = now; // To know its index.
    return;
  }
  interfaces.error = code;
  interfaces.dueAt = now + retryAfter(interfaces.failures++);
}

/** @param seconds its lifetime, if it was placed */
function entryResult(
  state: KernelState,
  key: string,
  entry: KernelEntry,
  seconds: number,
  code: string | undefined,
  now: Millis,
): void {
  if (code === undefined) {
    entry.error = undefined;
    if (entry.isTaken) noteRestored(state, entry, now);
    else entry.failures = 0;
    setPlace(entry, "placed", now);
    entry.expiresAt = now + seconds * 1_000;
    const at = renewAt(seconds, now);
    if (at === Infinity) state.agenda.delete(key);
    else state.agenda.set(key, at);
    return;
  }
  if (code === exists) {
    // Somebody has put it there, maybe an earlier process of ours: what the kernel has decides. An item that is not found then is blocked
    // by another: somebody else's route, or an IPv6 address with another length.
    state.recorded.delete(key);
    if (entry.failures > 0) entry.error = code;
    state.agenda.set(key, now + retryAfter(entry.failures++));
    state.scanAt = now;
    return;
  }
  if (entry.place === "placed") setPlace(entry, "absent", now);
  entry.error = code;
  state.agenda.set(key, now + retryAfter(entry.failures++));
}

/** @returns whether an interface has the address already, and somebody else put it there */
export function noteHeld({ held, agenda }: KernelState, key: string, entry: KernelEntry, now: Millis): boolean {
  const { item } = entry;
  const holder = item.type === "address" ? held.get(item.address.toString()) : undefined;
  if (holder === undefined) return false;
  entry.by = holder;
  setPlace(entry, "held", now);
  agenda.delete(key);
  return true;
}

/** Somebody has taken it away, or it has expired: it is put back at once or, where that does not last, after a while. */
export function noteTaken(state: KernelState, key: string, entry: KernelEntry, now: Millis): void {
  setPlace(entry, "absent", now);
  entry.isTaken = !hasExpired(entry.expiresAt, now);
  const isFight = now < entry.restoredAt + fightMs;
  const delay = isFight ? Math.min(maxRestoreMs, firstRestoreMs * 2 ** Math.min(entry.failures++, 20)) : 0;
  if (!isFight) entry.failures = 0;
  state.agenda.set(key, now + delay);
}

function noteRestored(state: KernelState, entry: KernelEntry, now: Millis): void {
  const { disturbance } = state;
  entry.isTaken = false;
  entry.restored++;
  entry.restoredAt = now;
  disturbance.total++;
  disturbance.count++;
  if (disturbance.examples.size < maxExamples) disturbance.examples.add(describeItem(entry.item));
  if (disturbance.reportAt === Infinity)
    disturbance.reportAt = Math.max(now + reportAfterMs, disturbance.reportedAt + reportEveryMs);
}

/** Items put back since the last report, when a report is due. */
export function takeReport({ disturbance }: KernelState, now: Millis): { count: number; examples: string[] } | undefined {
  if (now < disturbance.reportAt) return undefined;
  const { count } = disturbance;
  const examples = [...disturbance.examples];
  disturbance.count = 0;
  disturbance.examples.clear();
  disturbance.reportAt = Infinity;
  disturbance.reportedAt = now;
  return { count, examples };
}

export function setPlace(entry: KernelEntry, place: KernelEntry["place"], now: Millis): void {
  if (entry.place !== place) entry.since = now;
  entry.place = place;
}

function retryAfter(failures: number): Millis {
  return Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures, 10));
}
