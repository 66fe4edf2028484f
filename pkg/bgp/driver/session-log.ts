import type { Millis } from "#pkg/clock";
import type { Log } from "#pkg/log";
import { NotificationCode } from "../codec/notification-error.ts";
import type { Effect } from "../session/events.ts";
import { describeReason } from "../session/reason.ts";
import type { Reason, Session } from "../session/state.ts";
import { type PeerView, seconds } from "./peer-view.ts";

// Reasons are few, but the peer chooses a part of their text, and may have another for a hundred attempts a second.
const maxReasons = 16;

/**
 * Logs each change of state once. A failure that repeats for the same reason is logged at debug after the first time, and so is one for still
 * another reason after many.
 */
export class SessionLog {
  readonly #log: Log;
  readonly #logged = new Set<string>(); // Why it failed, since a session was established.
  #warnedOfUpdate = false; // In this session.

  constructor(log: Log) {
    this.#log = log;
  }

  transition(
    { from, to, reason }: Extract<Effect, { type: "transition" }>,
    { retryAt }: Session,
    agreement: PeerView["session"],
    now: Millis,
  ): void {
    const fields = {
      event: "sessionState",
      from,
      to,
      reason: reason && describeReason(reason),
      retryInSeconds: retryAt === Infinity ? undefined : seconds(retryAt - now),
    };
    if (to === "established") {
      this.#logged.clear();
      this.#warnedOfUpdate = false;
      this.#log.info("BGP session established", { ...fields, event: "sessionUp", ...agreement });
    } else if (from === "established") this.#down({ ...fields, event: "sessionDown" }, reason);
    else if (fields.reason !== undefined) this.#failed({ ...fields, event: "sessionFailed" }, fields.reason);
    else this.#log.debug("BGP session changed its state", fields);
  }

  refused(because: string): void {
    this.#log.debug("connection of the peer refused", { event: "connectionRefused", reason: because });
  }

  /** Warns once in a session: a peer may send the same error with every prefix. */
  forgiven(errors: readonly string[]): void {
    const level = this.#warnedOfUpdate ? "debug" : "warn";
    this.#log[level]("errors in an UPDATE of the peer are handled as RFC 7606 demands", { event: "updateForgiven", errors });
    this.#warnedOfUpdate = true;
  }

  #down(fields: object, reason: Reason | undefined): void {
    const wanted = reason?.type === "sent" && reason.notification.code === NotificationCode.cease;
    this.#log[wanted ? "info" : "warn"]("BGP session down", { ...fields });
  }

  #failed(fields: object, words: string): void {
    const isNews = this.#logged.size < maxReasons && !this.#logged.has(words);
    if (isNews) this.#logged.add(words);
    this.#log[isNews ? "warn" : "debug"]("BGP session not established", { ...fields });
  }
}
