import type { Millis } from "#pkg/clock";

// `kubectl apply` writes its objects one after the other, some milliseconds apart: a change of several objects is one change.
const quietMs: Millis = 200;
// Somebody who changes objects over and over keeps no change from being used.
const longestMs: Millis = 2_000;
// 1,000 objects have 170,000 characters, and reading them takes half a second of a processor: a seventh of the time at most goes into it while
// somebody deletes them one after the other.
const msPerCharacter = 0.02;

/** When changes that come one after the other count as one. */
export class Settling {
  #first: Millis = Infinity;
  #last: Millis = -Infinity;
  #earliest: Millis = -Infinity;

  /** Something changed. */
  changed(now: Millis): void {
    this.#first = Math.min(this.#first, now);
    this.#last = now;
  }

  /** When all that has changed counts; `Infinity` while nothing has. */
  get deadline(): Millis {
    if (this.#first === Infinity) return Infinity;
    return Math.max(this.#earliest, Math.min(this.#last + quietMs, this.#first + longestMs));
  }

  /** It counts. */
  done(): void {
    this.#first = Infinity;
  }

  /** A configuration of that many characters is going to be read. */
  offered(now: Millis, length: number): void {
    this.#earliest = now + length * msPerCharacter;
  }
}
