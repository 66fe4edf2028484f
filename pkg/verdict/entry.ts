import type { Kind } from "./causes.ts";
import { type Dated, isProblem, type Verdict } from "./verdict.ts";

/** A verdict as `/v1` has it. */
export interface VerdictAnswer extends Verdict {
  /** ISO 8601; by this process, so never before it began. */
  readonly since: string;
}

/** What `?brief` leaves of it. */
export type BriefVerdict = Pick<VerdictAnswer, "state" | "cause" | "since">;

/** One of `/v1/verdicts`. */
export interface VerdictEntry extends VerdictAnswer {
  readonly kind: Kind | "address";
  /** For a Service `namespace/name`; for an address its text; for a peer its key. */
  readonly name: string;
  /** For an address: the Service that has it. */
  readonly service?: string;
  /** For a peer: its name in the configuration. */
  readonly peerName?: string | undefined;
}

export function answer<Instant>({ verdict, since }: Dated<Instant>, dateOf: (since: Instant) => string): VerdictAnswer {
  return { ...verdict, since: dateOf(since) };
}

/** Whether a list of this query keeps the whole verdict: `?brief=names` does with problems. */
export function staysWhole(query: URLSearchParams, verdict: VerdictAnswer): boolean {
  return query.get("brief") === "names" && isProblem(verdict);
}

export function brief({ state, cause, since }: VerdictAnswer): BriefVerdict {
  return { state, cause, since };
}
