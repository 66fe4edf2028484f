import { backOff, type Millis, type Random } from "#pkg/clock";
import type { Notification } from "../codec/messages.ts";
import { reasonInside } from "../codec/notification-codec.ts";
import { Cease, NotificationCode, OpenMessageError } from "../codec/notification-error.ts";
import type { Effect } from "./events.ts";
import { type Connection, type Ending, isAgreed, type Reason, type Session } from "./state.ts";

/** One step under way: the session so far, and the effects so far. */
export interface Transition {
  session: Session;
  readonly effects: Effect[];
  readonly now: Millis;
  readonly random: Random;
}

/** The connection of that id; undefined when it is closed already and the event came late. */
export function connectionOf({ session }: Transition, id: number): Connection | undefined {
  return session.connections.find((connection) => connection.id === id);
}

export function change(transition: Transition, fields: Partial<Session>): void {
  transition.session = { ...transition.session, ...fields };
}

/** Replaces the connection of the same id. */
export function replace<Kind extends Connection>(transition: Transition, connection: Kind): Kind {
  const connections = transition.session.connections.map((one) => (one.id === connection.id ? connection : one));
  change(transition, { connections });
  return connection;
}

export function remove(transition: Transition, { id }: Connection): void {
  change(transition, { connections: transition.session.connections.filter((connection) => connection.id !== id) });
}

/**
 * A connection that takes longer is given up: the third repetition of its first packet has been lost too. One that this side made is given up
 * when no OPEN comes for as long: a router that has just closed a session may accept it and forget it.
 */
export const connectTimeout: Millis = 10_000;
/** Until the OPEN has been answered on a connection that the peer made (RFC 4271, section 8.2.2: a large value, 4 minutes is suggested). */
export const largeHoldTime: Millis = 240_000;
/** Between attempts at a session that nobody has reason to expect, or that this side ended because of a fault of the peer. */
export const maxBackOff: Millis = 120_000;
/** How long the peer may not connect after an error: one that was mended may try long before the back-off is over. */
const maxIdleHold: Millis = 10_000;
/** Between attempts at a session that was established before, in connect times: at once, then after 1, 2, 2, … of them. */
const maxQuickRetry = 2;

/** RFC 9687, section 6; never where the hold time is never. */
export function sendHoldTime(holdTime: Millis): Millis {
  return holdTime === 0 ? Infinity : Math.max(480_000, 2 * holdTime);
}

/**
 * From when on a session is stable, so that its end is no sign of a lasting fault: one whose large messages get lost lives for as long
 * as the peer's hold time, every time.
 */
export function stableAfter(holdTime: Millis): Millis {
  return holdTime + 60_000;
}

/** RFC 4271, section 10: 75 to 100 % of the interval, so that sessions do not fall into step. Infinity for never. */
export function jittered(seconds: number, chance: number): Millis {
  return seconds === 0 ? Infinity : seconds * 1000 * (0.75 + 0.25 * chance);
}

/** Closes a connection without a failure: another one stays in its place, or the session is stopped. */
export function drop(transition: Transition, connection: Connection, notification?: Notification): void {
  remove(transition, connection);
  if (notification !== undefined && connection.state !== "connect")
    transition.effects.push({ type: "send", connection: connection.id, message: notification });
  transition.effects.push({ type: "close", connection: connection.id });
}

/** Closes a connection and reports the reason; an established session is down. */
export function end(transition: Transition, connection: Connection, reason: Reason, notification?: Notification): void {
  const { now, effects } = transition;
  drop(transition, connection, notification);
  const ending = { reason, at: now };
  if (connection.state === "established") {
    const isStable = now - connection.enteredAt >= stableAfter(connection.negotiated.holdTimeSeconds * 1000);
    if (isStable) change(transition, { plainOpen: false });
    const flaps = isStable ? 0 : transition.session.flaps;
    change(transition, { lastDown: ending, failures: flaps, flaps: flaps + 1 });
    effects.push({ type: "down", reason });
    return;
  }
  change(transition, { plainOpen: isPlainNext(transition, connection, reason) });
  if (!transition.session.connections.some(isAgreed)) change(transition, { lastFailure: telling(transition.session, ending) });
  effects.push({ type: "failed", reason });
}

