import { Alarm, type Clock, forOneTurn, type Millis, type Random } from "#pkg/clock";
import { type Outcome, WorkPlan } from "./core/index.ts";

export interface WorkQueueOptions {
  /**
   * Must not fail: an error that it throws, or rejects with, is not caught here. Work that waits for nothing says nothing about an outage.
   */
  readonly work: (key: string) => Outcome | Promise<Outcome>;
  /** How many keys may be waited for at once. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Works on keys in the order of a `WorkPlan`. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #plan: WorkPlan;
  readonly #turn: Alarm;
  readonly #pause: Alarm;
  #idle: (() => void) | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#plan = new WorkPlan(options.concurrency, options.random);
    this.#turn = new Alarm(options.clock, "work queue", () => this.#start());
    this.#pause = new Alarm(options.clock, "work queue pause", () => this.#start());
  }

  add(key: string): void {
    this.#plan.add(key);
    this.#schedule();
  }

  /** Starts nothing more. Resolves when nothing is being worked on any more, or at `deadline`. */
  async close(deadline: Millis): Promise<void> {
    this.#plan.close();
    this.#schedule();
    if (this.#plan.working === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle = resolve;
    using _ = this.#options.clock.schedule("work queue deadline", deadline, resolve);
    await promise;
  }

  #schedule(): void {
    const now = this.#options.clock.now();
    if (this.#turn.at <= now) return; // As nearly always while keys are added; what is due takes a look at the namespaces.
    const at = this.#plan.deadline;
    this.#turn.set(at <= now ? now : Infinity);
    this.#pause.set(at <= now ? Infinity : at);
  }

  #start(): void {
    const { clock, work } = this.#options;
    forOneTurn(clock, () => {
      const begun = this.#plan.begin(clock.now());
      if (begun === undefined) return false;
      const outcome = work(begun.key);
      if (outcome instanceof Promise) {
        this.#plan.goesOn(begun, clock.now());
        void outcome.then((late) => this.#ended(begun.key, late));
      } else this.#plan.end(begun.key, outcome, clock.now());
      return true;
    });
    this.#schedule();
  }

  #ended(key: string, outcome: Outcome): void {
    this.#plan.endLate(key, outcome, this.#options.clock.now());
    if (this.#plan.working === 0) this.#idle?.();
    this.#schedule();
  }
}
