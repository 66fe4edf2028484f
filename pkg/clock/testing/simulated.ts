import type { Clock, Millis } from "../clock.ts";

interface Timer {
  readonly name: string;
  readonly at: Millis;
  readonly order: number;
  readonly fn: () => void;
}

/** A clock that stands still until a test moves it, from one deadline to the next, in the order of the deadlines. */
export class SimulatedClock implements Clock {
  #now: Millis;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(start: Millis = 0) {
    this.#now = start;
  }

  now(): Millis {
    return this.#now;
  }

  schedule(name: string, at: Millis, fn: () => void): Disposable {
    const timer = { name, at, order: this.#order++, fn };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => this.#timers.delete(timer) };
  }

  /** Names of scheduled timers, soonest first. */
  pending(): string[] {
    return [...this.#timers].sort(byDeadline).map((timer) => timer.name);
  }

  /** Moves to `at`, running every timer due until then, also those set on the way. */
  advanceTo(at: Millis): void {
    for (let next = this.#next(); next !== undefined && next.at <= at; next = this.#next()) this.#run(next);
    this.#now = Math.max(this.#now, at);
  }

  advanceBy(duration: Millis): void {
    this.advanceTo(this.#now + duration);
  }

  /** Moves to the next deadline and runs it. @returns false when nothing is scheduled */
  advanceToNext(): boolean {
    const next = this.#next();
    if (next !== undefined) this.#run(next);
    return next !== undefined;
  }

  #next(): Timer | undefined {
    let soonest: Timer | undefined;
    for (const timer of this.#timers) if (soonest === undefined || byDeadline(timer, soonest) < 0) soonest = timer;
    return soonest;
  }

  #run(timer: Timer): void {
    this.#timers.delete(timer);
    this.#now = Math.max(this.#now, timer.at);
    timer.fn();
  }
}

function byDeadline(a: Timer, b: Timer): number {
  return a.at - b.at || a.order - b.order;
}
