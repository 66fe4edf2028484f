import type { Millis } from "#pkg/clock";

/** Shorter ones make no packet late enough to matter: intervals are 10 ms or longer. */
const least: Millis = 5;
/** More than fall into the detection time of a session that is fast. */
const maxKept = 16;

/**
 * How long the thread has stood still lately, as where the machine held it up. The peers may have stood still at the same time, such as virtual machines on
 * one host: their packets come a moment after this thread goes on, and not during the stall.
 */
export class Stalls {
  readonly #recent: { readonly endedAt: Millis; readonly ms: Millis }[] = [];

  /** The thread goes on, so long after a deadline. */
  note(late: Millis, now: Millis): void {
    if (late < least) return;
    this.#recent.push({ endedAt: now, ms: late });
    if (this.#recent.length > maxKept) this.#recent.shift();
  }

  /** @returns for how long it has stood still since then; 0 where it met its deadlines, but for some milliseconds */
  since(start: Millis): Millis {
    let sum = 0;
    for (let at = this.#recent.length - 1; at >= 0; at--) {
      const { endedAt = start, ms = 0 } = this.#recent[at] ?? {};
      if (endedAt <= start) break; // None before it ended later.
      sum += Math.min(ms, endedAt - start);
    }
    return sum;
  }
}
