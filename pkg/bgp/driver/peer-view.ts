import type { Millis } from "#pkg/clock";
import type { BgpRole } from "#pkg/config";
import { type Family, families } from "#pkg/net";
import type { Message, Notification } from "../codec/messages.ts";
import { describeNotification, type PrefixLimit, reasonInside } from "../codec/notification-codec.ts";
import type { RoutesOut, Unsendable } from "../routes/routes-out.ts";
import { describeReason } from "../session/reason.ts";
import { type Ending, isAgreed, type Reason, type Session, stateOf } from "../session/state.ts";
import type { SocketEnd } from "./transport.ts";

/** A past event, and how long ago it happened. */
export interface Past {
  readonly what: string;
  readonly secondsAgo: number;
}

/** Why a session, or an attempt at one, ended. */
export interface Ended extends Past {
  readonly reason: Reason["type"];
  /** The NOTIFICATION that was sent or received (RFC 4271, section 4.5). */
  readonly notification?: { readonly code: number; readonly subcode: number };
  /** The system's code of the error that a connection ended with, such as ECONNREFUSED. */
  readonly code?: string | undefined;
  /** The router's AS number, where it is not the configured one. */
  readonly peerAsn?: number;
  /** The router's role, where it does not go with the configured one (RFC 9234). */
  readonly peerRole?: BgpRole;
}

/** A limit of a router's, and how many prefixes of the family it has been sent. */
export interface NearLimit extends PrefixLimit {
  readonly announced: number;
  /** The source of the limit: the router, when it ended a session for that, or `maximum-prefix`. */
  readonly from: "router" | "configuration";
}

/** The sources of a view. */
export interface PeerFacts {
  readonly session: Session;
  readonly accepts: boolean;
  /** Since when it is in its state. */
  readonly enteredAt: Millis;
  /** Since when there has been no session, but for some that ended before they were stable. */
  readonly downAt: Millis;
  readonly unsendableSince: ReadonlyMap<string, Millis>; // see `unsendableKey`
  readonly up: Up | undefined;
  /** This side's end of the established session. */
  readonly end: SocketEnd | undefined;
  /** This side's end of the last connection. */
  readonly lastEnd: SocketEnd | undefined;
  readonly counters: PeerCounters;
  readonly routes: Pick<RoutesOut, "advertised" | "advertisedOf" | "pending" | "narrowed" | "unsendable">;
}

/** A session as people see it; printed as JSON. */
export type PeerView = ReturnType<typeof peerView>;

export function peerView(facts: PeerFacts, now: Millis) {
  const { session, accepts, enteredAt, downAt, unsendableSince, up, end, lastEnd, counters, routes } = facts;
  const { settings, retryAt, lastDown, lastFailure } = session;
  const { received, sent, flaps, holdTimerExpirations, notificationReceived, notificationSent } = counters;
  const past = <Kind extends { readonly at: Millis }>(one: Kind | undefined, words: (one: Kind) => string): Past | undefined =>
    one === undefined ? undefined : { what: words(one), secondsAgo: seconds(now - one.at) };
  return {
    // Address and port: the label `peer` of metrics.
    peer: `${settings.address}:${settings.port}`,
    interface: settings.interface,
    // The router's address.
    router: settings.address,
    myAsn: settings.myAsn,
    // The configured AS number; for `external`, the agreed number once there is a session.
    peerAsn: session.connections.find(isAgreed)?.negotiated.peerAsn ?? settings.peerAsn,
    passive: settings.passive,
    // Whether this side takes connections that the peer opens.
    accepts,
    state: stateOf(session),
    stateSeconds: seconds(now - enteredAt),
    // Seconds since it was established, or down; attempts and short sessions in between do not count.
    sinceSeconds: seconds(now - (up === undefined ? downAt : enteredAt)),
    // Until this side tries again; undefined while it does not wait for that.
    retryInSeconds: retryAt === Infinity ? undefined : seconds(Math.max(0, retryAt - now)),
    // This node's address in the last connection; undefined before the first.
    source: lastEnd?.address,
    // A static address for sessions to come from, where `source` comes from router advertisements.
    steadierSource: lastEnd?.steadier,
    // Why the last established session ended.
    lastDown: ended(lastDown, now),
    // Why the last attempt failed; undefined since a session was established.
    lastFailure: ended(lastFailure, now),
    notificationReceived: past(notificationReceived, ({ notification }) => describeNotification(notification)),
    notificationSent: past(notificationSent, ({ notification }) => describeNotification(notification)),
    session: sessionView(session, up, end),
    // Counted over all sessions since the process began.
    messagesReceived: { ...received },
    messagesSent: { ...sent },
    // Prefixes that the peer has been sent, and those that it has yet to be.
    prefixesAnnounced: routes.advertised,
    prefixesPending: routes.pending,
    // Prefixes with several paths, of which the session carries one, because the router does not take more.
    prefixesNarrowed: routes.narrowed,
    // Limits of the router that the session has nearly reached.
    prefixLimitsNear:
      up === undefined ? [] : families.flatMap((family) => nearLimit(session, family, routes.advertisedOf(family)) ?? []),
    // Announced by the peer in this session, each time, and dropped. FRR names those that the peer has announced and not withdrawn.
    prefixesReceived: up?.prefixesReceived ?? 0,
    // With for how long, as far as it was looked at.
    unsendable: routes.unsendable().map((one) => {
      return { ...one, seconds: seconds(now - (unsendableSince.get(unsendableKey(one)) ?? now)) };
    }),
    // How often an established session ended.
    flaps,
    holdTimerExpirations,
  };
}

