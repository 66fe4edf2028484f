import type { WriteFailure } from "../events.ts";

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
