import type { Millis } from "#pkg/clock";

/** The share of time in which a process does not run, found by its late timers, and the consequence for the fast timing. */
export interface Overload {
  /** Milliseconds stalled lately, those of 10 s ago counting 37 %, as of `at`. */
  readonly stalled: Millis;
  readonly at: Millis;
  /** Until when this node does not offer the fast timing; undefined while it does. */
  readonly backOffUntil: Millis | undefined;
  /** How long the last back-off was to be. */
  readonly backOff: Millis;
  readonly backOffEndedAt: Millis;
  /** When a timer has to run, only to see how late it is; Infinity when there is no need. */
  readonly watchAt: Millis;
}

export const noOverload: Overload = {
  stalled: 0,
  at: 0,
  backOffUntil: undefined,
  backOff: 0,
  backOffEndedAt: -Infinity,
  watchAt: Infinity,
};

const memory: Millis = 10_000;
/**
 * The most that one stall counts: a machine that is suspended, or a long turn of the event loop at the start, is not a lack of processor
 * time.
 */
const maxCounted: Millis = 200;
/**
 * The most stalled time within `memory`: more leaves no room for the stalls of members and the packet loss that the fast timing allows for.
 */
const maxStalled: Millis = 1500;
/** A return to the fast timing needs more room than staying there. */
const maxStalledToReturn: Millis = maxStalled / 2;
/** The slow timing has so few timers that most stalls go unnoticed. So at the end of a back-off there are twice as many as at the fast one. */
const trial: Millis = 20_000;
const watchInterval: Millis = 50;
const minBackOff: Millis = 180_000;
const maxBackOff: Millis = 3_600_000;

/**
 * Counts a stall. A back-off lasts three minutes, and is repeated while there is still too much stalled time. It lasts twice as long as the
 * previous one when that ended within the last hour: a process that keeps up only at the slow timing must not alternate.
 */
export function addStall(overload: Overload, late: Millis, now: Millis): Overload {
  const stalled = overload.stalled * Math.exp((overload.at - now) / memory) + Math.min(late, maxCounted);
  const counted = { ...overload, stalled, at: now };
  if (stalled < (overload.backOffUntil === undefined ? maxStalled : maxStalledToReturn)) return counted;
  if (overload.backOffUntil !== undefined) return startBackOff(counted, overload.backOff, now);
  const again = now - overload.backOffEndedAt < maxBackOff;
  return startBackOff(counted, again ? Math.min(maxBackOff, 2 * overload.backOff) : minBackOff, now);
}

function startBackOff(overload: Overload, backOff: Millis, now: Millis): Overload {
  return { ...overload, backOff, backOffUntil: now + backOff, watchAt: now + backOff - trial };
}

/** Ends a back-off that is over, and sets the next timer of its trial. @returns the same when nothing is due */
export function continueBackOff(overload: Overload, now: Millis): Overload {
  if (overload.backOffUntil === undefined || now < overload.watchAt) return overload;
  if (now >= overload.backOffUntil) return { ...overload, backOffUntil: undefined, backOffEndedAt: now, watchAt: Infinity };
  return { ...overload, watchAt: Math.min(overload.backOffUntil, now + watchInterval) };
}
