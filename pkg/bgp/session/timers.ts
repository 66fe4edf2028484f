import type { Notification } from "../codec/messages.ts";
import { NotificationCode } from "../codec/notification-codes.ts";
import { fail } from "./ending.ts";
import { begin } from "./opening.ts";
import { type Agreed, type Connection, isAgreed, type Opening } from "./state.ts";
import { connectTimeout, jittered, largeHoldTime, sendHoldTime } from "./timing.ts";
import { connectionOf, replace, type Turn } from "./turn.ts";

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
