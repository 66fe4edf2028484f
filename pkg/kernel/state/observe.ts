import type { Millis } from "#pkg/clock";
import type { InterfaceAddress, NetlinkMessage, NetworkInterface, TableRoute } from "#pkg/linux";
import { serviceHolders } from "#pkg/net";
import { addressKey, routeKey } from "./items.ts";
import { noteHeld, noteTaken, setPlace } from "./plan.ts";
import { isNic, isOurs, type KernelEntry, type KernelState } from "./state.ts";

// Interfaces that come and go in quick succession cost one reading in this time.
const minScanMs: Millis = 50;
const rescanMs: Millis = 60_000; // Netlink loses notifications.
const maxLooked = 100;
const secondary = 0x01; // IFA_F_SECONDARY

/** Takes in a notification. */
export function observe(state: KernelState, message: NetlinkMessage, now: Millis): void {
  switch (message.type) {
    case "interfaceSet":
    case "interfaceDeleted":
      linkChanged(state, message.type === "interfaceSet", message.networkInterface, now);
      break;
    case "addressSet":
      if (isOwnOfNic(state, message.address)) lostTrack(state, now); // Its place among ours is not told.
      addressSet(state, message.address, now);
      break;
    case "addressDeleted":
      addressDeleted(state, message.address, now);
      break;
    case "routeSet":
      routeSet(state, message.route, now);
      break;
    case "routeDeleted":
      gone(state, routeKey(message.route.table, message.route.prefix), now);
      break;
    case "done":
    case "error":
      break;
    default:
      message satisfies never;
  }
}

/** Notifications were lost: all is to be read. */
export function lostTrack(state: KernelState, now: Millis): void {
  state.scanAt = Math.min(state.scanAt, Math.max(now, state.scannedAt + minScanMs));
}

/** Everything in the kernel; of routes, those in `tables`. */
export interface Scan {
  readonly messages: readonly NetlinkMessage[];
  /** Nothing changed meanwhile. Otherwise what is missing may be there all the same. */
  readonly complete: boolean;
}

/** Compares all found entries with the known ones. */
export function compare(state: KernelState, { messages, complete }: Scan, now: Millis): void {
  const { entries, strays, held, links, indexes, recorded } = state;
  state.scannedAt = now;
  state.scanAt = now + (complete ? rescanMs : minScanMs);
  if (complete) {
    held.clear();
    links.clear();
    indexes.clear();
    strays.clear();
  }
  for (const message of messages) if (message.type === "interfaceSet") setLink(state, message.networkInterface);
  const seen = new Set<string>();
  for (const message of messages) {
    if (message.type === "routeSet") {
      seen.add(routeKey(message.route.table, message.route.prefix));
      routeSet(state, message.route, now);
    } else if (message.type === "addressSet") {
      const { address } = message;
      const name = links.get(address.interfaceIndex)?.name ?? "";
      seen.add(addressKey(name, address.address, address.prefixLength));
      addressSet(state, address, now);
    }
  }
  for (const [key, entry] of entries) compareEntry(state, key, entry, seen, complete, now);
  // An entry that disappeared by itself is no longer ours: if it comes back, somebody else put it there, or we record it again.
  if (complete) for (const key of recorded) if (!seen.has(key)) recorded.delete(key);
  moveBehindOwn(state, messages, now);
  state.interfaces.dueAt = Math.min(state.interfaces.dueAt, now);
}

/**
 * Programs take the first address of a NIC for the node's, and so does the kernel where no subnet decides on the source. One of ours comes
 * first when the node's own went and came again, or another one: then it is put behind that.
 */
function moveBehindOwn(state: KernelState, messages: readonly NetlinkMessage[], now: Millis): void {
  const { links, entries, strays, agenda } = state;
  const withOwn = new Set<number>(); // indexes of NICs with an own address behind the one that is looked at
  for (const message of messages.toReversed()) {
    if (message.type !== "addressSet") continue;
    const { interfaceIndex, address, prefixLength, flags } = message.address;
    if (isOwnOfNic(state, message.address)) {
      if ((flags & secondary) === 0) withOwn.add(interfaceIndex); // Others come behind ours in any case.
    } else if (withOwn.has(interfaceIndex) && address.family === "IPv4") {
      const key = addressKey(links.get(interfaceIndex)?.name ?? "", address, prefixLength);
      if (entries.get(key)?.place !== "placed") continue;
      strays.set(`${key} before`, { type: "deleteAddress", interfaceIndex, address, prefixLength });
      agenda.set(key, now);
    }
  }
}

/** Whether the node itself has this IPv4 address, and with it a subnet, on a NIC that is to have addresses of Services. */
function isOwnOfNic(state: KernelState, found: InterfaceAddress): boolean {
  const { address, prefixLength } = found;
  const name = state.links.get(found.interfaceIndex)?.name;
  if (name === undefined || address.family !== "IPv4" || prefixLength === address.bits || !isNic(state, name)) return false;
  return !isOurs(state, addressKey(name, address, prefixLength), found);
}

