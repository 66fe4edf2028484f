import type { Millis } from "#pkg/clock";
import { ApiError } from "./api-error.ts";
import type { Target } from "./request.ts";
import type { User } from "./tokens.ts";

/** A request as it is known before it is carried out. */
export interface RequestInfo {
  readonly user: User;
  readonly userAgent: string;
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly target: Target;
}

/** A fault of the next requests. */
export interface Fault {
  /** How many requests it befalls. */
  readonly times: number;
  /** Requests that it affects; all when absent. */
  readonly matches?: (request: RequestInfo) => boolean;
  /** An answer with this code, an answer that comes late, or none at all. */
  readonly effect:
    | { readonly type: "answer"; readonly code: 409 | 429 | 500 | 503 | 504; readonly retryAfterSeconds?: number }
    | { readonly type: "delay"; readonly for: Millis }
    | { readonly type: "disconnect" };
}

/** The faults that wait for their requests, in the order in which they were injected. */
export class Faults {
  readonly #waiting: { fault: Fault; left: number }[] = [];

  /** Disposing takes back what has not happened yet. */
  inject(fault: Fault): Disposable {
    const entry = { fault, left: fault.times };
    this.#waiting.push(entry);
    return { [Symbol.dispose]: () => this.#remove(entry) };
  }

  /** The effect on this request, which uses it up. */
  take(request: RequestInfo): Fault["effect"] | undefined {
    const entry = this.#waiting.find(({ fault }) => fault.matches?.(request) ?? true);
    if (entry === undefined) return undefined;
    entry.left--;
    if (entry.left <= 0) this.#remove(entry);
    return entry.fault.effect;
  }

  #remove(entry: { fault: Fault; left: number }): void {
    const position = this.#waiting.indexOf(entry);
    if (position >= 0) this.#waiting.splice(position, 1);
  }
}

const reasons = {
  409: ["Conflict", "the object has been modified; please apply your changes to the latest version and try again"],
  429: ["TooManyRequests", "Too many requests, please try again later."],
  500: ["InternalError", "Internal error occurred: injected fault"],
  503: ["ServiceUnavailable", "the server is currently unable to handle the request"],
  504: ["Timeout", "Timeout: request did not complete within the allotted timeout"],
} as const;

/** The answer of a fault, as the real API words it. */
export function faultError(code: keyof typeof reasons, retryAfterSeconds: number | undefined): ApiError {
  const [reason, message] = reasons[code];
  return new ApiError(code, reason, message, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
}
