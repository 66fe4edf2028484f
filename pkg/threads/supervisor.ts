import { backOff, type Clock, type Millis, type Random } from "#pkg/clock";

const firstRestartAfter: Millis = 50;
const mostRestartAfter: Millis = 10_000;
const steadyAfter: Millis = 60_000;

/** A thread as `Worker` is one: it emits `error` with the cause when it dies of one, and `exit` in the end. */
export interface Thread {
  on(event: "error", listener: (cause: unknown) => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
}

export interface SupervisorOptions<T extends Thread> {
  /** Starts a thread. What it throws counts as the death of that thread. */
  readonly spawn: () => T;
  /** Called for every death that was not asked for. `restartAfter` is the wait until the next thread. */
  readonly onDeath: (cause: unknown, restartAfter: Millis) => void;
  readonly clock: Clock;
  readonly random: Random;
}

/** Keeps one thread running: one that dies is followed by another, soon, then ever later if they keep dying young. */
export class Supervisor<T extends Thread> {
  readonly #options: SupervisorOptions<T>;
  #thread: T | undefined;
  #restart: Disposable | undefined;
  #deaths = 0;
  #stopped: PromiseWithResolvers<void> | undefined;

  constructor(options: SupervisorOptions<T>) {
    this.#options = options;
  }

  /** The thread that runs now; undefined between a death and the restart. */
  get thread(): T | undefined {
    return this.#thread;
  }

  start(): void {
    const { spawn, clock } = this.#options;
    this.#restart?.[Symbol.dispose](); // Somebody did not want to wait for it.
    const startedAt = clock.now();
    let cause: unknown;
    try {
      this.#thread = spawn();
    } catch (error) {
      this.#died(error, startedAt);
      return;
    }
    this.#thread.on("error", (error) => {
      cause = error;
    });
    this.#thread.on("exit", (code) => this.#died(cause ?? new Error(`Thread ended with code ${code}`), startedAt));
  }

  /** Starts no thread any more. @returns when the one that runs, which must be told, has ended */
  stop(): Promise<void> {
    this.#restart?.[Symbol.dispose]();
    this.#stopped ??= Promise.withResolvers();
    if (this.#thread === undefined) this.#stopped.resolve();
    return this.#stopped.promise;
  }

  #died(cause: unknown, startedAt: Millis): void {
    const { clock, random, onDeath } = this.#options;
    this.#thread = undefined;
    if (this.#stopped !== undefined) {
      this.#stopped.resolve();
      return;
    }
    if (clock.now() - startedAt >= steadyAfter) this.#deaths = 0;
    const wait = backOff(this.#deaths++, firstRestartAfter, mostRestartAfter, random);
    this.#restart = clock.schedule("restart thread", clock.now() + wait, () => this.start());
    onDeath(cause, wait);
  }
}
