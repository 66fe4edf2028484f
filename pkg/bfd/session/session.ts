import type { Millis } from "#pkg/clock";
import type { BfdProfile } from "#pkg/config";
import { type Address, isLinkLocal } from "#pkg/net";
import { type ControlPacket, Diagnostic, type State } from "../codec/control-codec.ts";

/** The configured parameters of a session. Intervals are at least 10 ms. */
export interface Parameters {
  readonly transmitMs: Millis;
  readonly receiveMs: Millis;
  /** While echoes come back the peer may send as slowly as this, where it is slower than `receiveMs`. */
  readonly echoingReceiveMs: Millis;
  readonly multiplier: number;
  /** Sends nothing before the peer does (RFC 5880, section 6.1). */
  readonly passive: boolean;
  /** How often echo packets are sent at most; undefined for none. */
  readonly echoMs: Millis | undefined;
  /** How often the peer may send echo packets, which are looped back over one hop; 0 for never. */
  readonly echoReceiveMs: Millis;
}

/** The contents of the peer's last packet. */
export interface Remote
  extends Pick<ControlPacket, "state" | "diagnostic" | "multiplier" | "desiredMinTx" | "demand" | "controlPlaneIndependent"> {
  /** 0: nothing was received for a detection time. */
  readonly discriminator: number;
  readonly minRx: Millis;
  readonly minEchoRx: Millis;
}

/** The echo function on this side (RFC 5880, section 6.4). */
export interface Echo {
  /** When the next one leaves; never while the function is not in use. */
  readonly sendAt: Millis;
  /** When the session goes down for want of echoes; never before one has come back. */
  readonly detectAt: Millis;
}

/** A session's state, all of it data; what moves it is `step`. Deadlines are instants, Infinity is never. */
export interface Session {
  readonly parameters: Parameters;
  readonly state: State;
  readonly diagnostic: Diagnostic;
  readonly discriminator: number;
  readonly remote: Remote;
  /** A poll sequence (RFC 5880, section 6.5): none, one that runs, or one after which another is needed. */
  readonly poll: "none" | "running" | "again";
  /** Values in sent packets: bfd.DesiredMinTxInterval and bfd.RequiredMinRxInterval. */
  readonly desiredMinTx: Millis;
  readonly requiredMinRx: Millis;
  /** The same two as they count here: what eases a duty counts only once the peer knows of it (RFC 5880, section 6.8.3). */
  readonly transmitFloor: Millis;
  readonly detectFloor: Millis;
  /** When the last packet left that was not the answer to a poll. */
  readonly sentAt: Millis;
  readonly sendAt: Millis;
  readonly receivedAt: Millis;
  readonly detectAt: Millis;
  /** Silence was excused once since the last packet, because nobody here was listening. */
  readonly excused: boolean;
  readonly echo: Echo;
}

/** RFC 5880, section 6.8.3: how fast packets may be sent at most while the session is not up. */
export const slowMs: Millis = 1000;

/** RFC 5880, section 6.8.1. */
export const unknownRemote: Remote = {
  state: "down",
  diagnostic: Diagnostic.none,
  discriminator: 0,
  multiplier: 0,
  desiredMinTx: 0,
  minRx: 0.001,
  minEchoRx: 0,
  demand: false,
  controlPlaneIndependent: false,
};

export const noEcho: Echo = { sendAt: Infinity, detectAt: Infinity };

/** A new session: Down, and due to send unless it is passive. `discriminator` is not 0, and no other session's here. */
export function newSession(parameters: Parameters, discriminator: number, now: Millis): Session {
  const desiredMinTx = Math.max(parameters.transmitMs, slowMs);
  return {
    parameters,
    state: "down",
    diagnostic: Diagnostic.none,
    discriminator,
    remote: unknownRemote,
    poll: "none",
    desiredMinTx,
    requiredMinRx: parameters.receiveMs,
    transmitFloor: desiredMinTx,
    detectFloor: parameters.receiveMs,
    sentAt: -Infinity,
    sendAt: parameters.passive ? Infinity : now,
    receivedAt: -Infinity,
    detectAt: Infinity,
    excused: false,
    echo: noEcho,
  };
}

/** RFC 5880, section 6.8.4. */
export function detectionTime({ remote, detectFloor }: Session): Millis {
  return remote.multiplier * Math.max(detectFloor, remote.desiredMinTx);
}

/** When the peer was heard last, by a packet or an echo. */
export function heardAt(session: Session): Millis {
  const { receivedAt, echo, parameters } = session;
  const interval = echoInterval(session);
  return interval === undefined || echo.detectAt === Infinity
    ? receivedAt
    : Math.max(receivedAt, echo.detectAt - parameters.multiplier * interval);
}

/** RFC 5880, section 6.8.2, before jitter. */
export function transmitInterval({ remote, transmitFloor }: Session): Millis {
  return Math.max(transmitFloor, remote.minRx);
}

/** Undefined if no echo is wanted, or if the peer would not loop it back. */
export function echoInterval({ parameters, remote }: Session): Millis | undefined {
  if (parameters.echoMs === undefined || remote.minEchoRx === 0) return undefined;
  return Math.max(parameters.echoMs, remote.minEchoRx);
}

/** The least part of its interval after which a packet leaves (RFC 5880, section 6.8.7). */
export const leastJitter = 0.75;

/** From when the next packet may leave. A thread that is awake then for another session sends it too, and need not wake up again. */
export function mayLeaveAt(session: Session): Millis {
  const { sendAt, sentAt } = session;
  return sendAt === Infinity ? Infinity : Math.min(sendAt, sentAt + leastJitter * transmitInterval(session));
}

/** When `step` has something to do for time alone. */
export function nextDeadline({ sendAt, detectAt, echo }: Session): Millis {
  return Math.min(sendAt, detectAt, echo.sendAt, echo.detectAt);
}

/**
 * The session parameters of a profile. Echoes go over one hop (RFC 5883, section 3) and between addresses that are forwarded; link-local
 * addresses are not. The peer may send echoes whether or not this side does, as with FRR. Like FRR, a session over several hops says how
 * often it would take echoes, although nobody sends them back there. While echoes detect, control packets slow down to one a second (RFC
 * 5880, section 6.8.3), unless the profile gives an interval.
 */
export function parametersOf(
  profile: BfdProfile,
  { peer, multihop }: { readonly peer: Address; readonly multihop: boolean },
): Parameters {
  const isForwarded = !isLinkLocal(peer);
  return {
    transmitMs: profile.transmitIntervalMs,
    receiveMs: profile.receiveIntervalMs,
    echoingReceiveMs: profile.hasReceiveInterval ? profile.receiveIntervalMs : Math.max(profile.receiveIntervalMs, slowMs),
    multiplier: profile.detectMultiplier,
    passive: profile.passiveMode,
    echoMs: isForwarded && !multihop && profile.echoMode ? profile.echoIntervalMs : undefined,
    echoReceiveMs: isForwarded ? profile.echoIntervalMs : 0,
  };
}
