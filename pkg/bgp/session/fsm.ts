import type { Millis, Random } from "#pkg/clock";
import { needsRestart, type SessionSettings } from "#pkg/config";
import type { Notification } from "../codec/messages.ts";
import { hardReset } from "../codec/notification-codec.ts";
import { Cease, NotificationCode } from "../codec/notification-error.ts";
import type { Effect, Event } from "./events.ts";
import { keepalive } from "./negotiation.ts";
import { accepted, begin, connected } from "./opening.ts";
import { malformed, received, repeatEndOfRib, serveRefresh } from "./receiving.ts";
import { type Agreed, type Connection, isAgreed, type Opening, type Reason, type Session, stateOf } from "./state.ts";
import {
  cease,
  change,
  connectionOf,
  connectTimeout,
  drop,
  end,
  fail,
  jittered,
  largeHoldTime,
  replace,
  sendHoldTime,
  type Transition,
} from "./transition.ts";

/*
 * The state after each event, with the event's numbers of RFC 4271, section 8.1. An empty cell: the event changes nothing.
 *
 * |                              | idle    | connect  | active   | openSent    | openConfirm | established |
 * | ---                          | ---     | ---      | ---      | ---         | ---         | ---         |
 * | 1 start                      | connect |          |          |             |             |             |
 * | 2 stop                       |         | idle     | idle     | idle        | idle        | idle        |
 * | 8 reset                      |         |          |          | idle        | idle        | idle        |
 * | 9, 10, 11, 13 next deadline  |         | active   | connect  | active      | openConfirm | established |
 * | retry                        |         |          | connect  |             |             |             |
 * | 16 connected                 |         | openSent |          |             |             |             |
 * | 17 accepted                  | idle    | openSent | openSent | openSent    | openConfirm | established |
 * | 18 lost                      |         | active   |          | active      | idle        | idle        |
 * | 19 OPEN                      |         |          |          | openConfirm | idle        | idle        |
 * | 21 bad header                |         |          |          | idle        | idle        | idle        |
 * | 22 bad OPEN                  |         |          |          | idle        | idle        | idle        |
 * | 22 OPEN of another AS        |         |          |          | idle        | idle        | idle        |
 * | 24 NOTIFICATION of a version |         |          |          | idle        | idle        | idle        |
 * | 25 NOTIFICATION              |         |          |          | idle        | idle        | idle        |
 * | 26 KEEPALIVE                 |         |          |          | idle        | established |             |
 * | 27 UPDATE                    |         |          |          | idle        | idle        | established |
 * | 28 bad UPDATE                |         |          |          | idle        | idle        | idle        |
 * | ROUTE-REFRESH                |         |          |          | idle        | idle        | established |
 * | timer too soon               |         |          |          |             |             |             |
 * | written                      |         |          |          |             |             |             |
 */

/**
 * Advances a session by one event (RFC 4271, section 8). Answers every event in every state, and never throws. Departures: an attempt to
 * connect that fails leads to Active, as with a DelayOpenTimer of 0, not to Idle, so that the peer may connect meanwhile; so does one on which no
 * OPEN comes, and it ends without a NOTIFICATION; and the two connections of a collision are one session, whose state is that of the connection
 * closest to Established.
 */
export function step(session: Session, event: Event, now: Millis, random: Random): [Session, Effect[]] {
  const transition: Transition = { session, effects: [], now, random };
  handle(transition, event);
  const from = stateOf(session);
  const to = stateOf(transition.session);
  if (from !== to) transition.effects.push({ type: "transition", from, to, reason: reasonOf(transition.effects) });
  return [transition.session, transition.effects];
}

function reasonOf(effects: readonly Effect[]): Reason | undefined {
  return effects.findLast((effect) => effect.type === "down" || effect.type === "failed")?.reason;
}

