import { backOff, type Millis } from "#pkg/clock";
import type { Context } from "./context.ts";

/** Others overwrite something of ours again and again. */
export interface Contest {
  /** How often it was overwritten, and when last. */
  readonly count: number;
  readonly at: Millis;
  /** Not before then it is written again. */
  readonly until: Millis;
}

const minWaitMs: Millis = 1_000;
const maxWaitMs: Millis = 300_000;
export const contestMemoryMs: Millis = 600_000; // An address that was left alone for so long is contested from the start.

/** It was overwritten once more. It is put right at once the first time and then ever later: two controllers that disagree cost the API little. */
export function contested(last: Contest | undefined, { now, random }: Pick<Context, "now" | "random">): Contest {
  const count = last === undefined || now - last.at > contestMemoryMs ? 1 : last.count + 1;
  return { count, at: now, until: now + (count === 1 ? 0 : backOff(count - 2, minWaitMs, maxWaitMs, random)) };
}
