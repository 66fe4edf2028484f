/**
 * Layer 2: makes the hosts of a LAN send to this node what they send to an address, by answering for it on every interface that can,
 * or on some by name: ARP (RFC 826, RFC 5227) for IPv4, neighbour discovery (RFC 4861, and RFC 4862 where it speaks of addresses in
 * use) for IPv6. Codecs, responders, schedules and eligibility are pure; the engine does the work, in a thread of its own, and
 * `Layer2` is its handle. Who announces what is not decided here, nor is it probed whether another host has the address (RFC 4862,
 * section 5.4): an address moves between nodes without a wait. Times are `Clock` milliseconds.
 */

export { type IgnoredReason, ignoredReasons } from "./answer.ts";
export type { IneligibleReason } from "./eligibility.ts";
export {
  type AddressCounters,
  type AnnounceOptions,
  Layer2,
  type Layer2Counters,
  Layer2Error,
  type Layer2Options,
} from "./layer2.ts";
export type { InterfaceState, InterfaceStatus } from "./messages.ts";
