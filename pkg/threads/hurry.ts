import { type Allowance, type Clock, type Millis, Tokens } from "#pkg/clock";
import { becomeOrdinary, hurryMainThread } from "#pkg/linux";

/** So a neighbor whose sessions fail all the time takes a tenth of a processor at most. */
const allowed: Allowance = { burst: 1, everyMs: 1_000 };
const hurryMs: Millis = 100;

/**
 * Has the main thread run before all that is not real-time when it has to act on what a thread found: a failure. On a busy node it would wait
 * for a processor for as long as the failure took to be found.
 */
export class Hurry {
  readonly #clock: Clock;
  readonly #allowed: Tokens;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#allowed = new Tokens(allowed, clock.now());
  }

  /** To be called after the message that `calmDownSoon` follows was posted: from then on the main thread is certain to end its hurry. */
  begin(): void {
    if (this.#allowed.take(this.#clock.now())) hurryMainThread();
  }
}

let calming: NodeJS.Timeout | undefined;

/** Ends the main thread's hurry after a tenth of a second: by then it has acted on an ordinary failure. To be called by the main thread. */
export function calmDownSoon(): void {
  calming ??= setTimeout(() => {
    calming = undefined;
    becomeOrdinary();
  }, hurryMs).unref();
  calming.refresh();
}