/** As long as a failure without a reason says less than the one before it: an attempt at a session that never was comes at least every two minutes. */
const tellingFor: Millis = 300_000;

/**
 * A router closes some connections without a word or without a reason, in Idle after it refused an OPEN, or because of the other connection
 * of a collision, of which this side has refused the OPEN already: so the reason would come and go. The statement counts until it is old.
 */
function telling({ lastFailure }: Session, ending: Ending): Ending {
  if (lastFailure === undefined || !isMute(ending.reason)) return ending;
  const { reason, at } = lastFailure;
  const isOpen = "notification" in reason && reason.notification.code === NotificationCode.openMessage;
  return isOpen && ending.at - at < tellingFor ? lastFailure : ending;
}

function isMute(reason: Reason): boolean {
  if (reason.type !== "received") return reason.type === "lost";
  return reason.notification.code === NotificationCode.cease && muteCeases.has(reason.notification.subcode);
}

/** 0: unspecific, which is BIRD's for the other connection of a session that it ends. */
const muteCeases: ReadonlySet<number> = new Set([0, Cease.connectionRejected, Cease.connectionCollisionResolution]);

/**
 * Closes a connection because of a fault. Unless another is agreed on, the next attempt waits for the back-off: in Active, where the
 * peer may connect meanwhile, or first for a while in Idle, where it may not (RFC 4271, section 8.1.1, DampPeerOscillations).
 */
export function fail(
  transition: Transition,
  connection: Connection,
  reason: Reason,
  next: "active" | "idle",
  notification?: Notification,
): void {
  end(transition, connection, reason, notification);
  const { session, now, random } = transition;
  const { failures, connections } = session;
  if (connections.some(isAgreed)) return;
  const wait = retryDelay(session, reason, now, random);
  const isHeld = next === "idle" && connections.length === 0;
  const activeAt = isHeld ? now + Math.min(wait, maxIdleHold) : Infinity;
  change(transition, { failures: failures + 1, activeAt, retryAt: now + wait });
}

/**
 * A peer that was there is back soon, and one that may keep routes of the process before this one has to have them again before it drops
 * them; one that never was there, or that this side cannot live with, is tried less and less often.
 */
function retryDelay({ failures, hasBeenUp, staleUntil, settings }: Session, reason: Reason, now: Millis, random: Random): Millis {
  const connectTime = settings.connectTimeSeconds * 1000;
  const isExpected = hasBeenUp || now < staleUntil;
  // The next session would end for the same routes as this one.
  const isFutile = reason.type === "received" && isOverLimit(reason.notification);
  if (!isExpected || isFutile || reason.type === "sent") return backOff(failures, connectTime, maxBackOff, random);
  // A router that changes its configuration does not listen in that moment.
  const isChanging = reason.type === "received" && isOtherConfigurationChange(reason.notification);
  const endedByOthers = reason.type === "received" || reason.type === "lost" || reason.type === "peerRestarted";
  return failures === 0 && endedByOthers && !isChanging
    ? 0
    : backOff(Math.max(0, failures - 1), connectTime, maxQuickRetry * connectTime, random);
}

/** Whether the next OPEN has no capabilities (RFC 5492, section 3). Unsupported Capability asks for one more, and is no reason. */
function isPlainNext({ session }: Transition, connection: Connection, reason: Reason): boolean {
  if (connection.state === "connect") return session.plainOpen;
  if (connection.open.capabilities.length === 0) return false; // It was not the capabilities.
  if (reason.type !== "received" || reason.notification.code !== NotificationCode.openMessage) return session.plainOpen;
  return reason.notification.subcode === OpenMessageError.unsupportedOptionalParameter;
}

/** The router takes fewer prefixes than it was sent (RFC 4486). */
export function isOverLimit(notification: Notification): boolean {
  const { code, subcode } = reasonInside(notification);
  return code === NotificationCode.cease && subcode === Cease.maximumNumberOfPrefixesReached;
}

function isOtherConfigurationChange({ code, subcode }: Notification): boolean {
  return code === NotificationCode.cease && subcode === Cease.otherConfigurationChange;
}

export const collision: Notification = cease(Cease.connectionCollisionResolution);

export function cease(subcode: number): Notification {
  return { type: "notification", code: NotificationCode.cease, subcode, data: new Uint8Array() };
}
