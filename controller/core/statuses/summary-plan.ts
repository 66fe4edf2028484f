import { backOff, type Millis } from "#pkg/clock";
import { PartOf } from "#pkg/core";
import { type Contest, contested } from "../contest.ts";
import type { Context } from "../context.ts";
import type { ControllerEvent } from "../events.ts";
import { type Refusals, refusedAgain } from "./write-failure.ts";

// Changes within this time are written together.
const gatherMs: Millis = 3_000;
// Everybody who follows this ConfigMap gets all of it each time.
const msPerKiB: Millis = 100;
const minRetryMs: Millis = 5_000;
const maxRetryMs: Millis = 60_000; // Until then a refusal is told of that somebody has mended.

/** When the summary of the cluster's state is written into the ConfigMap `ingot-summary`: some seconds after a change. */
export class SummaryPlan extends PartOf<Context> {
  private phase: "idle" | "collecting" | "writing" | "stopped" = "idle";
  private due: Millis = Infinity;
  private notBefore: Millis = -Infinity;
  private hasChanged = false; // Since it was collected last.
  private seen = ""; // The hash of the summary that is there.
  private failures = 0;
  private written: string | undefined; // The hash of the summary that was collected last to be written.
  private contest: Contest | undefined;
  /** Why it is not written. */
  refusals: Refusals | undefined;

  get deadline(): Millis {
    return this.due;
  }

  /** Something may be different from what the summary says. */
  changed(): void {
    this.hasChanged = true;
    if (this.phase === "idle") this.due = Math.min(this.due, Math.max(this.context.now + gatherMs, this.notBefore));
  }

  /** The ConfigMap was seen: somebody else may have written into it. */
  saw(hash: string, isWorking: boolean): void {
    const isSame = hash === this.seen || hash === this.written;
    this.seen = hash;
    if (isSame || !isWorking) return;
    this.contest = contested(this.contest, this.context);
    this.notBefore = Math.max(this.notBefore, this.contest.until);
    this.changed();
  }

  /** Has the summary collected where it is due. */
  work(): void {
    if (this.due > this.context.now) return;
    Object.assign(this, { phase: "collecting", due: Infinity, hasChanged: false });
    this.context.do({ type: "collectSummary" });
  }

  /** The summary was collected. */
  collected(hash: string): void {
    if (this.phase !== "collecting") return;
    if (hash !== this.seen) {
      this.phase = "writing";
      this.written = hash;
      this.context.do({ type: "writeSummary" });
      return;
    }
    this.failures = 0;
    this.#end();
  }

  /** The write of the summary ended. */
  wrote({ written, failure }: Extract<ControllerEvent, { type: "summaryWritten" }>): void {
    if (this.phase !== "writing") return;
    const { now, random } = this.context;
    if (failure !== undefined) this.refusals = refusedAgain(this.refusals, failure, now);
    if (written === undefined) {
      this.notBefore = now + backOff(this.failures++, minRetryMs, maxRetryMs, random);
      this.hasChanged = true;
    } else {
      this.seen = written.hash;
      this.notBefore = Math.max(now + gatherMs + (written.bytes >> 10) * msPerKiB, this.contest?.until ?? now);
      this.failures = 0;
      this.refusals = undefined;
    }
    this.#end();
  }

  stop(): void {
    Object.assign(this, { phase: "stopped", due: Infinity });
  }

  #end(): void {
    this.phase = "idle";
    if (this.hasChanged) this.changed();
  }
}
