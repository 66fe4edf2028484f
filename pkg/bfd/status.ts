import type { State } from "./control-codec.ts";
import { Diagnostic, diagnosticText } from "./diagnostic.ts";
import type { SessionView } from "./messages.ts";

/**
 * What a session says of the path. `unknown`: nothing yet, the peer may not speak BFD at all; `up`; `failed`: it was up and no longer
 * is; `adminDown`: one side gave the session up, which says nothing of the path (RFC 5882, section 3.2).
 */
export type BfdVerdict = "unknown" | "up" | "failed" | "adminDown";

export interface BfdStatus {
  readonly verdict: BfdVerdict;
  /** In words, for logs and people. */
  readonly reason: string;
}

export const unknownStatus: BfdStatus = { verdict: "unknown", reason: "the peer has not been heard yet" };

/** What a change of state says, after what was known `before`. */
export function statusAfter(
  before: BfdStatus,
  from: State,
  view: Pick<SessionView, "state" | "diagnostic" | "remoteState" | "remoteDiagnostic">,
): BfdStatus {
  const { state, diagnostic, remoteState, remoteDiagnostic } = view;
  if (state === "up") return { verdict: "up", reason: "both sides hear each other" };
  if (state === "adminDown") return { verdict: "adminDown", reason: "this side gave the session up" };
  if (from !== "up") return before; // On the way up, or back from there: nothing is known that was not before.
  if (diagnostic !== Diagnostic.neighborSignaledDown) return { verdict: "failed", reason: diagnosticText(diagnostic) };
  const peerSays = `the peer says ${remoteState === "adminDown" ? "administratively down" : diagnosticText(remoteDiagnostic)}`;
  return { verdict: remoteState === "adminDown" ? "adminDown" : "failed", reason: peerSays };
}
