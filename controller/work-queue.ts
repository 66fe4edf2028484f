import { backOff, type Clock, type Millis, type Random } from "#pkg/clock";

/** `retry`: not done, through no fault of the key's; try again later. */
export type Outcome = "done" | "retry";

export interface WorkQueueOptions {
  /** Must not fail: an error that it throws, or rejects with, is not caught here. */
  readonly work: (key: string) => Outcome | Promise<Outcome>;
  /** How many keys may be waited for at once. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly random: Random;
}

const minRetryMs: Millis = 200;
const maxRetryMs: Millis = 30_000;
// What is done in one go between other tasks of the process, such as reading from the API.
const maxPerTurn = 200;

/**
 * Works on keys in the order in which they were added. A key that waits is not added twice; one that is being worked on is never
 * worked on a second time beside it, but once more afterwards. Adding a key that failed ends the wait for its next try.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #working = new Set<string>();
  readonly #again = new Set<string>(); // added while being worked on
  readonly #retries = new Map<string, { attempts: number; timer: Disposable | undefined }>(); // key -> failures in a row
  #scheduled: Disposable | undefined;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#retries.get(key)?.timer?.[Symbol.dispose]();
    if (this.#working.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#schedule();
  }

  /** Starts nothing more. Resolves when nothing is being worked on any more, or at `deadline`. */
  async close(deadline: Millis): Promise<void> {
    this.#closed = true;
    this.#scheduled?.[Symbol.dispose]();
    for (const { timer } of this.#retries.values()) timer?.[Symbol.dispose]();
    if (this.#working.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    using _ = this.#options.clock.schedule("work queue deadline", deadline, resolve);
    await promise;
  }

  #schedule(): void {
    if (this.#scheduled !== undefined || this.#closed || this.#waiting.size === 0) return;
    if (this.#working.size >= this.#options.concurrency) return;
    this.#scheduled = this.#options.clock.schedule("work queue", this.#options.clock.now(), () => {
      this.#scheduled = undefined;
      this.#start();
      this.#schedule();
    });
  }

  #start(): void {
    let started = 0;
    for (const key of this.#waiting) {
      if (started++ === maxPerTurn || this.#working.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#working.add(key);
      const outcome = this.#options.work(key);
      if (typeof outcome === "string") this.#finish(key, outcome);
      else void outcome.then((late) => this.#finish(key, late));
    }
  }

  #finish(key: string, outcome: Outcome): void {
    this.#working.delete(key);
    if (this.#working.size === 0) this.#idle?.();
    if (outcome === "done") this.#retries.delete(key);
    if (this.#again.delete(key)) this.#waiting.add(key);
    else if (outcome === "retry" && !this.#closed) this.#retryLater(key);
    this.#schedule();
  }

  #retryLater(key: string): void {
    const { clock, random } = this.#options;
    const attempts = this.#retries.get(key)?.attempts ?? 0;
    const at = clock.now() + backOff(attempts, minRetryMs, maxRetryMs, random);
    this.#retries.set(key, { attempts: attempts + 1, timer: clock.schedule("retry", at, () => this.add(key)) });
  }
}
