import type { Millis } from "#pkg/clock";

// `kubectl apply` writes its objects one after the other, some milliseconds apart: a change of several objects is one change.
const quietMs: Millis = 200;
// Somebody who changes objects over and over keeps no change from being used.
const longestMs: Millis = 2_000;

/** When changes that come one after the other count as one. */
export class Settling {
  #first: Millis = Infinity;
  #last: Millis = -Infinity;

  /** Something changed. */
  changed(now: Millis): void {
    this.#first = Math.min(this.#first, now);
    this.#last = now;
  }

  /** When all that has changed counts; `Infinity` while nothing has. */
  get deadline(): Millis {
    return this.#first === Infinity ? Infinity : Math.min(this.#last + quietMs, this.#first + longestMs);
  }

  /** It counts. */
  done(): void {
    this.#first = Infinity;
  }
}
