import type { Millis } from "./clock.ts";

/** How often something may be done: `burst` times at once, then once every `everyMs`. */
export interface Allowance {
  readonly burst: number;
  readonly everyMs: Millis;
}

/** Counts what is left of an allowance. */
export class Tokens {
  readonly #allowance: Allowance;
  #left: number; // Not whole: it grows with time.
  #at: Millis;

  constructor(allowance: Allowance, now: Millis) {
    this.#allowance = allowance;
    this.#left = allowance.burst;
    this.#at = now;
  }

  /** @returns false, and takes nothing, where none is left */
  take(now: Millis): boolean {
    const { burst, everyMs } = this.#allowance;
    this.#left = Math.min(burst, this.#left + (now - this.#at) / everyMs);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
