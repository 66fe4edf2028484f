import type { Clock, Millis } from "#pkg/clock";

/** Its `signal` aborts when time is up, with an error that says so, or when `outer` does. Disposing disarms it. */
export class Deadline implements Disposable {
  readonly #abort = new AbortController();
  readonly #timer: Disposable;
  readonly #outer: AbortSignal;

  constructor(clock: Clock, after: Millis, expired: string, outer: AbortSignal) {
    this.#outer = outer;
    this.#timer = clock.schedule(expired, clock.now() + after, () =>
      this.#abort.abort(new Error(`${expired} within ${Math.round(after / 1000)} s`)),
    );
    if (outer.aborted) this.#onOuter();
    else outer.addEventListener("abort", this.#onOuter);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#outer.removeEventListener("abort", this.#onOuter);
  }

  readonly #onOuter = (): void => this.#abort.abort(this.#outer.reason);
}
