import { backOff, type Millis } from "#pkg/clock";
import { PartOf } from "#pkg/core";
import type { Context } from "../context.ts";

/**
 * Trials during an outage, each kind at its own pace: the key that was added last among those that have not failed so far, these keys in
 * turn, and the failed keys in turn.
 */
export type Trial = "newest" | "first" | "repeated";

// That many keys that fail with no success between are not the fault of one or two of them; fewer wait for themselves alone.
const minKeys = 5;
const minPauseMs: Millis = 200;
// The newest key is the least likely to fail for the reason of the keys before it. If it does not, its owner has waited for no more than
// that.
const maxPauseMs: Readonly<Record<Trial, Millis>> = { newest: 1_000, first: 2_000, repeated: 5_000 };

/**
 * Tells from failures whether what all keys need is out of reach, and when the next key is to be tried then. One success ends it, so that
 * several keys which fail for themselves, and are taken for an outage, cost the others a moment.
 */
export class Outage extends PartOf<Pick<Context, "random">> {
  private readonly failing = new Set<string>(); // keys that have failed since the last success, up to `minKeys`
  private trials: { readonly count: number; readonly next: Readonly<Record<Trial, Millis>> } | undefined;

  get isOn(): boolean {
    return this.trials !== undefined;
  }

  /** When the next of these is to be tried; while there is no outage, at any time. */
  next(trial: Trial): Millis {
    return this.trials?.next[trial] ?? -Infinity;
  }

  /** One of these is tried now. */
  tried(trial: Trial, now: Millis): void {
    if (this.trials === undefined) return;
    const { count, next } = this.trials;
    const pause = backOff(count + 1, minPauseMs, maxPauseMs[trial], this.context.random);
    this.trials = { count: count + 1, next: { ...next, [trial]: now + pause } };
  }

  /** The work on a key failed for want of the API. @param until nothing is to be tried before, if the error says so */
  failed(key: string, now: Millis, until: Millis): void {
    if (this.failing.size < minKeys) this.failing.add(key);
    if (this.failing.size < minKeys) return;
    const soon = now + backOff(0, minPauseMs, minPauseMs, this.context.random);
    const { count, next } = this.trials ?? { count: 0, next: { newest: soon, first: soon, repeated: soon } };
    const later = (at: Millis) => Math.max(at, until);
    this.trials = { count, next: { newest: later(next.newest), first: later(next.first), repeated: later(next.repeated) } };
  }

  /** The work on a key succeeded. */
  succeeded(): void {
    this.failing.clear();
    this.trials = undefined;
  }
}
