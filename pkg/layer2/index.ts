/**
 * Layer 2: makes the hosts of a LAN send to this node what they send to an address, by answering ARP for it (RFC 826, RFC 5227) on
 * every interface that can. IPv4 only. Codec, responder, schedule and eligibility are pure; the engine does the work, in a thread of
 * its own, and `Layer2` is its handle. Who announces what is not decided here. Times are `Clock` milliseconds.
 */
export type { IneligibleReason } from "./eligibility.ts";
export { type AddressCounters, Layer2, type Layer2Counters, Layer2Error, type Layer2Options } from "./layer2.ts";
export type { InterfaceState, InterfaceStatus } from "./messages.ts";
export { type IgnoredReason, ignoredReasons } from "./responder.ts";
