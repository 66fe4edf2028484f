import type { Millis } from "#pkg/clock";
import type { Log } from "#pkg/log";
import { NotificationCode } from "../codec/notification-error.ts";
import type { Effect } from "../session/events.ts";
import { describeReason } from "../session/reason.ts";
import type { Reason, Session } from "../session/state.ts";
import { type PeerView, seconds } from "./peer-view.ts";

// Reasons are few, but the peer has a part in their words.
const reasonsKept = 16;

/** Says one line of each change of state. What fails again for the same reason is said once, and then to those who debug. */
export class SessionLog {
  readonly #log: Log;
  readonly #said = new Set<string>(); // Why it failed, since a session was established.
  #forgave = false; // In this session.

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
      this.#said.clear();
      this.#forgave = false;
      this.#log.info("BGP session established", { ...fields, event: "sessionUp", ...agreement });
    } else if (from === "established") this.#down({ ...fields, event: "sessionDown" }, reason);
    else if (fields.reason !== undefined) this.#failed({ ...fields, event: "sessionFailed" }, fields.reason);
    else this.#log.debug("BGP session changed its state", fields);
  }

  refused(because: string): void {
    this.#log.debug("connection of the peer refused", { event: "connectionRefused", reason: because });
  }

  /** Said once in a session: a peer may send the same error with every prefix. */
  forgiven(errors: readonly string[]): void {
    const level = this.#forgave ? "debug" : "warn";
    this.#log[level]("errors in an UPDATE of the peer were passed over", { event: "updateForgiven", errors });
    this.#forgave = true;
  }

  #down(fields: object, reason: Reason | undefined): void {
    const wanted = reason?.type === "sent" && reason.notification.code === NotificationCode.cease;
    this.#log[wanted ? "info" : "warn"]("BGP session down", { ...fields });
  }

  #failed(fields: object, words: string): void {
    this.#log[this.#said.has(words) ? "debug" : "warn"]("BGP session not established", { ...fields });
    if (this.#said.size < reasonsKept) this.#said.add(words);
  }
}
