import type { Clock, Millis } from "./clock.ts";

/** Resolves once `duration` is over; earlier when `signal` aborts. */
export function sleep(clock: Clock, name: string, duration: Millis, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      timer[Symbol.dispose]();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.schedule(name, clock.now() + duration, done);
    signal?.addEventListener("abort", done);
  });
}

/** One timer for the next deadline. It runs `due` once for each time it is set, never after disposal. */
export class Alarm implements Disposable {
  readonly #clock: Clock;
  readonly #name: string;
  readonly #due: () => void;
  #timer: Disposable | undefined;
  #at: Millis = Infinity;

  constructor(clock: Clock, name: string, due: () => void) {
    this.#clock = clock;
    this.#name = name;
    this.#due = due;
  }

  /** When it runs; `Infinity` while it is not set. */
  get at(): Millis {
    return this.#at;
  }

  /** Runs at `at` instead of when it was set to before; `Infinity` unsets it. */
  set(at: Millis): void {
    if (at === this.#at) return;
    this.#timer?.[Symbol.dispose]();
    this.#at = at;
    this.#timer = at === Infinity ? undefined : this.#clock.schedule(this.#name, at, this.#run);
  }

  /**
   * Runs at `at` or earlier: a timer that is due before stays. A state machine that answers early timers with nothing uses this
   * where deadlines move later all the time, since setting a timer again costs more than a turn with nothing due.
   */
  setNoLater(at: Millis): void {
    if (at < this.#at) this.set(at);
  }

  [Symbol.dispose](): void {
    this.set(Infinity);
  }

  readonly #run = (): void => {
    this.#timer = undefined;
    this.#at = Infinity;
    this.#due();
  };
}
