import { chanceOf, nextSeed, type Random } from "../random.ts";

/** A repeatable source: the same seed gives the same sequence on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = nextSeed(state);
    return chanceOf(state);
  };
}
