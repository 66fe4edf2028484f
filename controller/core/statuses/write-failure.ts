import type { Millis } from "#pkg/clock";
import type { ApiError } from "#pkg/k8s";
import type { ConfigStatus } from "#pkg/live-config";
import { type CauseOf, verdict } from "#pkg/verdict";
import type { WriteFailure } from "../events.ts";

/** The part of an error that is kept. */
export function failureOf({ status, reason, message, cause, retryAfterMs }: ApiError): WriteFailure {
  return { status, reason, message, cause: cause instanceof Error ? cause.message : undefined, retryAfterMs };
}

/** Perhaps nothing can be written, whatever it is. A webhook's answer is about the object, with any code. */
export function isUnavailable(error: WriteFailure): boolean {
  const { status } = error;
  return isUnanswered(error) || (!isOfWebhook(error) && (status === 429 || status === 503 || status === 504));
}

export function isUnanswered({ reason }: WriteFailure): boolean {
  return reason === "Unreachable";
}

/** Invalid, or forbidden by an admission policy or a webhook. Faults of the server concern all Services and none, unless they last. */
export function isOfService(error: WriteFailure): boolean {
  const { status } = error;
  return status === 422 || status === 400 || isOfWebhook(error) || (status === 403 && !isOfController(error));
}

/** An admission webhook has denied it; the API server begins its message so, and passes the code on that the webhook chose. */
function isOfWebhook({ message }: WriteFailure): boolean {
  return /: admission webhook "[^"]*" denied the request/.test(message);
}

/** RBAC forbids it to the controller, which concerns all Services, or this one does not write any more. */
export function isOfController({ status, reason, message }: WriteFailure): boolean {
  return (status === 403 && /cannot (patch|update) resource/.test(message)) || reason === "NotLeader" || reason === "Closed";
}

/** With the cause where nothing was answered: that says for how long. */
export function textOf({ message, cause }: WriteFailure): string {
  return `${message}${cause === undefined ? "" : `: ${cause}`}`.slice(0, 800);
}

/** Writes that the API server refused in a row. */
export interface Refusals {
  readonly count: number;
  readonly since: Millis;
  /** Message of the last refusal. */
  readonly message: string;
}

const lastingRefusals = 3;

/** With one more. An API server that does not answer refuses nothing, and has a verdict of its own. */
export function refusedAgain(before: Refusals | undefined, failure: WriteFailure, now: Millis): Refusals | undefined {
  if (isUnavailable(failure)) return before;
  return { count: (before?.count ?? 0) + 1, since: before?.since ?? now, message: textOf(failure) };
}

export function isLasting(refusals: Refusals | undefined): boolean {
  return refusals !== undefined && refusals.count >= lastingRefusals;
}

/** The status of the configuration; where nothing is wrong with it, with the first write that is refused for long. */
export function withRefusals(
  status: ConfigStatus,
  all: readonly { readonly cause: CauseOf<"configuration">; readonly what: string; readonly refusals: Refusals | undefined }[],
): ConfigStatus {
  if (status.verdict.cause !== "inForce") return status;
  for (const { cause, what, refusals } of all) {
    if (refusals === undefined || !isLasting(refusals)) continue;
    const message = `the configuration is in force, but ${what}: ${refusals.message}`;
    return { ...status, verdict: verdict("configuration", cause, { message }), since: refusals.since };
  }
  return status;
}
