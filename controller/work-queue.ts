import { backOff, type Clock, type Millis, type Random } from "#pkg/clock";
import { DistinctQueue } from "#pkg/queue";

/**
 * `retry`: not done, perhaps through a fault of the key's own; try it again later. `unavailable`: what all keys need cannot be reached; until
 * it can, one key at a time is tried, and seldom. `at`: not done, and not to be tried before then.
 */
export type Outcome = "done" | "retry" | "unavailable" | { readonly at: Millis };

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
const maxTurnMs: Millis = 5;

/** The keys of one namespace: what is before the first "/" of each, all of them where there is none. */
interface Namespace {
  readonly waiting: DistinctQueue<string>;
  working: number;
}

/**
 * Works on keys in the order in which they were added, the namespaces taking turns. A key that waits is not added twice; one that is being
 * worked on is never worked on a second time beside it, but once more afterwards. Adding a key that failed ends the wait for its next try.
 * A key that fails gives its place up, and no namespace takes more places than are left for the others, so that one whose work is slow or
 * fails does not hold up the rest.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #namespaces = new Map<string, Namespace>(); // those with keys that wait or are worked on, in turn
  readonly #working = new Set<string>();
  readonly #again = new Set<string>(); // added while being worked on
  readonly #retries = new Map<string, { attempts: number; timer: Disposable | undefined }>(); // key -> failures in a row
  #scheduled: Disposable | undefined;
  #unavailable: { readonly attempts: number; readonly until: Millis } | undefined;
  #paused = false;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#retries.get(key)?.timer?.[Symbol.dispose]();
    if (this.#working.has(key)) this.#again.add(key);
    else this.#namespace(key).waiting.push(key);
    this.#schedule();
  }

  /** Starts nothing until `resume`. What is being worked on goes on. */
  pause(): void {
    this.#paused = true;
    this.#scheduled?.[Symbol.dispose]();
    this.#scheduled = undefined;
  }

  resume(): void {
    this.#paused = false;
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

  #namespace(key: string): Namespace {
    const name = namespaceOf(key);
    const namespace = this.#namespaces.get(name) ?? { waiting: new DistinctQueue<string>(), working: 0 };
    this.#namespaces.set(name, namespace);
    return namespace;
  }

  #schedule(): void {
    if (this.#scheduled !== undefined || this.#paused || this.#closed || this.#next() === undefined) return;
    const now = this.#options.clock.now();
    const at = Math.max(now, this.#unavailable?.until ?? now);
    this.#scheduled = this.#options.clock.schedule(at > now ? "work queue pause" : "work queue", at, () => {
      this.#scheduled = undefined;
      this.#start();
      this.#schedule();
    });
  }

  #start(): void {
    const { clock } = this.#options;
    const until = clock.now() + maxTurnMs;
    for (let started = 0; started < maxPerTurn && (started === 0 || clock.now() < until); started++) {
      const next = this.#paused ? undefined : this.#next(); // What is worked on may put another configuration in force.
      if (next === undefined) return;
      const [name, namespace] = next;
      const key = namespace.waiting.shift();
      if (key === undefined) return;
      this.#namespaces.delete(name); // To the end: the others come first.
      this.#namespaces.set(name, namespace);
      namespace.working++;
      this.#working.add(key);
      const outcome = this.#options.work(key);
      if (outcome instanceof Promise) void outcome.then((late) => this.#finish(key, late));
      else this.#finish(key, outcome);
    }
  }

  /** Whose key is to be worked on next, if there is one and a place for it. */
  #next(): [name: string, namespace: Namespace] | undefined {
    const free = (this.#unavailable === undefined ? this.#options.concurrency : 1) - this.#working.size;
    if (free <= 0) return undefined;
    for (const [name, namespace] of this.#namespaces)
      if (namespace.waiting.size > 0 && namespace.working < Math.max(2, free)) return [name, namespace];
    return undefined;
  }

  #finish(key: string, outcome: Outcome): void {
    this.#working.delete(key);
    const namespace = this.#namespace(key);
    namespace.working--;
    if (this.#working.size === 0) this.#idle?.();
    if (outcome === "done") this.#retries.delete(key);
    if (outcome === "unavailable") this.#pause();
    else this.#resume();
    if (this.#again.delete(key) || (outcome === "unavailable" && !this.#closed)) namespace.waiting.push(key);
    else if (outcome !== "done" && !this.#closed) this.#retryLater(key, typeof outcome === "object" ? outcome.at : undefined);
    if (namespace.waiting.size === 0 && namespace.working === 0) this.#namespaces.delete(namespaceOf(key));
    this.#schedule();
  }

  #pause(): void {
    const { clock, random } = this.#options;
    const now = clock.now();
    if (this.#unavailable !== undefined && now < this.#unavailable.until) return; // Many fail at once.
    const attempts = this.#unavailable?.attempts ?? 0;
    this.#unavailable = { attempts: attempts + 1, until: now + backOff(attempts, minRetryMs, maxRetryMs, random) };
  }

  #resume(): void {
    if (this.#unavailable === undefined) return;
    this.#unavailable = undefined;
    this.#scheduled?.[Symbol.dispose]();
    this.#scheduled = undefined;
  }

  #retryLater(key: string, notBefore?: Millis): void {
    const { clock, random } = this.#options;
    const attempts = this.#retries.get(key)?.attempts ?? 0;
    const at = notBefore ?? clock.now() + backOff(attempts, minRetryMs, maxRetryMs, random);
    const failures = notBefore === undefined ? attempts + 1 : attempts;
    this.#retries.set(key, { attempts: failures, timer: clock.schedule("retry", at, () => this.add(key)) });
  }
}

function namespaceOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf("/")));
}
