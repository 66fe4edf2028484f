/**
 * The ring of speakers: SWIM as HashiCorp's memberlist v0.1.7 to v0.6.0 speaks it, so that those of MetalLB can be members too.
 * `Memberlist` is one member: it owns the sockets and the timer. `MemberlistThread` is one in a thread of its own, with the gossip of its
 * node: what the main thread does delays nothing there. Inside, `codec/` turns messages into packets and streams and
 * back, and `ring/` is the protocol; neither does I/O. Left out: rings without encryption. Instants and durations are `Millis`.
 */
export { Keyring, metallbKey, metallbKeys } from "./codec/keyring.ts";
export { decodeMetadata, encodeMetadata, type MetadataFields, MetadataKey } from "./codec/metadata.ts";
export { type MemberlistCounters, roundTripBounds } from "./counters.ts";
export { GossipDelegate } from "./gossip-delegate.ts";
export type { EvidenceView, MemberView } from "./member-view.ts";
export {
  type JoinResult,
  Memberlist,
  type MemberlistEvent,
  type MemberlistOptions,
  type PathEnd,
} from "./memberlist.ts";
export { MemberlistThread } from "./memberlist-thread.ts";
export type { MemberEvent, PathVerdict } from "./ring/events.ts";
export { maxUserBytes } from "./ring/sending.ts";
export { openSockets } from "./sockets.ts";
export type { RingEvent } from "./thread-messages.ts";
export type { OpenTransport } from "./transport.ts";
