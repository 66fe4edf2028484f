/**
 * BGP-4 for a speaker that only advertises: it sends its routes to each peer, counts the peer's routes and drops them. Sessions are of RFC
 * 4271, with capabilities (RFC 5492, 9072), AS numbers of four octets (RFC 6793), IPv4 and IPv6 unicast (RFC 4760, 2545, 8950), route
 * refresh (RFC 2918, 7313), extended messages (RFC 8654), several paths to a prefix, which this side sends (RFC 7911), graceful restart (RFC 4724, 8538, 9494), roles (RFC 9234), graceful shutdown (RFC 8326) and the revised
 * error handling of RFC 7606. Communities are of RFC 1997, 4360 and 8092. Left out: route selection, re-advertisement, confederations,
 * route reflection, all other families. Instants are `Millis`; what the wire has in seconds is in seconds, and named so.
 * `codec/`, `session/` and `routes/` are pure; `driver/` owns sockets and timers.
 */
export type { LargeCommunity } from "./codec/messages.ts";
export { Cease, NotificationCode, OpenMessageError } from "./codec/notification-error.ts";
export { BgpListener } from "./driver/listener.ts";
export { PeerSession, type PeerSessionOptions } from "./driver/peer-session.ts";
export type { PeerView } from "./driver/peer-view.ts";
export { forgetInterfaces, interfacesNow, sourceNow, sourceTo, tcpTransport } from "./driver/tcp.ts";
export { choosePath } from "./routes/choose-path.ts";
export { NlriTable } from "./routes/nlri-table.ts";
export type { RouteAttributes } from "./routes/route.ts";
export { type RouteStanding, RoutesOut, type Unsendable } from "./routes/routes-out.ts";
export { counterpart } from "./session/negotiation.ts";
export { states } from "./session/state.ts";
