import type { Clock } from "#pkg/clock";
import type { Fields, Log } from "#pkg/log";
import type { MemberView } from "./member-view.ts";
import type { MemberlistError } from "./memberlist-error.ts";
import { nodeNameText } from "./messages.ts";
import { problemAdvice } from "./problem-advice.ts";
import type { Effect, MemberEvent } from "./ring/events.ts";
import { socketAddress } from "./socket-address.ts";
import { SparingLog } from "./sparing-log.ts";

/** What can go wrong with one peer time and again. */
type Trouble = Extract<Effect, { readonly type: "conflict" | "packetsLost" | "exchangeProblem" }>;

/** What a ring's operator reads: each change of membership, and each cause of trouble once with what to do about it. */
export class RingLog {
  readonly #log: Log;
  readonly #sparing: SparingLog;

  constructor(log: Log, clock: Clock) {
    this.#log = log.with({ op: "memberlist" });
    this.#sparing = new SparingLog(this.#log, clock);
  }

  changed(change: MemberEvent["change"], { name, address, self }: MemberView): void {
    const fields = { member: name, address };
    if (change === "refuted" && self) {
      const advice = "look for loss in this node's network and for a lack of CPU: it was slow to answer";
      this.#sparing.warn("this member was suspected by others", name, { ...fields, advice });
    } else if (change === "failed") this.#log.warn("member failed", fields);
    else if (change === "joined" || change === "left") this.#log.info(`member ${change}`, fields);
    else this.#log.debug(`member ${change}`, fields);
  }

  /** `because`: the member that keeps the ring from being fast; `self` where it is this one. */
  timingChanged(timing: string, because: string | undefined, self: boolean): void {
    const advice = "look for a lack of CPU on this node, and at this process's limit: it does not run when it has to";
    this.#log.info("memberlist timing changed", { timing, because, ...(self && { advice }) });
  }

  trouble(trouble: Trouble): void {
    if (trouble.type === "exchangeProblem") {
      const peer = socketAddress(trouble.with).address;
      this.#sparing.warn("memberlist exchange failed", peer, { peer, reason: trouble.reason });
      return;
    }
    const member = nodeNameText(trouble.node);
    if (trouble.type === "packetsLost") {
      const advice = "let memberlist's port through for UDP too, in both directions";
      this.#sparing.warn("member answers over TCP alone", member, { member, advice });
    } else {
      const fields = { member, known: socketAddress(trouble.known), claimed: socketAddress(trouble.claimed) };
      const advice = "look for two nodes of one name; a failed member's name is free for another address after a minute";
      this.#sparing.warn("member name is used twice", member, { ...fields, advice });
    }
  }

  /** Something arrived from `peer` and could not be understood. */
  refused(peer: string, transport: "UDP" | "TCP", error: MemberlistError): void {
    const { reason } = error;
    const fields: Fields = { peer, transport, reason, error, advice: problemAdvice[reason] };
    this.#sparing.warn("memberlist message refused", `${peer} ${reason}`, fields);
  }

  notSent(peer: string, error: Error): void {
    this.#sparing.warn("memberlist packet was not sent", peer, { peer, error });
  }

  socketFailed(error: Error): void {
    this.#sparing.warn("memberlist socket failed", error.message, { error });
  }
}
