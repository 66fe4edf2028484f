/**
 * BFD over one IP hop and over several (RFC 5880, RFC 5881, RFC 5883): asynchronous mode, demand mode as the other side may ask for it,
 * and the echo function; no authentication, and no demand of our own. Codecs and the state machine (`step`) are pure; the engine does the
 * work, in a thread of its own and in real time where it may (CAP_SYS_NICE), and `Bfd` is its handle. Its watchers decide on the
 * consequences of a failed path (RFC 5882). Times are `Clock` milliseconds.
 */
export { Bfd, type BfdDescription, type BfdEnds, type BfdSessionCounters, type BfdWatch } from "./bfd.ts";
export { type IgnoredReason, ignoredReasons } from "./messages.ts";
export type { BfdStatus, BfdVerdict } from "./session/status.ts";