function compareEntry(
  state: KernelState,
  key: string,
  entry: KernelEntry,
  seen: ReadonlySet<string>,
  complete: boolean,
  now: Millis,
): void {
  const { place } = entry;
  if (seen.has(key) || noteHeld(state, key, entry, now) || !complete) return;
  if (place === "placed") noteTaken(state, key, entry, now);
  else if (!state.agenda.has(key)) {
    setPlace(entry, "absent", now);
    state.agenda.set(key, now);
  }
}

function setLink({ links, indexes }: KernelState, { index, name, up, kind }: NetworkInterface): void {
  const before = links.get(index);
  if (before !== undefined && before.name !== name && indexes.get(before.name) === index) indexes.delete(before.name);
  links.set(index, { name, up, kind });
  indexes.set(name, index);
}

function linkChanged(state: KernelState, isSet: boolean, networkInterface: NetworkInterface, now: Millis): void {
  const { links, indexes } = state;
  const before = links.get(networkInterface.index);
  if (isSet) setLink(state, networkInterface);
  else {
    links.delete(networkInterface.index);
    if (indexes.get(networkInterface.name) === networkInterface.index) indexes.delete(networkInterface.name);
  }
  const after = isSet ? networkInterface : undefined;
  if (before?.name === after?.name && before?.up === after?.up) return;
  if ([before?.name, after?.name].some((name) => name !== undefined && state.interfaces.uses.has(name))) lostTrack(state, now);
}

function addressSet(state: KernelState, found: InterfaceAddress, now: Millis): void {
  const { links, entries, strays } = state;
  const name = links.get(found.interfaceIndex)?.name;
  if (name === undefined) return; // An interface that has just come; its own notification follows, and a reading after it.
  const key = addressKey(name, found.address, found.prefixLength);
  const entry = entries.get(key);
  const ours = isOurs(state, key, found);
  if (!ours && !serviceHolders.includes(name)) state.held.set(found.address.toString(), name);
  if (entry !== undefined) setFound(state, key, entry, ours, now);
  else if (ours) {
    const { interfaceIndex, address, prefixLength } = found;
    strays.set(key, { type: "deleteAddress", interfaceIndex, address, prefixLength });
  }
}

function addressDeleted(state: KernelState, found: InterfaceAddress, now: Millis): void {
  const { interfaceIndex, address, prefixLength } = found;
  const name = state.links.get(interfaceIndex)?.name;
  if (name === undefined) return;
  if (isOwnOfNic(state, found)) lostTrack(state, now); // Another one may be the first now.
  gone(state, addressKey(name, address, prefixLength), now);
  // Where several have it, or it is there twice, a reading finds that.
  if (state.held.get(address.toString()) === name) {
    state.held.delete(address.toString());
    if (state.entries.values().some(({ place }) => place === "held")) lostTrack(state, now);
  }
  // With the last IPv4 address of an interface the kernel drops all IPv4 routes through it, and says nothing.
  const mayBeLast = address.family === "IPv4" && (state.interfaces.uses.get(name)?.routes ?? 0) > 0 && !hasAddress(state, name);
  if (mayBeLast) lostTrack(state, now);
}

/** Whether an interface has an IPv4 address of ours. Looks at some alone, because a reading of everything is no harm but its cost. */
function hasAddress({ entries }: KernelState, name: string): boolean {
  return entries
    .values()
    .take(maxLooked)
    .some(({ item, place }) => {
      return item.type === "address" && item.interface === name && place === "placed" && item.address.family === "IPv4";
    });
}

function routeSet(state: KernelState, route: TableRoute, now: Millis): void {
  const { entries, strays, marks, indexes } = state;
  if (!marks.has(route.protocol) || route.interfaceIndex === undefined) return;
  const key = routeKey(route.table, route.prefix);
  const entry = entries.get(key);
  const { prefix, table, protocol, interfaceIndex } = route;
  const isWanted =
    entry?.item.type === "route" && entry.item.protocol === protocol && indexes.get(entry.item.interface) === interfaceIndex;
  if (entry !== undefined && isWanted) setFound(state, key, entry, true, now);
  else strays.set(entry === undefined ? key : `${key} before`, { type: "deleteRoute", prefix, table, protocol, interfaceIndex });
}

function setFound(state: KernelState, key: string, entry: KernelEntry, ours: boolean, now: Millis): void {
  entry.by = undefined;
  entry.error = undefined;
  if (!ours) {
    setPlace(entry, "foreign", now);
    state.agenda.delete(key);
  } else if (entry.place !== "placed") {
    entry.isTaken = false; // It is there again without us, or what was told of is long past.
    setPlace(entry, "placed", now);
    state.agenda.set(key, now); // Brings it up to date: it may be of an earlier life.
  }
}

function gone(state: KernelState, key: string, now: Millis): void {
  const { entries, strays } = state;
  strays.delete(key);
  const entry = entries.get(key);
  if (entry === undefined) return;
  if (entry.place === "placed") noteTaken(state, key, entry, now);
  else if (entry.place === "foreign") {
    setPlace(entry, "absent", now);
    state.agenda.set(key, now);
  }
}
