import type { Millis } from "#pkg/clock";

// A wrong that comes back all the time adds up; after three seconds without it, a hand-over has its whole time again.
const forgetFactor = 2;

/** Something that has lasted, and from when on; where it was over for moments in between, from as long before as it lasted in all. */
export interface Lasting {
  readonly since: Millis;
  readonly lasted: Millis;
}

/** How long each thing lasts that is not to last. While it is over, that is forgotten, twice as fast as it came. */
export class LastingWrongs {
  readonly #lasting = new Map<string, { lasted: Millis; isThere: boolean }>(); // by its description
  #now: Millis | undefined;

  /**
   * To be called often.
   * @param wrongs all that is wrong at the moment
   * @returns each of them
   * @throws {RangeError} where time goes back
   */
  at(now: Millis, wrongs: Iterable<string>): ReadonlyMap<string, Lasting> {
    const passed = now - (this.#now ?? now);
    if (passed < 0) throw new RangeError(`Cannot check a history: ${now} ms comes after ${this.#now} ms`);
    this.#now = now;
    const found = new Map<string, Lasting>();
    for (const wrong of wrongs) {
      const known = this.#lasting.get(wrong) ?? { lasted: 0, isThere: false };
      if (known.isThere) known.lasted += passed;
      known.isThere = true;
      this.#lasting.set(wrong, known);
      found.set(wrong, { since: now - known.lasted, lasted: known.lasted });
    }
    for (const [wrong, known] of this.#lasting) {
      if (found.has(wrong)) continue;
      known.isThere = false;
      known.lasted -= forgetFactor * passed;
      if (known.lasted <= 0) this.#lasting.delete(wrong);
    }
    return found;
  }

  /** Whether it was there lately, and is not forgotten. */
  has(wrong: string): boolean {
    return this.#lasting.has(wrong);
  }
}
