import type { Clock, Millis, Random } from "#pkg/clock";

/** Simulated time, and what is to happen in it. */
export interface Time {
  readonly now: Millis;
  /** Runs `fn` then, or at once where that is over. */
  schedule(at: Millis, fn: () => void): void;
}

// No timer runs at the very moment of its deadline. Otherwise a deadline that is rounded up might be due, over and over, and never be past.
const latenessMs: Millis = 0.001;

// Now and then a slow process works for so long, at most, before it looks at its clock: longer than a turn is to take.
const maxWorkMs: Millis = 8;
const workChance = 0.1;

/**
 * One process: it can stand still and end. Its clock is its own, since each machine counts from its own boot. Where it is slow, its work takes
 * time, so that work in portions takes several turns.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly #time: Time;
  readonly #waiting: (() => void)[] = []; // Work that was due while it stood still, in that order.
  #stalledUntil: Millis = -Infinity;
  readonly #slowness: Random | undefined;
  #busyUntil: Millis = -Infinity; // By its own clock, in simulated time.
  #isRunning = true;
  #isObserved = false;

  /** @param bootedAt where its clock begins, as an offset to simulated time @param slowness where it is slow */
  constructor(name: string, time: Time, random: Random, bootedAt: Millis, slowness?: Random) {
    this.name = name;
    this.#slowness = slowness;
    this.#time = time;
    this.random = random;
    this.clock = {
      now: () => this.#lookAtClock() - bootedAt,
      schedule: (_name, at, fn) => {
        let isCancelled = false;
        this.at(at + bootedAt + latenessMs, () => isCancelled || fn());
        return {
          [Symbol.dispose]: () => {
            isCancelled = true;
          },
        };
      },
    };
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get isStalled(): boolean {
    return this.#time.now < this.#stalledUntil;
  }

  /** Runs `fn` in the process at this simulated time or, in the order in which it was due, when it goes on; never once it has ended. */
  at(at: Millis, fn: () => void): void {
    this.#time.schedule(Math.max(at, this.#time.now), () => {
      this.#waiting.push(fn);
      this.#work();
    });
  }

  /** What `look` sees of the process from outside: the process has no work with it, also where it is slow. */
  observe<T>(look: () => T): T {
    this.#isObserved = true;
    try {
      return look();
    } finally {
      this.#isObserved = false;
    }
  }

  #lookAtClock(): Millis {
    const now = Math.max(this.#time.now, this.#busyUntil);
    if (this.#slowness === undefined || this.#isObserved || this.#slowness() >= workChance) return now;
    this.#busyUntil = now + this.#slowness() * maxWorkMs;
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#busyUntil);
    this.#time.schedule(this.#stalledUntil, () => this.#work());
    return this.#busyUntil;
  }

  /** Stands still for so long, or as long as an earlier stall has it. */
  stall(duration: Millis): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#time.now + duration);
    this.#time.schedule(this.#stalledUntil, () => this.#work());
  }

  /** Ends it without a word. */
  kill(): void {
    this.#isRunning = false;
  }

  #work(): void {
    while (this.#isRunning && !this.isStalled) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next();
    }
  }
}
