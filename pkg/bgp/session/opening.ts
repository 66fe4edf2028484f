import type { Address } from "#pkg/net";
import type { Open } from "../codec/messages.ts";
import { Cease } from "../codec/notification-error.ts";
import { negotiate, offer } from "./negotiation.ts";
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
  type Turn,
} from "./transition.ts";

/** Connects, unless it is the peer's to do that. */
export function begin(turn: Turn): void {
  change(turn, { resting: false, retryAt: Infinity });
  const { session, now, effects } = turn;
  const { connections, settings } = session;
  if (settings.passive || connections.some((one) => isAgreed(one) || !one.incoming)) return;
  const id = session.lastConnection + 1;
  const connection = { id, incoming: false, since: now, state: "connect" as const, holdAt: now + connectTimeout };
  change(turn, { lastConnection: id, connections: [...connections, connection] });
  effects.push({ type: "dial", connection: id });
}

/** The connection that this side began is there: 16 (RFC 4271, section 8.2.2, Connect state). */
export function connected(turn: Turn, id: number, routerId: Address): void {
  const connection = connectionOf(turn, id);
  if (connection?.state === "connect") sendOpen(turn, { ...connection, ...opening(turn, routerId) });
}

/** The peer connected: 17. It is let in in every state but Idle, and the OPENs decide which connection stays (section 6.8). */
export function accepted(turn: Turn, routerId: Address): void {
  const { session, effects, now } = turn;
  const { running, resting, connections, lastConnection } = session;
  if (!running || resting) {
    const because = running ? "this side waits a while after an error" : "the session is stopped";
    effects.push({ type: "refuse", notification: cease(Cease.connectionRejected), because });
    return;
  }
  const confirming = connections.some((one) => one.incoming && one.state === "openConfirm");
  if (confirming) {
    effects.push({
      type: "refuse",
      notification: collision,
      because: "another connection of the peer is about to be established",
    });
    return;
  }
  // The peer has given up what it left without an OPEN, or it would not begin anew.
  for (const one of connections) if (one.incoming && one.state === "openSent") drop(turn, one, collision);
  const connection: Opening = { id: lastConnection + 1, incoming: true, since: now, ...opening(turn, routerId) };
  change(turn, { lastConnection: connection.id, connections: [...turn.session.connections, connection] });
  effects.push({ type: "take", connection: connection.id });
  sendOpen(turn, connection);
}

function opening({ session, now }: Turn, routerId: Address): Pick<Opening, "state" | "open" | "holdAt"> {
  return { state: "openSent", open: offer(session, routerId), holdAt: now + largeHoldTime };
}

function sendOpen(turn: Turn, connection: Opening): void {
  replace(turn, connection);
  turn.effects.push({ type: "send", connection: connection.id, message: connection.open });
}

/** The peer's OPEN in OpenSent: 19, or 22 when it does not suit (RFC 4271, sections 6.2 and 8.2.2). */
export function opened(turn: Turn, connection: Opening, open: Open): void {
  const agreement = negotiate(turn.session.settings, connection.open, open);
  if ("because" in agreement) {
    const { notification, because } = agreement;
    fail(turn, connection, { type: "sent", notification, because }, "idle", notification);
    return;
  }
  if (!wins(turn, connection, open)) {
    drop(turn, connection, collision);
    return;
  }
  const { now, random, effects } = turn;
  // The peer speaks: what is still being connected is not needed. What waits for an OPEN is judged when that is there.
  for (const one of turn.session.connections) if (one.state === "connect") drop(turn, one);
  const { holdTimeSeconds, keepaliveSeconds } = agreement;
  const holdTime = holdTimeSeconds * 1000;
  replace<Agreed>(turn, {
    ...connection,
    state: "openConfirm",
    negotiated: agreement,
    enteredAt: now,
    holdAt: now + (holdTime || largeHoldTime), // Even a session that never expires must be answered to begin.
    keepaliveAt: now + jittered(keepaliveSeconds, random()),
    sendHoldAt: now + sendHoldTime(holdTime),
  });
  change(turn, { resting: false, retryAt: Infinity });
  effects.push({ type: "send", connection: connection.id, message: { type: "keepalive" } });
}

/**
 * Whether a connection whose OPEN has come stays beside another that is agreed on already, which is ended if so: the one that the router
 * with the higher identifier began, or with the higher AS number where the identifiers are equal (RFC 4271, section 6.8; RFC 6286,
 * section 2.3). One that is established stays, except that a peer which restarts gracefully has forgotten it (RFC 4724, section 4.2).
 */
function wins(turn: Turn, connection: Opening, { routerId }: Open): boolean {
  const other = turn.session.connections.find(isAgreed);
  if (other === undefined) return true;
  if (other.state === "established") {
    const began = connection.incoming && connection.since > other.enteredAt;
    if (!began || !other.negotiated.gracefulRestart) return false;
    end(turn, other, { type: "peerRestarted" });
    return true;
  }
  const { myAsn, peerAsn } = turn.session.settings;
  const higher = connection.open.routerId.compare(routerId) || myAsn - peerAsn;
  if (higher > 0 === connection.incoming) return false;
  drop(turn, other, collision);
  return true;
}
