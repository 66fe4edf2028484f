import { backOff } from "#pkg/clock";
import type { Notification } from "../codec/messages.ts";
import { Cease, NotificationCode, OpenMessageError } from "../codec/notification-codes.ts";
import type { Reason } from "./reason.ts";
import { type Connection, isAgreed } from "./state.ts";
import { mostBackOff, stableAfter } from "./timing.ts";
import { change, remove, type Turn } from "./turn.ts";

/** Ends a connection that failed nobody: another one stays in its place, or the session is stopped. */
export function drop(turn: Turn, connection: Connection, notification?: Notification): void {
  remove(turn, connection);
  if (notification !== undefined && connection.state !== "connect")
    turn.effects.push({ type: "send", connection: connection.id, message: notification });
  turn.effects.push({ type: "close", connection: connection.id });
}

/** Ends a connection and tells why; a session that was established is down. */
export function end(turn: Turn, connection: Connection, reason: Reason, notification?: Notification): void {
  const { now, effects } = turn;
  drop(turn, connection, notification);
  const ending = { reason, at: now };
  if (connection.state === "established") {
    if (now - connection.enteredAt >= stableAfter(connection.negotiated.holdTimeSeconds * 1000))
      change(turn, { failures: 0, plainOpen: false });
    change(turn, { lastDown: ending });
    effects.push({ type: "down", reason });
    return;
  }
  change(turn, { plainOpen: isPlainNext(turn, connection, reason) });
  if (!turn.session.connections.some(isAgreed)) change(turn, { lastFailure: ending });
  effects.push({ type: "failed", reason });
}

/**
 * Ends a connection because of a fault. Unless another is agreed on, the next attempt waits for the back-off: in Active, where the peer
 * may connect meanwhile, or in Idle, where it may not (RFC 4271, section 8.1.1, DampPeerOscillations).
 */
export function fail(
  turn: Turn,
  connection: Connection,
  reason: Reason,
  rest: "active" | "idle",
  notification?: Notification,
): void {
  end(turn, connection, reason, notification);
  const { session, now, random } = turn;
  const { failures, connections, settings } = session;
  if (connections.some(isAgreed)) return;
  const wait = backOff(failures, settings.connectTimeSeconds * 1000, mostBackOff, random);
  const resting = rest === "idle" && connections.length === 0;
  change(turn, { failures: failures + 1, resting, retryAt: now + wait });
}

/** Whether the next OPEN goes without capabilities, after one attempt ended so. */
function isPlainNext({ session }: Turn, connection: Connection, reason: Reason): boolean {
  if (connection.state === "connect") return session.plainOpen;
  if (connection.open.capabilities.length === 0) return false; // It was not the capabilities.
  if (reason.type !== "received" || reason.notification.code !== NotificationCode.openMessage) return session.plainOpen;
  const { unsupportedOptionalParameter, unsupportedCapability } = OpenMessageError;
  return [unsupportedOptionalParameter, unsupportedCapability].some((subcode) => subcode === reason.notification.subcode);
}

export const collision: Notification = cease(Cease.connectionCollisionResolution);

export function cease(subcode: number): Notification {
  return { type: "notification", code: NotificationCode.cease, subcode, data: new Uint8Array() };
}