function handle(transition: Transition, event: Event): void {
  switch (event.type) {
    case "start":
      start(transition, event.isKnown ?? false);
      break;
    case "stop":
      endAll(transition, event.notification, event.because, true);
      change(transition, { running: false, activeAt: Infinity, retryAt: Infinity });
      break;
    case "reset":
      reset(transition, event.notification, event.because);
      break;
    case "retry":
      retry(transition);
      break;
    case "settings":
      applySettings(transition, event.settings);
      break;
    case "timer":
      timer(transition);
      break;
    case "connected":
      connected(transition, event.connection, event.routerId);
      break;
    case "accepted":
      accepted(transition, event.routerId, event.isElsewhere);
      break;
    case "lost":
      lost(transition, event);
      break;
    case "message":
      received(transition, event.connection, event.message, event.octets);
      break;
    case "malformed":
      malformed(transition, event.connection, event.notification, event.because);
      break;
    case "written":
      written(transition, event.connection);
      break;
    default:
      event satisfies never;
  }
}

function start(transition: Transition, isKnown: boolean): void {
  if (transition.session.running) return;
  if (isKnown) change(transition, { restarting: false, forwardingPreserved: true });
  const { restarting, settings } = transition.session;
  const staleUntil = restarting ? transition.now + settings.gracefulRestartSeconds * 1000 : -Infinity;
  change(transition, { running: true, failures: 0, flaps: 0, staleUntil });
  begin(transition);
}

/** Ends all connections on purpose. One that was not established does not count as a failure. @param forGood the peer is to keep no routes */
function endAll(transition: Transition, notification: Notification, because: string, forGood: boolean): void {
  for (const connection of transition.session.connections)
    if (connection.state === "established") {
      const told = forGood ? final(connection, notification) : notification;
      end(transition, connection, { type: "sent", notification, because }, told);
    } else drop(transition, connection, notification);
}

/** The routes go with it where the path has failed (RFC 9384, section 3). */
function reset(transition: Transition, notification: Notification, because: string): void {
  for (const connection of transition.session.connections) {
    if (connection.state === "connect") continue;
    const told = notification.subcode === Cease.bfdDown ? final(connection, notification) : notification;
    fail(transition, connection, { type: "sent", notification, because }, "idle", told);
  }
}

/** After which the peer keeps no routes, also one that would keep them after any other NOTIFICATION (RFC 8538, section 3). */
function final(connection: Opening | Agreed, notification: Notification): Notification {
  return isAgreed(connection) && connection.negotiated.gracefulNotification ? hardReset(notification) : notification;
}

/** Ends the back-off: there is a reason to believe that the peer answers again. */
function retry(transition: Transition): void {
  const { running, connections, retryAt } = transition.session;
  if (!running || retryAt === Infinity || connections.some(isAgreed)) return;
  change(transition, { failures: 0 });
  begin(transition);
}

function applySettings(transition: Transition, settings: SessionSettings): void {
  const { settings: before, running, connections, retryAt } = transition.session;
  change(transition, { settings });
  if (needsRestart(before, settings)) {
    endAll(
      transition,
      cease(Cease.otherConfigurationChange),
      "the configuration of the peer changed",
      `${before.sourceAddress}` !== `${settings.sourceAddress}`,
    );
    const isSameRouter = `${before.address}` === `${settings.address}`;
    const prefixLimits = isSameRouter ? transition.session.prefixLimits : {};
    const hadPaths = isSameRouter && transition.session.hadPaths;
    change(transition, { failures: 0, flaps: 0, hasBeenUp: false, hadPaths, plainOpen: false, prefixLimits });
    if (running) begin(transition);
    return;
  }
  for (const connection of connections) {
    if (!isAgreed(connection)) continue;
    const { negotiated } = connection;
    const keepaliveSeconds = keepalive(settings.keepaliveSeconds, negotiated.holdTimeSeconds);
    if (keepaliveSeconds !== negotiated.keepaliveSeconds)
      replace(transition, { ...connection, negotiated: { ...negotiated, keepaliveSeconds }, keepaliveAt: transition.now }); // One more does no harm.
  }
  if (running && before.passive && !settings.passive && retryAt === Infinity) begin(transition);
}

