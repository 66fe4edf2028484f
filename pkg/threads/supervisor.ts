import { type Allowance, backOff, type Clock, type Millis, type Random, Tokens } from "#pkg/clock";
import type { Log } from "#pkg/log";

const firstRestartAfter: Millis = 50;
// A second without a thread is what others can miss. A start takes a tenth of a second of a processor.
const mostRestartAfter: Millis = 1_000;
const steadyAfter: Millis = 60_000;
const logged: Allowance = { burst: 10, everyMs: 60_000 };

/** A thread as `Worker` is one: it emits `error` with the cause when it dies of one, and `exit` in the end. */
export interface Thread {
  on(event: "error", listener: (cause: unknown) => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
}

export interface SupervisorOptions<T extends Thread> {
  /** Starts a thread. An error that it throws counts as the death of that thread. */
  readonly spawn: () => T;
  /** Description of the thread, as logged when it dies: `the thread that …`. */
  readonly title: string;
  readonly op: string;
  readonly log: Log;
  /** Called for every death that was not asked for. */
  readonly onDeath: () => void;
  readonly clock: Clock;
  readonly random: Random;
}

/** Keeps one thread running: one that dies is followed by another, soon, then ever later if they keep dying young. */
export class Supervisor<T extends Thread> {
  readonly #options: SupervisorOptions<T>;
  #thread: T | undefined;
  #restart: Disposable | undefined;
  #deaths = 0;
  readonly #lines: Tokens;
  #unlogged = 0;
  #isReplaced = false;
  #stopped: PromiseWithResolvers<void> | undefined;

  constructor(options: SupervisorOptions<T>) {
    this.#options = options;
    this.#lines = new Tokens(logged, options.clock.now());
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

  /** The thread that runs now, which must be told to end, is followed by another at once: that is no death. */
  replace(): void {
    this.#isReplaced = true;
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
    const isReplaced = this.#isReplaced;
    this.#isReplaced = false;
    this.#thread = undefined;
    if (this.#stopped !== undefined) {
      this.#stopped.resolve();
      return;
    }
    if (isReplaced) {
      this.start();
      return;
    }
    if (clock.now() - startedAt >= steadyAfter) this.#deaths = 0;
    const wait = backOff(this.#deaths++, firstRestartAfter, mostRestartAfter, random);
    this.#restart = clock.schedule("restart thread", clock.now() + wait, () => this.start());
    this.#logDeath(cause, wait);
    onDeath();
  }

  #logDeath(error: unknown, restartAfterMs: Millis): void {
    const { clock, log, op, title } = this.#options;
    if (!this.#lines.take(clock.now())) {
      this.#unlogged++;
      return;
    }
    const more = this.#unlogged === 0 ? undefined : this.#unlogged;
    this.#unlogged = 0;
    log.error(`${title} died and is restarted`, { op, error, restartAfterMs, more });
  }
}
