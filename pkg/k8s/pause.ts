import type { Clock, Millis } from "#pkg/clock";

/** Waits; ends early when `signal` aborts. */
export function pause(clock: Clock, name: string, duration: Millis, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      timer[Symbol.dispose]();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.schedule(name, clock.now() + duration, done);
    signal.addEventListener("abort", done);
  });
}
