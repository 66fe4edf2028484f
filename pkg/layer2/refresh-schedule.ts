import type { Millis, Random } from "#pkg/clock";
import { Queue } from "./queue.ts";

/**
 * When to announce which item again, long after its first announcements: each about every `every` ms, one after another with even
 * gaps, so that ten thousand are not told at once, and each gap by chance up to a quarter longer or shorter, so that the nodes of a
 * cluster do not keep step. Pure: the owner says what time it is, which never goes back.
 */
export class RefreshSchedule<Item extends NonNullable<unknown>> {
  readonly #every: Millis;
  readonly #random: Random;
  readonly #queue = new Queue<Item>();
  #lastAt: Millis = 0;
  #chance = 1;

  /** `every` 0: never. */
  constructor(every: Millis, random: Random) {
    this.#every = every;
    this.#random = random;
  }

  /** The item's turn comes after those of all others. */
  add(item: Item, now: Millis): void {
    if (this.#every === 0) return;
    if (this.#queue.size === 0) this.#start(now);
    this.#queue.push(item);
  }

  /** When `take` next has something; Infinity without items. */
  get nextAt(): Millis {
    return this.#queue.size === 0 ? Infinity : this.#lastAt + (this.#every / this.#queue.size) * this.#chance;
  }

  /** The item whose turn it is, if it is one's. Those for which `isCurrent` says no are dropped. */
  take(now: Millis, isCurrent: (item: Item) => boolean): Item | undefined {
    if (now < this.nextAt) return undefined;
    this.#start(now);
    for (let item = this.#queue.shift(); item !== undefined; item = this.#queue.shift()) {
      if (!isCurrent(item)) continue;
      this.#queue.push(item);
      return item;
    }
    return undefined;
  }

  #start(now: Millis): void {
    this.#lastAt = now;
    this.#chance = 0.75 + this.#random() / 2;
  }
}
