/**
 * Layer 2: makes the hosts of a LAN send to this node what they send to an address, by answering for it on every interface that can, or on
 * some by name: ARP (RFC 826, RFC 5227) for IPv4, neighbor discovery (RFC 4861, and duplicate address detection of RFC 4862) for IPv6.
 * Frames (`frames/`) and schedules, limits and eligibility (`engine/`) are pure; a thread of its own does the work while there is some, and
 * `Layer2` is its handle. Sightings of other hosts that use, announce or probe an address are reported (RFC 5227, section 2.4; RFC 4862,
 * section 5.4), and hosts can be probed; `Asker` asks as a client would. Left out: the decision who announces an address and who yields.
 * IPv6 extension headers: the kernel's filter drops neighbor messages that have one; RFC 6980 has fragments ignored, and no host sends any
 * other. Times are `Clock` milliseconds.
 */
export type { AddressCounters } from "./announced-addresses.ts";
export { Asker, maxQuestions, sourceFor, type WireAnswer, type WireQuestion } from "./asker.ts";
export { canReachHosts, type InterfaceState } from "./engine/interface-state.ts";
export { ignoredReasons } from "./frames/answers.ts";
export { type AddressSighting, Layer2, type Layer2Counters, Layer2Error } from "./layer2.ts";
