import type { Millis } from "#pkg/clock";
import type { AddressItem } from "./items.ts";
import type { KernelState } from "./state.ts";

// An address on a NIC outlives its speaker by this much: long enough for a process that stalls, since the ring gives what a node has to others
// within a second, and for the next process of the node; short enough for those who ask on the LAN and get two answers meanwhile.
const shortSeconds = 10;
const maxShortSeconds = 300;
// A renewal costs about 20 µs here, and a notification to every program that follows addresses.
const maxRenewalsPerSecond = 100;
const renewals = 3; // In a lifetime, so that two may fail.
const steps = 4; // Between two renewals: those that were placed one by one are renewed together.
// The kernel counts in its own ticks, and from when it was asked.
const expiryTolerance: Millis = 1_000;

/** How long the kernel is to keep an address that nobody renews: where nothing is configured, the longer the more of them there are. */
export function validSeconds({ shortLived }: Pick<KernelState, "shortLived">, { lifetimeSeconds }: AddressItem): number {
  if (lifetimeSeconds !== undefined) return lifetimeSeconds;
  return Math.min(maxShortSeconds, Math.max(shortSeconds, Math.ceil((shortLived * renewals) / maxRenewalsPerSecond)));
}

/** When an address that was set now is to be set again; Infinity for never. */
export function renewAt(seconds: number, now: Millis): Millis {
  if (seconds === Infinity) return Infinity;
  const interval = (seconds * 1_000) / renewals;
  const step = interval / steps;
  return Math.floor((now + interval) / step) * step;
}

/** Whether the kernel has taken it off because it was not renewed, as while the process stood still: nobody else did. */
export function hasExpired(expiresAt: Millis, now: Millis): boolean {
  return now >= expiresAt - expiryTolerance;
}
