/**
 * BGP-4 as one that announces: it tells its routes to each peer, and counts and forgets what it is told. Sessions are of RFC 4271, with
 * capabilities (RFC 5492, 9072), AS numbers of four octets (RFC 6793), IPv4 and IPv6 unicast (RFC 4760, 2545, 8950), route refresh
 * (RFC 2918, 7313), extended messages (RFC 8654), graceful restart (RFC 4724, 8538), graceful shutdown (RFC 8326) and errors that are
 * forgiven as RFC 7606 says. Communities are of RFC 1997, 4360 and 8092. Left out: choosing among routes, passing them on, confederations,
 * route reflection, add-path, all other families. Instants are `Millis`; what the wire has in seconds is in seconds, and named so.
 */
export { unicast, unicastFamily } from "./codec/address-family.ts";
export type { UpdateSession } from "./codec/attribute-rules.ts";
export { decodeMessage, encodeMessage } from "./codec/message-codec.ts";
export { type Frame, MessageReader } from "./codec/message-reader.ts";
export type {
  AddressFamily,
  AsPathSegment,
  Capability,
  GracefulRestart,
  Keepalive,
  LargeCommunity,
  Message,
  Notification,
  Open,
  PathAttributes,
  RouteRefresh,
  Update,
} from "./codec/messages.ts";
export { describeNotification, encodeShutdownCommunication, hardReset } from "./codec/notification-codec.ts";
export { Cease, NotificationCode } from "./codec/notification-codes.ts";
export { NotificationError } from "./codec/notification-error.ts";
export { BgpListener, type ListenerOptions } from "./listener.ts";
export { PeerSession, type PeerSessionOptions, type Routes } from "./peer-session.ts";
export type { MessageCounters, Past, PeerView, SessionView } from "./peer-view.ts";
export type { LocalEnd, RouteAttributes } from "./routes/route.ts";
export { RoutesOut, type Unsendable } from "./routes/routes-out.ts";
export type { Negotiated } from "./session/negotiated.ts";
export { needsRestart, type SessionSettings } from "./session/settings.ts";
export { type State, states } from "./session/state.ts";
export { tcpTransport } from "./tcp-transport.ts";
export type { Connection, ConnectionEvents, Incoming, SocketEnd, Transport } from "./transport.ts";
