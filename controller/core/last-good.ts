import type { Allocator } from "#pkg/allocator";
import { backOff, type Millis } from "#pkg/clock";
import { PartOf } from "#pkg/core";
import type { Service } from "#pkg/k8s";
import type { HeldTogether, Holdings, LiveConfig } from "#pkg/live-config";
import { recordedHoldings } from "#pkg/service";
import { type Contest, contested } from "./contest.ts";
import type { Context } from "./context.ts";
import type { WriteFailure } from "./events.ts";
import { type Refusals, refusedAgain, textOf } from "./statuses/write-failure.ts";
import type { ConfigWait } from "./waiting/config-wait.ts";

/** Which configuration is in force, and what became of the ConfigMap's. */
export interface Configuration {
  readonly live: LiveConfig;
  readonly record: LastGoodRecord;
  readonly wait: ConfigWait;
  readonly touched: Set<string>; // Services that appeared, changed or went in this step, or hold other addresses
}

/** Which Service holds what. */
export class HeldAddresses implements Holdings {
  private readonly allocator: Pick<Allocator, "held" | "mayHoldSeveral">;
  private readonly known: ReadonlyMap<string, Service>;

  constructor(allocator: Pick<Allocator, "held" | "mayHoldSeveral">, known: ReadonlyMap<string, Service>) {
    this.allocator = allocator;
    this.known = known;
  }

  services(): Iterable<string> {
    return this.known.keys();
  }

  /** By its status and by what it was given since; both count, because the second will be the first in a moment. */
  of(key: string): readonly HeldTogether[] {
    const service = this.known.get(key);
    if (service === undefined) return [];
    return [
      recordedHoldings(service),
      { addresses: this.allocator.held(key)?.addresses ?? [], mayHoldSeveral: this.allocator.mayHoldSeveral(key) },
    ];
  }
}

const minRetryMs: Millis = 200;
const maxRetryMs: Millis = 30_000;
const maxUnheard = 4;

/** The last good configuration in `ingot-status`: it is ours, and put right when somebody else changes it, later each time. */
export class LastGoodRecord extends PartOf<Context> {
  /** The text that is there. */
  text: string | undefined;
  /** Why it is not written. */
  refusals: Refusals | undefined;
  private readonly unheard: string[] = []; // Texts of the last writes, which the watch may tell of late.
  private isWriting = false;
  private isStopped = false;
  private failures = 0; // In a row.
  private contest: Contest | undefined;
  private due: Millis = Infinity;
  private hasSummary = false; // One of version 0.1.0 is beside the text, and goes.

  get deadline(): Millis {
    return this.isWriting || this.isStopped ? Infinity : this.due;
  }

  /** Another text may have to be there. */
  changed(): void {
    this.due = this.context.now;
  }

  /** The ConfigMap was seen. @returns whether another process insists on the text: it has overwritten this one's before, so it is no edit of a person */
  saw(text: string | undefined, hasSummary: boolean): boolean {
    if (hasSummary && !this.hasSummary) this.changed();
    this.hasSummary = hasSummary;
    const heard = this.unheard.indexOf(text ?? "");
    this.unheard.splice(0, heard + 1);
    const isOurs = heard >= 0 || text === this.text;
    this.text = text;
    if (isOurs) return false;
    if (text === undefined) {
      this.changed();
      return false;
    }
    this.contest = contested(this.contest, this.context);
    this.due = Math.min(this.due, this.contest.until);
    return this.contest.count > 1;
  }

  /** Has the text in force written, where it is not there and a write is due. */
  work(inForce: string | undefined): void {
    if (this.deadline > this.context.now) return;
    this.due = Infinity;
    if (inForce === undefined || (inForce === this.text && !this.hasSummary)) return;
    this.isWriting = true;
    if (this.unheard.push(inForce) > maxUnheard) this.unheard.shift();
    this.context.do({ type: "writeLastGood", secretText: inForce });
  }

  ended(text: string, failure: WriteFailure | undefined): void {
    const { now, random } = this.context;
    this.isWriting = false;
    if (failure === undefined) {
      if (this.failures > 0) this.context.log("info", "the last good configuration is saved again", {});
      Object.assign(this, { text, hasSummary: false, failures: 0, refusals: undefined });
      return;
    }
    if (this.failures++ === 0)
      this.context.log("error", "failed to save the last good configuration", { op: "writeStatus", error: textOf(failure) });
    this.refusals = refusedAgain(this.refusals, failure, now);
    if (this.due === Infinity) this.due = now + backOff(this.failures - 1, minRetryMs, maxRetryMs, random);
  }

  stop(): void {
    this.isStopped = true;
  }
}
