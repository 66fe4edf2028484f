import type { Millis } from "./clock.ts";

/** A source of chance: uniform in [0, 1). */
export type Random = () => number;

const drawn = new Uint32Array(512);
let left = 0;

/** Chance that nobody can predict, from the system's secure source; for production drivers. */
export const systemRandom: Random = () => {
  if (left === 0) {
    crypto.getRandomValues(drawn); // Many at once: a call of it takes as long as 100 of the numbers.
    left = drawn.length;
  }
  left -= 2;
  const [high = 0, low = 0] = drawn.subarray(left, left + 2);
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
};

/** The seed after this one, of a repeatable source (mulberry32): the same seeds give the same numbers on every machine. */
export function nextSeed(seed: number): number {
  return (seed + 0x6d2b79f5) >>> 0;
}

/** The number that a seed stands for, in [0, 1). */
export function chanceOf(seed: number): number {
  let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

/** How long to wait before attempt `attempt` (from 0): doubling from `first` to `max`, between half and all of it by chance. */
export function backOff(attempt: number, first: Millis, max: Millis, random: Random): Millis {
  const full = Math.min(max, first * 2 ** Math.min(attempt, 30));
  return full / 2 + (full / 2) * random();
}
