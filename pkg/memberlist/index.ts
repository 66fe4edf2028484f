/**
 * The ring of speakers: SWIM as HashiCorp's memberlist v0.1.7 to v0.6.0 speaks it, so that those of MetalLB can be members too.
 * `Wire` says how a ring wraps its messages; the codec turns them into packets and streams and back. `step` is the protocol. Neither
 * does I/O. `Memberlist` is one member: it owns the sockets and the timer. Instants and durations are `Millis`.
 */
export { type EncryptionVersion, Keyring, metallbKey } from "./codec/keyring.ts";
export { MemberlistError, type MemberlistProblem } from "./codec/memberlist-error.ts";
export {
  type Ack,
  type Alive,
  type Dead,
  type Endpoint,
  type ErrorReply,
  type IndirectPing,
  type MemberState,
  type MemberStatus,
  type Nack,
  type NodeName,
  nodeName,
  nodeNameText,
  type PacketMessage,
  type Ping,
  type PushPull,
  type Source,
  type StreamMessage,
  type Suspect,
  type User,
  type Versions,
  type WireAddress,
} from "./codec/messages.ts";
export { decodeMetadata, encodeMetadata, type MetadataFields, MetadataKey } from "./codec/metadata.ts";
export { type DecodedPacket, decodePacket, encodePacket, type PacketOptions } from "./codec/packet.ts";
export { encodeStream, StreamDecoder, type StreamEnd, type StreamOptions, type StreamResult } from "./codec/stream.ts";
export { defaultWire, type Wire } from "./codec/wire.ts";
export type { MemberView } from "./member-view.ts";
export {
  type JoinResult,
  Memberlist,
  type MemberlistCounters,
  type MemberlistEvent,
  type MemberlistOptions,
} from "./memberlist.ts";
export { maxUserOctets } from "./ring/broadcasts.ts";
export type { Effect, Event, Member, MemberEvent, Send } from "./ring/events.ts";
export type { Ring, RingCounters, RingOptions } from "./ring/ring.ts";
export { members, nextDeadline, startRing, step } from "./ring/step.ts";
export { type Timing, type TimingName, timings } from "./ring/timing.ts";
export { openSockets } from "./sockets.ts";
export type { OpenTransport, SocketAddress, Transport, TransportEvents } from "./transport.ts";
