import type { Millis } from "#pkg/clock";
import type { Log } from "#pkg/log";
import { NotificationCode } from "./codec/notification-codes.ts";
import type { PeerView } from "./peer-view.ts";
import type { Effect } from "./session/events.ts";
import { describeReason, type Reason } from "./session/reason.ts";
import type { Session } from "./session/state.ts";

/** Says one line of each change of state. What fails again for the same reason is said once, and then to those who debug. */
export class SessionLog {
  readonly #log: Log;
  #said: string | undefined; // The last failure, since a session was established.
  #forgave: string | undefined;

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
      ...{ event: "sessionState", from, to, reason: reason && describeReason(reason) },
      retryInSeconds: retryAt === Infinity ? undefined : Math.round((retryAt - now) / 100) / 10,
    };
    if (to === "established") {
      this.#said = undefined;
      this.#log.info("BGP session established", { ...fields, event: "sessionUp", ...agreement });
    } else if (from === "established") this.#down({ ...fields, event: "sessionDown" }, reason);
    else if (reason !== undefined) this.#failed({ ...fields, event: "sessionFailed" }, fields.reason);
    else this.#log.debug("BGP session changed its state", fields);
  }

  refused(because: string): void {
    this.#log.debug("connection of the peer refused", { event: "connectionRefused", reason: because });
  }

  /** Said once while it is the same. */
  forgiven(what: readonly string[]): void {
    const words = what.join("; ");
    if (words === this.#forgave) return;
    this.#forgave = words;
    this.#log.warn("errors in an UPDATE of the peer were passed over", { event: "updateForgiven", errors: what });
  }

  #down(fields: object, reason: Reason | undefined): void {
    const wanted = reason?.type === "sent" && reason.notification.code === NotificationCode.cease;
    this.#log[wanted ? "info" : "warn"]("BGP session down", { ...fields });
  }

  #failed(fields: object, words: string | undefined): void {
    this.#log[words === this.#said ? "debug" : "warn"]("BGP session not established", { ...fields });
    this.#said = words;
  }
}
