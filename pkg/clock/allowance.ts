import { RecentMap } from "#pkg/collections";
import type { Millis } from "./clock.ts";

/** How often something may be done: `burst` times at once, then once every `everyMs`. */
export interface Allowance {
  readonly burst: number;
  readonly everyMs: Millis;
}

/** An allowance of this many times at once, and the same number each second. */
export function perSecond(times: number): Allowance {
  return { burst: times, everyMs: 1000 / times };
}

/** Counts what is left of an allowance. */
export class Tokens {
  readonly #allowance: Allowance;
  #left: number; // Not whole: it grows with time.
  #at: Millis;

  /** @param left at first */
  constructor(allowance: Allowance, now: Millis, left = allowance.burst) {
    this.#allowance = allowance;
    this.#left = left;
    this.#at = now;
  }

  /** How much may be taken, which need not be whole. */
  left(now: Millis): number {
    const { burst, everyMs } = this.#allowance;
    this.#left = Math.min(burst, this.#left + (now - this.#at) / everyMs);
    this.#at = now;
    return this.#left;
  }

  /** @returns false, and takes nothing, where none is left */
  take(now: Millis): boolean {
    if (this.left(now) < 1) return false;
    this.#left--;
    return true;
  }
}

// More than have business with one process. Beyond, the source that asked longest ago is forgotten, and the allowance of all together stays the bound.
const maxSources = 1_000;

/** Counts what is left of an allowance to each of many sources, and of one to all of them together. */
export class SourceTokens {
  readonly #ofSource: Allowance;
  readonly #all: Tokens;
  readonly #bySource = new RecentMap<string, Tokens>(maxSources);

  constructor({ ofSource, all }: { readonly ofSource: Allowance; readonly all: Allowance }, now: Millis) {
    this.#ofSource = ofSource;
    this.#all = new Tokens(all, now);
  }

  /** @returns false where none is left to the source or to all; one that is out of its own takes none of the others' */
  take(source: string, now: Millis): boolean {
    return this.takeOwn(source, now) && this.#all.take(now);
  }

  /** The same for one of a few that others must not keep out. @returns false where none is left to the source */
  takeOwn(source: string, now: Millis): boolean {
    return this.#of(source, now).take(now);
  }

  #of(source: string, now: Millis): Tokens {
    const tokens = this.#bySource.get(source) ?? new Tokens(this.#ofSource, now);
    this.#bySource.set(source, tokens);
    return tokens;
  }
}
