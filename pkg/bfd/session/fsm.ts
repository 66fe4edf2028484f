import type { Millis } from "#pkg/clock";
import { type ControlPacket, Diagnostic, type State } from "../codec/control-codec.ts";
import {
  detectionTime,
  echoInterval,
  leastJitter,
  mayLeaveAt,
  noEcho,
  type Parameters,
  type Session,
  slowMs,
  transmitInterval,
  unknownRemote,
} from "./session.ts";

export type Event =
  /** A packet for this session, decoded and checked. It may have waited since `arrivedAt`. */
  | { readonly type: "packet"; readonly packet: ControlPacket; readonly arrivedAt: Millis }
  /**
   * Time has passed. `late` is for how long the thread has stood still since it heard the peer last (`heardAt` and `Stalls`). Everything
   * that had arrived was received.
   */
  | { readonly type: "timer"; readonly late: Millis }
  /** An echo packet came back. */
  | { readonly type: "echo" }
  /** Other parameters are wanted; the session stays as it is. */
  | { readonly type: "configure"; readonly parameters: Parameters }
  /** The session is administratively disabled (RFC 5880, section 6.8.16). It answers nothing any more, and goes on sending AdminDown. */
  | { readonly type: "disable" };

export type Effect =
  | { readonly type: "send"; readonly packet: ControlPacket }
  | { readonly type: "sendEcho" }
  /** The reason is `Session.diagnostic`. */
  | { readonly type: "changed"; readonly from: State; readonly to: State };

/** Where a state of the peer leads; absent: stay (RFC 5880, section 6.8.6). */
const onPeerState: Record<State, Partial<Record<State, State>>> = {
  adminDown: {},
  down: { down: "init", init: "up" },
  init: { adminDown: "down", init: "up", up: "up" },
  up: { adminDown: "down", down: "down" },
};

/**
 * Advances a session by one event. Answers every event in every state, and never throws. `chance` is uniform in [0, 1) and makes the
 * jitter of the next packet.
 */
export function step(session: Session, event: Event, now: Millis, chance: number): [Session, Effect[]] {
  const effects: Effect[] = [];
  const reacted = echoes(session, negotiate(session, react(session, event, now)), now);
  const detecting = { ...reacted, detectAt: detectAt(session, reacted, event) };
  const next = transmit(session, detecting, event, now, chance, effects);
  if (next.state !== session.state) effects.push({ type: "changed", from: session.state, to: next.state });
  return [next, effects];
}

/** Applies the event to the state and to the view of the peer. */
function react(session: Session, event: Event, now: Millis): Session {
  switch (event.type) {
    case "packet":
      return receive(session, event.packet, event.arrivedAt);
    case "timer":
      return expire(session, event.late, now);
    case "echo": {
      const interval = echoInterval(session);
      if (interval === undefined || session.echo.sendAt === Infinity) return session; // It was long on its way.
      const detectAt = now + session.parameters.multiplier * interval;
      return { ...session, echo: { ...session.echo, detectAt }, excused: false };
    }
    case "configure":
      return { ...session, parameters: event.parameters };
    case "disable":
      return enter(session, "adminDown", Diagnostic.administrativelyDown);
    default:
      return event satisfies never;
  }
}

/** RFC 5880, section 6.8.6, from where the session has been found. */
function receive(session: Session, packet: ControlPacket, arrivedAt: Millis): Session {
  const { state, diagnostic, multiplier, desiredMinTx, demand, controlPlaneIndependent } = packet;
  const updated: Session = {
    ...session,
    remote: {
      state,
      diagnostic,
      multiplier,
      desiredMinTx,
      demand,
      controlPlaneIndependent,
      discriminator: packet.myDiscriminator,
      minRx: packet.requiredMinRx,
      minEchoRx: packet.requiredMinEchoRx,
    },
    poll: packet.final ? pollAfterFinal[session.poll] : session.poll,
    receivedAt: Math.max(session.receivedAt, arrivedAt),
    excused: false,
  };
  const to = onPeerState[session.state][state] ?? session.state;
  return to === session.state
    ? updated
    : enter(updated, to, to === "down" ? Diagnostic.neighborSignaledDown : session.diagnostic);
}

const pollAfterFinal = { none: "none", running: "none", again: "running" } as const;

/** RFC 5880, sections 6.8.4 and 6.8.5. Time in which this thread was stalled does not count as silence of the peer, once. */
function expire(session: Session, late: Millis, now: Millis): Session {
  const { echo, excused } = session;
  const silent = now >= session.detectAt;
  if (!silent && now < echo.detectAt) return session;
  if (late > 0 && !excused) {
    const grace = now + Math.min(late, detectionTime(session));
    const later = { detectAt: Math.max(session.detectAt, grace), echo: { ...echo, detectAt: Math.max(echo.detectAt, grace) } };
    return { ...session, ...later, excused: true };
  }
  const wasAlive = session.state === "init" || session.state === "up";
  if (!silent) return enter(session, "down", Diagnostic.echoFailed);
  // Forget what this peer sent: the next packet may come from one that restarted.
  const alone = { ...session, remote: unknownRemote };
  return wasAlive ? enter(alone, "down", Diagnostic.detectionTimeExpired) : alone;
}

function enter(session: Session, state: State, diagnostic: Diagnostic): Session {
  return { ...session, state, diagnostic: state === "up" ? Diagnostic.none : diagnostic };
}

