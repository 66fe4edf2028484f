/**
 * Layer 2: makes the hosts of a LAN send to this node what they send to an address, by answering for it on every interface that can,
 * or on some by name: ARP (RFC 826, RFC 5227) for IPv4, neighbour discovery (RFC 4861, and RFC 4862 where it speaks of addresses in
 * use) for IPv6. Codecs, responders, schedules and eligibility are pure; the engine does the work, in a thread of its own that begins
 * when there is some, and `Layer2` is its handle. Claims of other machines to an address are told (RFC 5227, section 2.4; RFC 4862,
 * section 5.4), and others can be asked; who announces what, who gives way and what is asked is not decided here. IPv6 extension
 * headers: the kernel's filter drops neighbour messages that have one. RFC 6980 has fragments ignored, and no host sends any other.
 * Times are `Clock` milliseconds.
 */

export { type IgnoredReason, ignoredReasons } from "./answer.ts";
export type { IneligibleReason } from "./eligibility.ts";
export {
  type AddressCounters,
  type AddressSighting,
  type AnnounceOptions,
  Layer2,
  type Layer2Counters,
  Layer2Error,
  type Layer2Options,
  type ProbeOptions,
} from "./layer2.ts";
export type { InterfaceState, InterfaceStatus } from "./messages.ts";
export type { SightingKind } from "./sighting.ts";
