import { Alarm, backOff, type Clock, type Millis, type Random } from "#pkg/clock";

export interface RetriedTaskOptions {
  /** Must not fail. @returns when it is due again, Infinity for never; `retry`: after a while, which grows with each */
  readonly work: () => Promise<Millis | "retry">;
  readonly clock: Clock;
  readonly random: Random;
}

const minRetryMs: Millis = 200;
const maxRetryMs: Millis = 30_000;

/** A task that runs on request, and again until it succeeds. It never runs twice at once. */
export class RetriedTask {
  readonly #options: RetriedTaskOptions;
  readonly #turn: Alarm;
  readonly #wait: Alarm;
  #running: Promise<void> | undefined;
  #isRequested = false;
  #isClosed = false;
  #failures = 0; // In a row.

  constructor(options: RetriedTaskOptions) {
    this.#options = options;
    this.#turn = new Alarm(options.clock, "work queue", () => {
      this.#running = this.#run();
    });
    this.#wait = new Alarm(options.clock, "retried task", () => this.request());
  }

  /** Runs it in the next turn; once more where it runs already. */
  request(): void {
    this.#isRequested = true;
    this.#wait.set(Infinity);
    if (this.#running === undefined && !this.#isClosed) this.#turn.setNoLater(this.#options.clock.now());
  }

  /** It does not begin any more. Resolves when it has ended, or at `deadline`. */
  async close(deadline: Millis): Promise<void> {
    this.#isClosed = true;
    for (const alarm of [this.#turn, this.#wait]) alarm[Symbol.dispose]();
    if (this.#running === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    using _ = this.#options.clock.schedule("end of a task", deadline, resolve);
    await Promise.race([promise, this.#running]);
  }

  async #run(): Promise<void> {
    const { work, clock, random } = this.#options;
    this.#isRequested = false;
    const due = await work();
    this.#running = undefined;
    this.#failures = due === "retry" ? this.#failures + 1 : 0;
    if (this.#isClosed) return;
    if (this.#isRequested) this.request();
    else this.#wait.set(due === "retry" ? clock.now() + backOff(this.#failures - 1, minRetryMs, maxRetryMs, random) : due);
  }
}
