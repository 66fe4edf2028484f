import type { Millis } from "#pkg/clock";
import type { Address } from "#pkg/net";
import type { Open } from "../codec/messages.ts";
import { Cease } from "../codec/notification-error.ts";
import { asnOf, negotiate, offer } from "./negotiation.ts";
import { type Agreed, isAgreed, type Opening } from "./state.ts";
import {
  cease,
  change,
  collision,
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

/** Connects, unless the session is passive. */
export function begin(transition: Transition): void {
  change(transition, { activeAt: Infinity, retryAt: Infinity });
  const { session, now, effects } = transition;
  const { connections, settings } = session;
  if (settings.passive || connections.some((one) => isAgreed(one) || !one.incoming)) return;
  const id = session.lastConnection + 1;
  const connection = { id, incoming: false, since: now, state: "connect" as const, holdAt: now + connectTimeout };
  change(transition, { lastConnection: id, connections: [...connections, connection] });
  effects.push({ type: "dial", connection: id });
}

/** The connection that this side opened is established: 16 (RFC 4271, section 8.2.2, Connect state). */
export function connected(transition: Transition, id: number, routerId: Address): void {
  const connection = connectionOf(transition, id);
  if (connection?.state === "connect") sendOpen(transition, { ...connection, ...opening(transition, routerId, connectTimeout) });
}

/** The peer connected: 17. Accepted in every state but Idle; the OPENs decide which connection stays (section 6.8). */
export function accepted(transition: Transition, routerId: Address, isElsewhere = false): void {
  const { session, effects, now } = transition;
  const { running, activeAt, connections, lastConnection } = session;
  if (!running || activeAt !== Infinity) {
    const because = running ? "this side holds in Idle after an error" : "the session is stopped";
    effects.push({ type: "refuse", notification: cease(Cease.connectionRejected), because });
    return;
  }
  // To the peer these are two neighbors: the one has not restarted because the other connects.
  if (isElsewhere) {
    const because = "the session is with another address of this node";
    effects.push({ type: "refuse", notification: cease(Cease.connectionRejected), because });
    return;
  }
  const confirming = connections.some((one) => one.incoming && one.state === "openConfirm");
  if (confirming) {
    effects.push({
      type: "refuse",
      notification: collision,
      because: "another connection of the peer is in OpenConfirm",
    });
    return;
  }
  // The peer has given up a connection on which it sent no OPEN, or it would not open another.
  for (const one of connections) if (one.incoming && one.state === "openSent") drop(transition, one, collision);
  const incoming = { id: lastConnection + 1, incoming: true, since: now };
  const connection: Opening = { ...incoming, ...opening(transition, routerId, largeHoldTime) };
  change(transition, { lastConnection: connection.id, connections: [...transition.session.connections, connection] });
  effects.push({ type: "adopt", connection: connection.id });
  sendOpen(transition, connection);
}

function opening({ session, now }: Transition, routerId: Address, wait: Millis): Pick<Opening, "state" | "open" | "holdAt"> {
  return { state: "openSent", open: offer(session, routerId), holdAt: now + wait };
}

function sendOpen(transition: Transition, connection: Opening): void {
  replace(transition, connection);
  transition.effects.push({ type: "send", connection: connection.id, message: connection.open });
}

/** The peer's OPEN in OpenSent: 19, or 22 when it is not acceptable (RFC 4271, sections 6.2 and 8.2.2). */
export function opened(transition: Transition, connection: Opening, open: Open): void {
  const agreement = negotiate(transition.session.settings, connection.open, open);
  if ("because" in agreement) {
    const { notification } = agreement;
    fail(transition, connection, { type: "sent", ...agreement }, "idle", notification);
    return;
  }
  if (!wins(transition, connection, open)) {
    drop(transition, connection, collision);
    return;
  }
  const { now, random, effects } = transition;
  // The peer answers: a connection attempt is not needed any more. One that waits for an OPEN is decided when that arrives.
  for (const one of transition.session.connections) if (one.state === "connect") drop(transition, one);
  const { holdTimeSeconds, keepaliveSeconds } = agreement;
  const holdTime = holdTimeSeconds * 1000;
  replace<Agreed>(transition, {
    ...connection,
    state: "openConfirm",
    negotiated: agreement,
    enteredAt: now,
    holdAt: now + (holdTime || largeHoldTime), // Even without a hold time the OPEN must be confirmed.
    keepaliveAt: now + jittered(keepaliveSeconds, random()),
    sendHoldAt: now + sendHoldTime(holdTime),
    endOfRibAt: Infinity,
    refreshWanted: [],
    refreshAt: { IPv4: now, IPv6: now },
    workUntil: now,
  });
  change(transition, { activeAt: Infinity, retryAt: Infinity });
  effects.push({ type: "send", connection: connection.id, message: { type: "keepalive" } });
}

/**
 * For how long after a session is established a connection is the other one of a collision, that was made before and is read after it: on a
 * busy node some milliseconds, or a second where a packet was lost. A peer that was restarted so soon tries again.
 */
const collisionTime: Millis = 5_000;

/**
 * Whether a connection stays whose OPEN has come, and ends another one that is agreed on already. The connection opened by
 * the router with the higher identifier stays, or with the higher AS number where the identifiers are equal (RFC 4271, section 6.8; RFC
 * 6286, section 2.3). An established connection stays, unless the peer restarts gracefully and so has forgotten it (RFC 4724, section 4.2).
 */
function wins(transition: Transition, connection: Opening, open: Open): boolean {
  const other = transition.session.connections.find(isAgreed);
  if (other === undefined) return true;
  if (other.state === "established") {
    const isLater = connection.incoming && connection.since - other.enteredAt > collisionTime;
    if (!isLater || !other.negotiated.gracefulRestart) return false;
    end(transition, other, { type: "peerRestarted" });
    return true;
  }
  const higher = connection.open.routerId.compare(open.routerId) || transition.session.settings.myAsn - asnOf(open);
  if (higher > 0 === connection.incoming) return false;
  drop(transition, other, collision);
  return true;
}
