import type { Millis } from "#pkg/clock";

/** How much of its time a process does not run, by its late timers, and what that means for the fast timing. */
export interface Strain {
  /** Milliseconds lost lately, those of 10 s ago counting 37 %, as of `at`. */
  readonly lost: Millis;
  readonly at: Millis;
  /** Until when the fast timing is not to be had; undefined while it is. */
  readonly restUntil: Millis | undefined;
  /** How long the last rest was to be. */
  readonly rest: Millis;
  readonly restedAt: Millis;
  /** When a timer has to run, only to see how late it is; Infinity when there is no need. */
  readonly watchAt: Millis;
}

export const noStrain: Strain = { lost: 0, at: 0, restUntil: undefined, rest: 0, restedAt: -Infinity, watchAt: Infinity };

const memory: Millis = 10_000;
/** Of one stall: a machine that is suspended, or a long turn of the event loop at the start, is not a lack of processor time. */
const countedAtMost: Millis = 200;
/** Of what `memory` spans: there is nothing left of what the fast timing allows for stalls of members and loss of packets. */
const tooMuch: Millis = 1500;
/** To begin anew there has to be more room than to go on. */
const stillTooMuch: Millis = tooMuch / 2;
/** The slow timing has so few timers that most stalls go unnoticed. So at the end of a rest there are twice as many as at the fast one. */
const trial: Millis = 20_000;
const watchInterval: Millis = 50;
const firstRest: Millis = 180_000;
const longestRest: Millis = 3_600_000;

/**
 * Counts a stall. A rest lasts three minutes, and begins anew when there is still too much; it lasts twice as long as the one before
 * when that ended within the last hour, so that a process which is well at the slow timing alone does not go to and fro.
 */
export function addStall(strain: Strain, late: Millis, now: Millis): Strain {
  const lost = strain.lost * Math.exp((strain.at - now) / memory) + Math.min(late, countedAtMost);
  const counted = { ...strain, lost, at: now };
  if (lost < (strain.restUntil === undefined ? tooMuch : stillTooMuch)) return counted;
  if (strain.restUntil !== undefined) return restFor(counted, strain.rest, now);
  const again = now - strain.restedAt < longestRest;
  return restFor(counted, again ? Math.min(longestRest, 2 * strain.rest) : firstRest, now);
}

function restFor(strain: Strain, rest: Millis, now: Millis): Strain {
  return { ...strain, rest, restUntil: now + rest, watchAt: now + rest - trial };
}

/** Ends a rest that is over, and sets the next timer of its trial. @returns the same when nothing is due */
export function goOnResting(strain: Strain, now: Millis): Strain {
  if (strain.restUntil === undefined || now < strain.watchAt) return strain;
  if (now >= strain.restUntil) return { ...strain, restUntil: undefined, restedAt: now, watchAt: Infinity };
  return { ...strain, watchAt: Math.min(strain.restUntil, now + watchInterval) };
}
