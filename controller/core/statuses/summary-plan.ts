import { backOff, type Millis } from "#pkg/clock";
import { Part } from "#pkg/core";
import { type Contest, contested } from "../contest.ts";
import type { Context } from "../context.ts";
import type { SummarySeen } from "../events.ts";

// Changes within this time are written together.
const gatherMs: Millis = 3_000;
// Every speaker follows this ConfigMap: a long summary is sent to all of them each time.
const msPerKiB: Millis = 100;
const minRetryMs: Millis = 5_000;
const maxRetryMs: Millis = 300_000;

/** When the summary of the cluster's state is written into the ConfigMap `ingot-status`: some seconds after a change. */
export class SummaryPlan extends Part {
  private readonly context: Context;
  private phase: "idle" | "collecting" | "writing" | "stopped" = "idle";
  private due: Millis = Infinity;
  private notBefore: Millis = -Infinity;
  private hasChanged = false; // Since it was collected last.
  private seen: SummarySeen = { hash: "", lastGoodBytes: 0 };
  private failures = 0;
  private written: string | undefined; // The hash of the summary that was collected last to be written.
  private contest: Contest | undefined;

  constructor(context: Context) {
    super();
    this.context = context;
  }

  get deadline(): Millis {
    return this.due;
  }

  /** Something may be different from what the summary says. */
  changed(): void {
    this.hasChanged = true;
    if (this.phase === "idle") this.due = Math.min(this.due, Math.max(this.context.now + gatherMs, this.notBefore));
  }

  /** The ConfigMap was seen: somebody else may have written into it. */
  saw(seen: SummarySeen, isWorking: boolean): void {
    const isSame = seen.hash === this.seen.hash || seen.hash === this.written;
    this.seen = seen;
    if (isSame || !isWorking) return;
    this.contest = contested(this.contest, this.context);
    this.notBefore = Math.max(this.notBefore, this.contest.until);
    this.changed();
  }

  /** Has the summary collected where it is due. */
  work(): void {
    if (this.due > this.context.now) return;
    Object.assign(this, { phase: "collecting", due: Infinity, hasChanged: false });
    this.context.do({ type: "collectSummary", lastGoodBytes: this.seen.lastGoodBytes });
  }

  /** The summary was collected. @param hash undefined where there is no room for it */
  collected(hash: string | undefined): void {
    if (this.phase !== "collecting") return;
    if (hash !== undefined && hash !== this.seen.hash) {
      this.phase = "writing";
      this.written = hash;
      this.context.do({ type: "writeSummary" });
      return;
    }
    this.failures = 0;
    this.#end();
  }

  /** The write of the summary ended. */
  wrote(write: { readonly hash: string; readonly bytes: number } | undefined): void {
    if (this.phase !== "writing") return;
    const { now, random } = this.context;
    if (write === undefined) {
      this.notBefore = now + backOff(this.failures++, minRetryMs, maxRetryMs, random);
      this.hasChanged = true;
    } else {
      this.seen = { ...this.seen, hash: write.hash };
      this.notBefore = now + gatherMs + (write.bytes >> 10) * msPerKiB;
      this.failures = 0;
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
