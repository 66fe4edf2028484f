import type { Millis } from "#pkg/clock";
import type { Family } from "#pkg/net";
import { type Message, MessageType, type Notification, unicastFamily } from "../codec/messages.ts";
import { prefixLimitOf } from "../codec/notification-codec.ts";
import { Cease, FiniteStateMachineError, NotificationCode } from "../codec/notification-error.ts";
import { opened } from "./opening.ts";
import type { Agreed, Opening } from "./state.ts";
import { cease, change, connectionOf, drop, fail, isOverLimit, replace, type Transition } from "./transition.ts";

/** A message of the peer, in order of RFC 4271, section 8.2.2: OpenSent, OpenConfirm, Established. */
export function received(transition: Transition, id: number, message: Message, octets: number): void {
  const connection = connectionOf(transition, id);
  if (connection === undefined || connection.state === "connect") return;
  if (message.type === "notification") {
    receiveNotification(transition, connection, message);
    return;
  }
  if (connection.state === "openSent") {
    if (message.type === "open") opened(transition, connection, message);
    else unexpected(transition, connection, message);
  } else if (connection.state === "openConfirm") {
    if (message.type === "keepalive") establish(transition, connection);
    else unexpected(transition, connection, message);
  } else if (message.type === "open") unexpected(transition, connection, message);
  else receiveEstablished(transition, connection, message, octets);
}

/** 24, 25. */
function receiveNotification(transition: Transition, connection: Opening | Agreed, notification: Notification): void {
  const { code, subcode } = notification;
  const limit = prefixLimitOf(notification);
  if (limit !== undefined) {
    const { prefixLimits } = transition.session;
    change(transition, { prefixLimits: { ...prefixLimits, [limit.family]: limit.prefixes } });
  }
  const collided = code === NotificationCode.cease && subcode === Cease.connectionCollisionResolution;
  const rejected = code === NotificationCode.cease && subcode === Cease.connectionRejected;
  if (collided && connection.state !== "established" && transition.session.connections.length > 1)
    drop(transition, connection); // The peer keeps the other connection.
  // Two sides that both hold in Idle would reject each other's attempts for ever; in Active one lets the other in. A session that there was is no attempt.
  else {
    // A router whose limit was raised connects by itself.
    const isRouters = isOverLimit(notification) || (rejected && connection.state !== "established");
    const next = isRouters ? "active" : "idle";
    fail(transition, connection, { type: "received", notification }, next);
  }
}

function establish(transition: Transition, connection: Agreed): void {
  const { now, effects, session } = transition;
  const { id, negotiated } = connection;
  const hadPaths = session.hadPaths || negotiated.addPath.size > 0;
  const mayBeStale = negotiated.gracefulRestart && hadPaths;
  const endOfRibAt = mayBeStale ? now + endOfRibEvery : Infinity;
  restartHoldTimer(transition, { ...connection, state: "established", enteredAt: now, endOfRibAt });
  change(transition, { restarting: false, forwardingPreserved: true, lastFailure: undefined, hasBeenUp: true, hadPaths });
  effects.push({ type: "established", connection: id, negotiated });
}

const endOfRibEvery: Millis = 1_000;
/** As many as a prefix has paths at most. */
const maxEndsOfRib = 64;

/**
 * FRR 8 to 10.1 drops one stale path of each prefix at End-of-RIB and keeps the others for ever; the last releases of 9.1, 10.0 and 10.1 have no such
 * fault (docs/central-speakers.md has the link). FRR drops the next path at the next End-of-RIB, but not while it still works on the one before.
 */
export function repeatEndOfRib(transition: Transition, connection: Agreed): void {
  const { now, effects } = transition;
  const isLast = now >= connection.enteredAt + maxEndsOfRib * endOfRibEvery;
  replace<Agreed>(transition, { ...connection, endOfRibAt: isLast ? Infinity : now + endOfRibEvery });
  effects.push({ type: "endOfRib" });
}

