/**
 * Hands events one after another to `handle`: an event that is pushed while another is handled waits until that is done. So a state
 * machine never steps inside its own step, even if its effects cause events. `settled` runs when no event is left.
 */
export class EventQueue<E> {
  readonly #handle: (event: E) => void;
  readonly #settled: (() => void) | undefined;
  readonly #waiting: E[] = [];
  #handling = false;

  constructor(handle: (event: E) => void, settled?: () => void) {
    this.#handle = handle;
    this.#settled = settled;
  }

  /** An error of `handle` goes to the caller; what waits then is handled with the next event. */
  push(event: E): void {
    this.#waiting.push(event);
    if (this.#handling) return;
    this.#handling = true;
    try {
      while (this.#waiting.length > 0) this.#handle(this.#waiting.shift() as E);
    } finally {
      this.#handling = false;
    }
    this.#settled?.();
  }
}

const nothing = (): void => {};

/** Runs pieces of work one after another, in the order in which they were given. */
export class SerialQueue {
  #last: Promise<void> = Promise.resolve();

  /** @returns what the work gives or throws, which is nobody's but the caller's: it may have megabytes, so that none of it is kept here */
  run<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.then(nothing, nothing);
    return done;
  }
}
