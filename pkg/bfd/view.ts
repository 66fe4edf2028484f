import type { SessionView } from "./messages.ts";
import { detectionTime, type Session, transmitInterval } from "./session.ts";

/** What is told of a session. `problem`: what keeps its packets from leaving or arriving here. */
export function describeSession(session: Session, problem: string | undefined): SessionView {
  const { state, diagnostic, discriminator, remote, echo } = session;
  const heard = remote.discriminator !== 0;
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
    transmitMs: heard ? transmitInterval(session) : 0,
    detectionMs: heard ? detectionTime(session) : 0,
    echo: echo.sendAt === Infinity ? "off" : echo.detectAt === Infinity ? "unanswered" : "active",
  };
}

/** Whether there is nothing new to tell. */
export function same(a: SessionView, b: SessionView): boolean {
  return (Object.keys(a) as (keyof SessionView)[]).every((key) => a[key] === b[key]);
}
