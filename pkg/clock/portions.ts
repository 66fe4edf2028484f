import { Alarm } from "./alarm.ts";
import type { Clock, Millis } from "./clock.ts";

/**
 * Keeps turns of the event loop short where many have much to do at once. Callers cut their work into portions; a turn does a fixed number
 * of portions, at once where possible, and the others follow in the order in which they came.
 */
export class Portions implements Disposable {
  readonly #clock: Clock;
  readonly #perTurn: number;
  readonly #waiting: (() => void)[] = [];
  readonly #nextTurn: Alarm;
  #left: number;

  /** @param perTurn how many portions are done in a turn */
  constructor(clock: Clock, perTurn: number) {
    this.#clock = clock;
    this.#perTurn = perTurn;
    this.#left = perTurn;
    this.#nextTurn = new Alarm(clock, "next portions", () => this.#work());
  }

  /** Does one portion, now or in a later turn. A caller with more to do asks again, and is then behind the others. */
  do(portion: () => void): void {
    this.#nextTurn.setNoLater(this.#clock.now());
    if (this.#left === 0 || this.#waiting.length > 0) {
      this.#waiting.push(portion);
      return;
    }
    this.#left--;
    portion();
  }

  /** Drops waiting portions. */
  [Symbol.dispose](): void {
    this.#waiting.length = 0;
    this.#nextTurn[Symbol.dispose]();
  }

  #work(): void {
    const count = Math.min(this.#waiting.length, this.#perTurn);
    this.#left = this.#perTurn - count;
    if (count > 0) this.#nextTurn.setNoLater(this.#clock.now());
    for (let done = 0; done < count; done++) this.#waiting.shift()?.();
  }
}

/** Does all of `work` at once. @returns what it returns in the end */
export function atOnce<Result>(work: Iterator<unknown, Result>): Result {
  for (let step = work.next(); ; step = work.next()) if (step.done) return step.value;
}

/** Does a portion of `work` up to each `yield`. @returns what it returns in the end; never, where `portions` are disposed of before */
export async function inPortions<Result>(portions: Pick<Portions, "do">, work: Iterator<undefined, Result>): Promise<Result> {
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<IteratorResult<undefined, Result>>();
    portions.do(() => resolve(work.next()));
    const { done, value } = await promise;
    if (done) return value;
  }
}

const maxTurnMs: Millis = 5;
// Limit of pieces of work in one turn: reading from the API comes between.
const maxPerTurn = 200;

/** Does small pieces of work for one turn of the event loop. @param piece returns whether there is more @returns whether there is more */
export function forOneTurn(clock: Clock, piece: () => boolean): boolean {
  const until = clock.now() + maxTurnMs;
  for (let done = 0; done < maxPerTurn && (done === 0 || clock.now() < until); done++) if (!piece()) return false;
  return true;
}

/** Does `work` in turns of the event loop, each of which ends at the first `yield` after 5 ms. @returns what it returns in the end */
export async function inTurns<Result>(clock: Clock, work: Iterator<undefined, Result>): Promise<Result> {
  for (let until = clock.now() + maxTurnMs; ; ) {
    const { done, value } = work.next();
    if (done) return value;
    if (clock.now() < until) continue;
    const { promise, resolve } = Promise.withResolvers<void>();
    clock.schedule("next turn", clock.now(), resolve);
    await promise;
    until = clock.now() + maxTurnMs;
  }
}