/** What this side asks for in its packets, and when it counts (RFC 5880, section 6.8.3). */
function negotiate(before: Session, session: Session): Session {
  const { parameters, state } = session;
  const up = state === "up";
  const desiredMinTx = up ? parameters.transmitMs : Math.max(parameters.transmitMs, slowMs);
  // While echoes come back, they detect, and control packets need not be fast.
  const echoing = up && session.echo.detectAt !== Infinity && echoInterval(session) !== undefined;
  const requiredMinRx = echoing ? Math.max(parameters.receiveMs, parameters.echoingReceiveMs) : parameters.receiveMs;
  if (!up)
    return { ...session, desiredMinTx, requiredMinRx, transmitFloor: desiredMinTx, detectFloor: requiredMinRx, poll: "none" };
  const changed =
    desiredMinTx !== before.desiredMinTx ||
    requiredMinRx !== before.requiredMinRx ||
    // The RFC leaves this one open, but a peer in Demand mode gets no other packet, and would take lost echoes for a dead path.
    parameters.echoReceiveMs !== before.parameters.echoReceiveMs;
  const poll = !changed ? session.poll : session.poll === "none" ? "running" : "again";
  const settled = poll === "none";
  return {
    ...session,
    desiredMinTx,
    requiredMinRx,
    poll,
    transmitFloor: settled ? desiredMinTx : Math.min(session.transmitFloor, desiredMinTx),
    detectFloor: settled ? requiredMinRx : Math.max(session.detectFloor, requiredMinRx),
  };
}

/** Begins and ends the echo function, which runs only while both sides are up. */
function echoes(before: Session, session: Session, now: Millis): Session {
  const { state, remote, parameters, echo } = session;
  const interval = echoInterval(session);
  if (state !== "up" || remote.state !== "up" || interval === undefined) return { ...session, echo: noEcho };
  if (before.echo.sendAt === Infinity) return { ...session, echo: { sendAt: now, detectAt: Infinity } };
  if (echo.detectAt === Infinity || interval <= (echoInterval(before) ?? 0)) return session;
  // Between echoes there may be more time from now on than was left for the next one.
  return { ...session, echo: { ...echo, detectAt: Math.max(echo.detectAt, now + parameters.multiplier * interval) } };
}

function detectAt(before: Session, session: Session, event: Event): Millis {
  if (session.remote.discriminator === 0) return Infinity;
  const time = detectionTime(session);
  if (event.type === "packet") return session.receivedAt + time;
  return time === detectionTime(before) ? session.detectAt : session.receivedAt + time;
}

/** Sends what is due (RFC 5880, section 6.8.7), and sets the next deadline. */
function transmit(before: Session, session: Session, event: Event, now: Millis, chance: number, effects: Effect[]): Session {
  const jitter = (interval: Millis): Millis => interval * jitterFactor(session.parameters.multiplier, chance);
  let { sendAt, sentAt, echo } = session;
  const polled = event.type === "packet" && event.packet.poll && session.state !== "adminDown";
  if (polled) effects.push({ type: "send", packet: { ...controlPacket(session), poll: false, final: true } });
  if (!maySend(session)) sendAt = Infinity;
  else {
    const interval = transmitInterval(session);
    if (sendAt === Infinity || interval < transmitInterval(before)) sendAt = Math.min(sendAt, sentAt + jitter(interval));
    // An answer to a poll carries the news; a poll of our own still has to be sent.
    const news = hasNews(before, session) && (!polled || session.poll !== "none");
    if (news || now >= (event.type === "timer" ? mayLeaveAt({ ...session, sendAt }) : sendAt)) {
      effects.push({ type: "send", packet: controlPacket(session) });
      sentAt = now;
      sendAt = now + jitter(interval);
    }
  }
  const every = echoInterval(session);
  if (every !== undefined && now >= echo.sendAt) {
    effects.push({ type: "sendEcho" });
    echo = { ...echo, sendAt: now + jitter(every) };
  }
  return { ...session, sendAt, sentAt, echo };
}

/** Whether periodic packets are sent (RFC 5880, section 6.8.7). */
function maySend({ parameters, remote, state, poll }: Session): boolean {
  if (parameters.passive && remote.discriminator === 0) return false;
  if (remote.minRx === 0) return false;
  return !(remote.demand && state === "up" && remote.state === "up" && poll === "none");
}

/** Whether the peer has to learn of something at once. */
function hasNews(before: Session, session: Session): boolean {
  return (
    before.state !== session.state ||
    before.diagnostic !== session.diagnostic ||
    before.desiredMinTx !== session.desiredMinTx ||
    before.requiredMinRx !== session.requiredMinRx ||
    before.parameters.multiplier !== session.parameters.multiplier ||
    before.parameters.echoReceiveMs !== session.parameters.echoReceiveMs
  );
}

function controlPacket(session: Session): ControlPacket {
  return {
    diagnostic: session.diagnostic,
    state: session.state,
    poll: session.poll !== "none",
    final: false,
    // This implementation ends with the process that speaks BGP: it promises no forwarding without it.
    controlPlaneIndependent: false,
    demand: false,
    multiplier: session.parameters.multiplier,
    myDiscriminator: session.discriminator,
    yourDiscriminator: session.remote.discriminator,
    desiredMinTx: session.desiredMinTx,
    requiredMinRx: session.requiredMinRx,
    requiredMinEchoRx: session.parameters.echoReceiveMs,
  };
}

/** RFC 5880, section 6.8.7: 75 to 100 % of the interval; at most 90 % where one lost packet is one too many. */
function jitterFactor(multiplier: number, chance: number): number {
  return leastJitter + chance * (multiplier === 1 ? 0.15 : 0.25);
}