// Routers warn from 75 % on, most of them.
const nearShare = 0.8;

/** A limit that a router named once holds until the router takes more. */
function nearLimit({ prefixLimits, settings }: Session, family: Family, announced: number): NearLimit | undefined {
  const told = prefixLimits[family];
  const isTold = told !== undefined && announced <= told;
  const prefixes = isTold ? told : settings.maximumPrefix;
  if (prefixes === undefined || announced === 0 || announced < nearShare * prefixes) return undefined;
  return { family, prefixes, announced, from: isTold ? "router" : "configuration" };
}

/** The part that stays the same while more or fewer prefixes cannot be sent for the same reason. */
export function unsendableKey({ family, reason }: Unsendable): string {
  return `${family} ${reason}`;
}

function ended(ending: Ending | undefined, now: Millis): Ended | undefined {
  if (ending === undefined) return undefined;
  const { reason, at } = ending;
  const past = { reason: reason.type, what: describeReason(reason), secondsAgo: seconds(now - at) };
  if (reason.type === "lost") return { ...past, code: reason.code };
  if (!("notification" in reason)) return past;
  const { code, subcode } = reasonInside(reason.notification);
  const ended = { ...past, notification: { code, subcode } };
  if ("peerRole" in reason) return { ...ended, peerRole: reason.peerRole };
  return "peerAsn" in reason ? { ...ended, peerAsn: reason.peerAsn } : ended;
}

/** The agreed settings; undefined without a session. */
export function sessionView({ connections }: Session, up: Up | undefined, end: SocketEnd | undefined) {
  const connection = connections.find(({ id }) => id === up?.connection);
  if (up === undefined || connection === undefined || !isAgreed(connection) || end === undefined) return undefined;
  const { peerAsn: _, families, addPath, ...agreed } = connection.negotiated;
  return {
    localAddress: end.address,
    localInterface: end.interface,
    routerId: connection.open.routerId,
    ...agreed,
    families: [...families],
    addPath: [...addPath],
    // Families whose End-of-RIB has arrived (RFC 4724).
    endOfRibReceived: [...up.complete],
  };
}

/** With one decimal. */
export function seconds(duration: Millis): number {
  return Math.round(duration / 100) / 10;
}

type Counters = Record<Message["type"], number>;

/** Counters of a peer since the process began. */
export interface PeerCounters {
  readonly received: Counters;
  readonly sent: Counters;
  flaps: number;
  holdTimerExpirations: number;
  notificationReceived: { readonly notification: Notification; readonly at: Millis } | undefined;
  notificationSent: { readonly notification: Notification; readonly at: Millis } | undefined;
}

export function newPeerCounters(): PeerCounters {
  const none = (): Counters => ({ open: 0, update: 0, notification: 0, keepalive: 0, routeRefresh: 0 });
  return {
    received: none(),
    sent: none(),
    flaps: 0,
    holdTimerExpirations: 0,
    notificationReceived: undefined,
    notificationSent: undefined,
  };
}

/** State of an established session only. */
export interface Up {
  readonly connection: number;
  /** Something is written and not yet accepted by the kernel. */
  sending: boolean;
  prefixesReceived: number;
  readonly complete: Set<Family>; // families whose End-of-RIB has arrived
}
