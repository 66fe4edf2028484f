import type { Millis } from "#pkg/clock";

// `kubectl apply` writes its objects one after the other, some milliseconds apart: a change of several objects is one change.
const quietMs: Millis = 200;
// Somebody who changes objects over and over keeps no change from being used.
const longestMs: Millis = 2_000;
// On a slow machine `kubectl apply` makes a pause of its own after every few objects. Two changes may follow one another at once; more of them
// count this far apart.
const apartMs: Millis = longestMs;
// 1,000 objects have 170,000 characters, and reading them takes half a second of a processor: a seventh of the time at most goes into it while
// somebody deletes them one after the other. Where a process gets a twentieth of a processor, what is read for nothing keeps it from all else.
const msPerCharacter = 0.02;
// The more objects there are, the longer a pause among them is waited for: on a busy machine `kubectl apply` makes pauses of its own.
const quietMsPerCharacter = 0.005;
const longestQuietMs: Millis = 1_000;

/** When changes that come one after the other count as one. */
export class Settling {
  #first: Millis = Infinity;
  #last: Millis = -Infinity;
  /** Time that reading the last configuration is worth, and when all readings so far are paid for. */
  #cost: Millis = 0;
  #paid: Millis = -Infinity;
  #quiet = quietMs;
  /** When all readings so far have been `apartMs` apart. */
  #apart: Millis = -Infinity;

  /** Something changed. */
  changed(now: Millis): void {
    this.#first = Math.min(this.#first, now);
    this.#last = now;
  }

  /**
   * When all that has changed counts; `Infinity` while nothing has. Objects that are read while changes go on are likely to be
   * read again: one reading is left over for the last of the changes.
   */
  get deadline(): Millis {
    if (this.#first === Infinity) return Infinity;
    const afterPause = Math.max(this.#last + this.#quiet, this.#paid - this.#cost, this.#apart - apartMs);
    const atLatest = Math.max(this.#first + longestMs, this.#paid + 2 * this.#cost);
    return Math.min(afterPause, atLatest);
  }

  /** It counts. */
  done(): void {
    this.#first = Infinity;
  }

  /** A configuration of that many characters is going to be read. */
  offered(now: Millis, length: number): void {
    this.#cost = length * msPerCharacter;
    this.#paid = Math.max(this.#paid, now) + this.#cost;
    this.#apart = Math.max(this.#apart, now) + apartMs;
    this.#quiet = Math.min(longestQuietMs, Math.max(quietMs, length * quietMsPerCharacter));
  }
}
