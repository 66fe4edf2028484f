/** Takes plain numbers, refuses a value typed as another unit. */
export type Millis = number & { readonly unit?: "ms" };

/** The only source of time. Instants are monotonic: compare and subtract them, never print them as dates. */
export interface Clock {
  now(): Millis;
  /** Runs `fn` once, not before `at`; disposing cancels. `name` is what a simulation prints. */
  schedule(name: string, at: Millis, fn: () => void): Disposable;
}

// Above this setTimeout fires at once; a longer wait is made of several.
const maxTimeout = 2 ** 31 - 1;

/** The machine's monotonic clock. Its timers keep the process alive until they fire or are disposed. */
export class SystemClock implements Clock {
  now(): Millis {
    return performance.now();
  }

  schedule(_name: string, at: Millis, fn: () => void): Disposable {
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      timer = setTimeout(look, Math.min(Math.max(0, Math.ceil(at - this.now())), maxTimeout));
    };
    // The event loop counts whole milliseconds of its own, rounded down: one timer in thirty or so would run a little before `at`.
    const look = (): void => {
      if (this.now() < at) wait();
      else fn();
    };
    wait();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }
}

/** The date, for what people and the Kubernetes API read; never for measuring. */
export function wallClock(): Date {
  return new Date();
}

/** An instant as ISO 8601, by the present difference between the clock and the date. */
export function dateOf(clock: Pick<Clock, "now">, at: Millis): string {
  return new Date(wallClock().getTime() - (clock.now() - at)).toISOString();
}
