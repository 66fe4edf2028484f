import type { Millis } from "#pkg/clock";
import { Diagnostic, diagnosticText, type State } from "../codec/control-codec.ts";
import { detectionTime, type Session, transmitInterval } from "./session.ts";

/** The current state of a session. Intervals are as both sides agreed; 0 before they have. */
export interface SessionView {
  readonly state: State;
  readonly diagnostic: Diagnostic;
  readonly remoteState: State;
  readonly remoteDiagnostic: Diagnostic;
  readonly discriminator: number;
  readonly remoteDiscriminator: number;
  readonly remoteMultiplier: number;
  readonly remoteControlPlaneIndependent: boolean;
  readonly remoteDemand: boolean;
  readonly transmitMs: Millis;
  readonly detectionMs: Millis;
  /** `off`: not wanted, not offered by the peer, or not up; `unanswered`: none came back yet; `active`: they detect. */
  readonly echo: "off" | "unanswered" | "active";
  /** The problem that keeps packets from being sent or received here; undefined without a problem. */
  readonly problem: string | undefined;
}

/**
 * The meaning of a session for the path. `unknown`: nothing yet, the peer may not speak BFD at all; `up`; `failed`: it was up and no
 * longer is; `adminDown`: one side gave the session up, which means nothing for the path (RFC 5882, section 3.2).
 */
export type BfdVerdict = "unknown" | "up" | "failed" | "adminDown";

export interface BfdStatus {
  readonly verdict: BfdVerdict;
  /** In words, for logs and people. */
  readonly reason: string;
}

export const unknownStatus: BfdStatus = { verdict: "unknown", reason: "nothing has been received from the peer yet" };

/** The status after a change of state. */
export function statusAfter(
  before: BfdStatus,
  from: State,
  view: Pick<SessionView, "state" | "diagnostic" | "remoteState" | "remoteDiagnostic">,
): BfdStatus {
  const { state, diagnostic, remoteState, remoteDiagnostic } = view;
  if (state === "up") return { verdict: "up", reason: "both sides receive each other's packets" };
  if (state === "adminDown") return { verdict: "adminDown", reason: "this side gave the session up" };
  if (from !== "up") return before; // On the way up, or back from there: nothing is known that was not before.
  if (diagnostic !== Diagnostic.neighborSignaledDown) return { verdict: "failed", reason: diagnosticText(diagnostic) };
  const peerSignals = `the peer signals ${remoteState === "adminDown" ? "administratively down" : diagnosticText(remoteDiagnostic)}`;
  return { verdict: remoteState === "adminDown" ? "adminDown" : "failed", reason: peerSignals };
}

/** The view of a session. `problem`: why its packets cannot be sent or received here. */
export function describeSession(session: Session, problem: string | undefined): SessionView {
  const { state, diagnostic, discriminator, remote, echo } = session;
  const received = remote.discriminator !== 0;
  return {
    state,
    diagnostic,
    discriminator,
    problem,
    remoteState: remote.state,
    remoteDiagnostic: remote.diagnostic,
    remoteDiscriminator: remote.discriminator,
    remoteMultiplier: remote.multiplier,
    remoteControlPlaneIndependent: remote.controlPlaneIndependent,
    remoteDemand: remote.demand,
    transmitMs: received ? transmitInterval(session) : 0,
    detectionMs: received ? detectionTime(session) : 0,
    echo: echo.sendAt === Infinity ? "off" : echo.detectAt === Infinity ? "unanswered" : "active",
  };
}

/** Whether nothing has changed. */
export function same(a: SessionView, b: SessionView): boolean {
  return (Object.keys(a) as (keyof SessionView)[]).every((key) => a[key] === b[key]);
}
