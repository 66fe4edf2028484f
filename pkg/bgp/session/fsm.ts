import type { Millis, Random } from "#pkg/clock";
import type { Notification } from "../codec/messages.ts";
import { Cease } from "../codec/notification-codes.ts";
import { cease, drop, end, fail } from "./ending.ts";
import type { Effect, Event } from "./events.ts";
import { keepalive } from "./offer.ts";
import { accepted, begin, connected } from "./opening.ts";
import type { Reason } from "./reason.ts";
import { needsRestart, type SessionSettings } from "./settings.ts";
import { isAgreed, type Session, stateOf } from "./state.ts";
import { malformed, received } from "./talking.ts";
import { taken, timer } from "./timers.ts";
import { change, connectionOf, replace, type Turn } from "./turn.ts";

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
