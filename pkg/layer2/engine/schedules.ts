import type { Millis, Random } from "#pkg/clock";
import { Queue } from "#pkg/collections";

/*
 * When announcements are due. Callers pass the time, which never goes back.
 */

// Linux lets no announcement replace a neighbor entry that is less than a second old (locktime), so the first may be in vain.
const interval: Millis = 1100;
const duration: Millis = 5000;

interface Repeat<Item> {
  readonly item: Item;
  readonly at: Millis;
  readonly until: Millis;
}

/**
 * When to send which gratuitous announcement: at once, then every 1.1 s for 5 s. Items are taken in small batches, new ones first, so
 * that announcing ten thousand addresses does not keep anything else waiting.
 */
export class GratuitousSchedule<Item extends NonNullable<unknown>> {
  readonly #fresh = new Queue<Item>();
  readonly #repeats = new Queue<Repeat<Item>>(); // Soonest first, because each is added one interval after it was last taken.

  /** Due now, and then four times more. */
  add(item: Item): void {
    this.#fresh.push(item);
  }

  /** When `take` next has something; Infinity when all is done. */
  nextAt(now: Millis): Millis {
    return this.#fresh.first !== undefined ? now : (this.#repeats.first?.at ?? Infinity);
  }

  /** Up to `max` items that are due. Items that are not current are dropped. */
  take(now: Millis, max: number, isCurrent: (item: Item) => boolean): Item[] {
    const items: Item[] = [];
    for (let i = 0; i < max; i++) {
      const due = this.#shift(now);
      if (due === undefined) break;
      if (!isCurrent(due.item)) continue;
      items.push(due.item);
      if (now + interval <= due.until) this.#repeats.push({ item: due.item, at: now + interval, until: due.until });
    }
    return items;
  }

  #shift(now: Millis): { item: Item; until: Millis } | undefined {
    const item = this.#fresh.shift();
    if (item !== undefined) return { item, until: now + duration };
    const repeat = this.#repeats.first;
    return repeat !== undefined && repeat.at <= now ? this.#repeats.shift() : undefined;
  }
}

/**
 * When to announce which item again, long after its first announcements: each about every `every` ms, one after another with even
 * gaps, so that ten thousand are not announced at once, and each gap by chance up to a quarter longer or shorter, so that the nodes of a
 * cluster do not keep step.
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

  /** The item is due after all others. */
  add(item: Item, now: Millis): void {
    if (this.#every === 0) return;
    if (this.#queue.size === 0) this.#start(now);
    this.#queue.push(item);
  }

  /** When `take` next has something; Infinity without items. */
  get nextAt(): Millis {
    return this.#queue.size === 0 ? Infinity : this.#lastAt + (this.#every / this.#queue.size) * this.#chance;
  }

  /** The item that is due, if one is. Items for which `isCurrent` says no are dropped. */
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
