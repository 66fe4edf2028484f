import type { Millis, Random } from "#pkg/clock";
import type { Notification } from "../codec/messages.ts";
import { Cease, NotificationCode } from "../codec/notification-error.ts";
import type { Effect, Event } from "./events.ts";
import { keepalive } from "./negotiation.ts";
import { accepted, begin, connected } from "./opening.ts";
import { malformed, received } from "./receiving.ts";
import { needsRestart, type SessionSettings } from "./settings.ts";
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
  type Turn,
} from "./transition.ts";

/**
 * Advances a session by one event (RFC 4271, section 8). Answers every event in every state, and never throws. Departures: an attempt to
 * connect that fails leads to Active, as with a DelayOpenTimer of 0, not to Idle, so that the peer may connect meanwhile; and the two
 * connections of a collision are one session, whose state is that of the one that is farther.
 */
export function step(session: Session, event: Event, now: Millis, random: Random): [Session, Effect[]] {
  const turn: Turn = { session, effects: [], now, random };
  handle(turn, event);
  const from = stateOf(session);
  const to = stateOf(turn.session);
  if (from !== to) turn.effects.push({ type: "transition", from, to, reason: reasonOf(turn.effects) });
  return [turn.session, turn.effects];
}

function reasonOf(effects: readonly Effect[]): Reason | undefined {
  return effects.findLast((effect) => effect.type === "down" || effect.type === "failed")?.reason;
}

function handle(turn: Turn, event: Event): void {
  switch (event.type) {
    case "start":
      start(turn);
      break;
    case "stop":
      endAll(turn, event.notification, event.because);
      change(turn, { running: false, resting: false, retryAt: Infinity });
      break;
    case "reset":
      reset(turn, event.notification, event.because);
      break;
    case "settings":
      adopt(turn, event.settings);
      break;
    case "timer":
      timer(turn);
      break;
    case "connected":
      connected(turn, event.connection, event.routerId);
      break;
    case "accepted":
      accepted(turn, event.routerId);
      break;
    case "lost":
      lost(turn, event.connection, event.because);
      break;
    case "message":
      received(turn, event.connection, event.message);
      break;
    case "malformed":
      malformed(turn, event.connection, event.notification, event.because);
      break;
    case "taken":
      taken(turn, event.connection);
      break;
    default:
      event satisfies never;
  }
}

function start(turn: Turn): void {
  if (turn.session.running) return;
  change(turn, { running: true, failures: 0 });
  begin(turn);
}

/** Ends everything on purpose. What was not established is not a failure. */
function endAll(turn: Turn, notification: Notification, because: string): void {
  for (const connection of turn.session.connections)
    if (connection.state === "established") end(turn, connection, { type: "sent", notification, because }, notification);
    else drop(turn, connection, notification);
}

function reset(turn: Turn, notification: Notification, because: string): void {
  for (const connection of turn.session.connections)
    if (connection.state !== "connect") fail(turn, connection, { type: "sent", notification, because }, "idle", notification);
}

function adopt(turn: Turn, settings: SessionSettings): void {
  const { settings: before, running, connections, retryAt } = turn.session;
  change(turn, { settings });
  if (needsRestart(before, settings)) {
    endAll(turn, cease(Cease.otherConfigurationChange), "the configuration of the peer changed");
    change(turn, { failures: 0, plainOpen: false });
    if (running) begin(turn);
    return;
  }
  for (const connection of connections) {
    if (!isAgreed(connection)) continue;
    const { negotiated } = connection;
    const keepaliveSeconds = keepalive(settings.keepaliveSeconds, negotiated.holdTimeSeconds);
    if (keepaliveSeconds !== negotiated.keepaliveSeconds)
      replace(turn, { ...connection, negotiated: { ...negotiated, keepaliveSeconds }, keepaliveAt: turn.now }); // One more does no harm.
  }
  if (running && before.passive && !settings.passive && retryAt === Infinity) begin(turn);
}

/** RFC 4271, section 8.2.2, TcpConnectionFails: 18. Until OPENs are exchanged the peer may connect at once instead. */
function lost(turn: Turn, id: number, because: string): void {
  const connection = connectionOf(turn, id);
  if (connection === undefined) return;
  const { state } = connection;
  fail(turn, connection, { type: "lost", because, state }, isAgreed(connection) ? "idle" : "active");
}

/** Does what is due: 9, 10, 11, 13. Late or repeated it is harmless. */
export function timer(turn: Turn): void {
  for (const { id } of turn.session.connections) {
    const connection = connectionOf(turn, id); // The one before may have ended it.
    if (connection !== undefined) onConnection(turn, connection);
  }
  if (turn.now >= turn.session.retryAt) begin(turn);
}

function onConnection(turn: Turn, connection: Connection): void {
  const { now } = turn;
  if (now >= connection.holdAt) expire(turn, connection);
  else if (!isAgreed(connection)) return;
  else if (now >= connection.sendHoldAt) {
    const notification = errorOf(NotificationCode.sendHoldTimerExpired);
    const seconds = sendHoldTime(connection.negotiated.holdTimeSeconds * 1000) / 1000;
    fail(turn, connection, { type: "sendHoldTimerExpired", seconds }, "idle", notification);
  } else if (now >= connection.keepaliveAt) {
    const keepaliveAt = now + jittered(connection.negotiated.keepaliveSeconds, turn.random());
    replace<Agreed>(turn, { ...connection, keepaliveAt });
    turn.effects.push({ type: "send", connection: connection.id, message: { type: "keepalive" } });
  }
}

/** The wait for the peer is over: ConnectRetryTimer in Connect, HoldTimer in all others. */
function expire(turn: Turn, connection: Connection): void {
  if (connection.state === "connect") {
    const { password, ttlSecurityHops } = turn.session.settings;
    const hint = silence(password !== undefined, ttlSecurityHops !== undefined);
    fail(turn, connection, { type: "connectTimeout", seconds: connectTimeout / 1000, hint }, "active");
    return;
  }
  const seconds = holdTime(connection) / 1000;
  const { state } = connection;
  fail(turn, connection, { type: "holdTimerExpired", seconds, state }, "idle", errorOf(NotificationCode.holdTimerExpired));
}

function holdTime(connection: Opening | Agreed): number {
  return isAgreed(connection) && connection.negotiated.holdTimeSeconds > 0
    ? connection.negotiated.holdTimeSeconds * 1000
    : largeHoldTime;
}

/** What keeps a peer that is there from answering: the kernels of both sides drop such packets without a word. */
function silence(password: boolean, ttlSecurity: boolean): string | undefined {
  const hints: string[] = [];
  if (password) hints.push("a password is configured, which may not be the peer's");
  if (ttlSecurity) hints.push("ttl-security is configured, and the peer may be farther away or not send with TTL 255");
  return hints.length === 0 ? undefined : hints.join("; ");
}

function errorOf(code: number): Notification {
  return { type: "notification", code, subcode: 0, data: new Uint8Array() };
}

/** The peer's side has taken some of what was sent. */
export function taken(turn: Turn, id: number): void {
  const connection = connectionOf(turn, id);
  if (connection === undefined || !isAgreed(connection)) return;
  replace<Agreed>(turn, { ...connection, sendHoldAt: turn.now + sendHoldTime(connection.negotiated.holdTimeSeconds * 1000) });
}
