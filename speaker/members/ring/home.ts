import type { Millis } from "#pkg/clock";
import type { InterfaceState } from "#pkg/layer2";
import { isLinkLocal, parseAddress } from "#pkg/net";

/** The interface with the ring's address, and since when that is gone. */
export interface Home {
  readonly address: string;
  /** The interface that has, or had, the address. */
  readonly name: string | undefined;
  readonly addresses: ReadonlyMap<string, Millis>; // address with its length, on that interface and to be sent from -> since when
  /** Since when this node does not have the address; undefined while it does. */
  readonly lostAt: Millis | undefined;
  /** When another address is looked for; Infinity for never. */
  readonly lookAt: Millis;
}

export const newHome: Home = { address: "", name: undefined, addresses: new Map(), lostAt: undefined, lookAt: Infinity };

// Addresses are taken away and given back when a lease is renewed or a network is set up again.
const moveMs: Millis = 500;
// An address that has been on the interface for longer than that when the ring's address goes does not replace it, but may be an address
// that wanders between nodes. The ring takes it only if the interface has no other address for that long.
const youngMs: Millis = 10_000;

/** The interfaces have changed. Interfaces that keep changing delay no move. */
export function followInterfaces(before: Home, interfaces: readonly InterfaceState[], address: string, now: Millis): Home {
  const home = interfaces.find((one) => one.addresses.some((text) => text.slice(0, text.indexOf("/")) === address));
  const name = home?.name ?? before.name;
  const there = home ?? interfaces.find((one) => one.name === name);
  const { addresses: all = [], unfit = [] } = there ?? {};
  const fit = all.filter((one) => !unfit.includes(one));
  const addresses = new Map(fit.map((one) => [one, before.addresses.get(one) ?? now]));
  if (home !== undefined || name === undefined) return { address, name, addresses, lostAt: undefined, lookAt: Infinity };
  const isLooking = before.lostAt !== undefined;
  return { address, name, addresses, lostAt: before.lostAt ?? now, lookAt: isLooking ? before.lookAt : now + moveMs };
}

/** Looks for another address if it is time to, and again later if it finds no address. */
export function lookForAddress(home: Home, now: Millis): Home {
  const { address: before, addresses, lostAt, lookAt } = home;
  if (lostAt === undefined || now < lookAt) return home;
  const young = [...addresses].filter(([, since]) => lostAt - since < youngMs);
  const isLong = now - lostAt >= youngMs;
  const address = successorOf(before, young) ?? (isLong ? successorOf(before, [...addresses]) : undefined);
  return address === undefined ? { ...home, lookAt: now + moveMs } : { ...home, address, lostAt: undefined, lookAt: Infinity };
}

/** The first address on an interface that can take the place of another: of its family, and in a subnet with other hosts. */
function successorOf(address: string, there: readonly (readonly [string, Millis])[]): string | undefined {
  const family = parseAddress(address)?.family;
  for (const [text] of there) {
    const [one = "", length] = text.split("/");
    const parsed = parseAddress(one);
    if (parsed !== undefined && parsed.family === family && Number(length) < parsed.bits && !isLinkLocal(parsed)) return one;
  }
  return undefined;
}