function receiveEstablished(
  transition: Transition,
  connection: Agreed,
  message: Exclude<Message, { type: "open" | "notification" }>,
  octets: number,
): void {
  const { now } = transition;
  const workUntil = Math.max(connection.workUntil, now) + workOf(message, octets);
  if (workUntil - now > maxWork) {
    const notification = cease(Cease.outOfResources);
    const because = "the peer sends more messages than a speaker has time for";
    fail(transition, connection, { type: "sent", notification, because }, "idle", notification);
    return;
  }
  const counted = restartHoldTimer(transition, { ...connection, workUntil });
  switch (message.type) {
    case "keepalive":
      break;
    case "update":
      transition.effects.push({ type: "update", update: message });
      break;
    case "routeRefresh": {
      const family = unicastFamily(message);
      const { routeRefresh, families } = connection.negotiated;
      // Marks (RFC 7313) are about the peer's routes, which are not kept; what was not agreed on is ignored (RFC 2918, section 4).
      if (message.subtype === "request" && routeRefresh && family !== undefined && families.has(family))
        wantRefresh(transition, counted, family);
      break;
    }
    default:
      message satisfies never;
  }
}

/**
 * The most work that a session may cause at once before it ends: 160 MB of UPDATEs, which is several full tables of the Internet, or 40,000
 * messages of the other kinds. The work comes off at one unit a millisecond, which is more than the shortest keepalive time makes.
 */
const maxWork = 20_000_000;

/** The work of a message in units. An UPDATE costs by its length, and more by its errors; the others have no reason to come often. */
function workOf(message: Message, octets: number): number {
  return message.type === "update" ? 1 + octets / 8 + 100 * message.forgiven.length : 500;
}

/** A peer that asks often gets its routes once for all that it has asked meanwhile. */
const minRefreshInterval: Millis = 5_000;

function wantRefresh(transition: Transition, connection: Agreed, family: Family): void {
  if (connection.refreshWanted.includes(family)) return;
  const wanting = replace(transition, { ...connection, refreshWanted: [...connection.refreshWanted, family] });
  serveRefresh(transition, wanting);
}

/** Sends all routes again of the families that the peer has asked for, where it has not had them just now. */
export function serveRefresh(transition: Transition, connection: Agreed): void {
  const { now, effects } = transition;
  const due = connection.refreshWanted.filter((family) => now >= connection.refreshAt[family]);
  const refreshWanted = connection.refreshWanted.filter((family) => !due.includes(family));
  const refreshAt = { ...connection.refreshAt };
  for (const family of due) {
    refreshAt[family] = now + minRefreshInterval;
    effects.push({ type: "refresh", family });
  }
  replace(transition, { ...connection, refreshWanted, refreshAt });
}

/** Any message shows that the peer is there, not only those that RFC 4271 names. */
function restartHoldTimer(transition: Transition, connection: Agreed): Agreed {
  return replace(transition, {
    ...connection,
    holdAt: transition.now + (connection.negotiated.holdTimeSeconds * 1000 || Infinity),
  });
}

/** RFC 6608: a message that does not belong in the state. The data is its type. */
function unexpected(transition: Transition, connection: Opening | Agreed, { type }: Message): void {
  const { inOpenSent, inOpenConfirm, inEstablished } = FiniteStateMachineError;
  const subcode = { openSent: inOpenSent, openConfirm: inOpenConfirm, established: inEstablished }[connection.state];
  const notification: Notification = {
    type: "notification",
    code: NotificationCode.finiteStateMachine,
    subcode,
    data: Uint8Array.of(MessageType[type]),
  };
  const because = `${nameOf[type]} came in ${connection.state}`;
  fail(transition, connection, { type: "sent", notification, because }, "idle", notification);
}

const nameOf = {
  open: "an OPEN",
  update: "an UPDATE",
  notification: "a NOTIFICATION",
  keepalive: "a KEEPALIVE",
  routeRefresh: "a ROUTE-REFRESH",
} as const satisfies Record<Message["type"], string>;

/** A message cannot be decoded (RFC 4271, section 6): 21, 22, 28. */
export function malformed(transition: Transition, id: number, notification: Notification, because: string): void {
  const connection = connectionOf(transition, id);
  if (connection !== undefined && connection.state !== "connect")
    fail(transition, connection, { type: "sent", notification, because }, "idle", notification);
}