/** RFC 4271, section 8.2.2, TcpConnectionFails: 18. Before OPENs are exchanged the peer may connect at once instead. */
function lost(transition: Transition, { connection: id, because, code }: Extract<Event, { type: "lost" }>): void {
  const connection = connectionOf(transition, id);
  if (connection === undefined) return;
  const { state } = connection;
  fail(transition, connection, { type: "lost", because, state, code }, isAgreed(connection) ? "idle" : "active");
}

/** Runs the deadlines that are due: 9, 10, 11, 13. A late or repeated call is harmless. */
function timer(transition: Transition): void {
  for (const { id } of transition.session.connections) {
    const connection = connectionOf(transition, id); // The one before may have ended it.
    if (connection !== undefined) runDeadlines(transition, connection);
  }
  if (transition.now >= transition.session.retryAt) begin(transition);
  else if (transition.now >= transition.session.activeAt) change(transition, { activeAt: Infinity });
}

function runDeadlines(transition: Transition, connection: Connection): void {
  const { now } = transition;
  if (now >= connection.holdAt) expire(transition, connection);
  else if (!isAgreed(connection)) return;
  else if (now >= connection.sendHoldAt) {
    const notification = errorOf(NotificationCode.sendHoldTimerExpired);
    const seconds = sendHoldTime(connection.negotiated.holdTimeSeconds * 1000) / 1000;
    fail(transition, connection, { type: "sendHoldTimerExpired", seconds }, "idle", notification);
  } else if (connection.refreshWanted.some((family) => now >= connection.refreshAt[family])) serveRefresh(transition, connection);
  else if (now >= connection.endOfRibAt) repeatEndOfRib(transition, connection);
  else if (now >= connection.keepaliveAt) {
    const keepaliveAt = now + jittered(connection.negotiated.keepaliveSeconds, transition.random());
    replace<Agreed>(transition, { ...connection, keepaliveAt });
    transition.effects.push({ type: "send", connection: connection.id, message: { type: "keepalive" } });
  }
}

/** The peer did not answer in time: ConnectRetryTimer in Connect, HoldTimer in all other states. */
function expire(transition: Transition, connection: Connection): void {
  if (connection.state === "connect") {
    const { password, ttlSecurityHops } = transition.session.settings;
    const hint = timeoutHint(password !== undefined, ttlSecurityHops !== undefined);
    fail(transition, connection, { type: "connectTimeout", seconds: connectTimeout / 1000, hint }, "active");
    return;
  }
  const { state, incoming } = connection;
  const reason = { type: "holdTimerExpired", seconds: holdTime(connection) / 1000, state } as const;
  // A router that stood still reads it later, and BIRD lets a neighbor that sent an error have no session for a minute.
  if (state === "openSent" && !incoming) fail(transition, connection, reason, "active");
  else fail(transition, connection, reason, "idle", errorOf(NotificationCode.holdTimerExpired));
}

function holdTime(connection: Opening | Agreed): Millis {
  if (!isAgreed(connection)) return connection.incoming ? largeHoldTime : connectTimeout;
  return connection.negotiated.holdTimeSeconds * 1000 || largeHoldTime;
}

/** Settings that keep a live peer from answering: the kernels of both sides drop such packets silently. */
function timeoutHint(password: boolean, ttlSecurity: boolean): string | undefined {
  const hints: string[] = [];
  if (password) hints.push("a password is configured, which may not be the peer's");
  if (ttlSecurity) hints.push("ttl-security is configured, and the peer may be farther away or not send with TTL 255");
  return hints.length === 0 ? undefined : hints.join("; ");
}

function errorOf(code: number): Notification {
  return { type: "notification", code, subcode: 0, data: new Uint8Array() };
}

/** The kernel has accepted some of the sent octets. */
function written(transition: Transition, id: number): void {
  const connection = connectionOf(transition, id);
  if (connection === undefined || !isAgreed(connection)) return;
  replace<Agreed>(transition, {
    ...connection,
    sendHoldAt: transition.now + sendHoldTime(connection.negotiated.holdTimeSeconds * 1000),
  });
}
