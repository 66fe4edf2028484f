import type { Millis } from "#pkg/clock";

/** A connection that takes longer is given up: the third repetition of its first packet has been lost too. */
export const connectTimeout: Millis = 10_000;
/** Until the OPEN has been answered (RFC 4271, section 8.2.2: a large value, 4 minutes is suggested). */
export const largeHoldTime: Millis = 240_000;
export const mostBackOff: Millis = 120_000;

/** RFC 9687, section 6; never where the hold time is never. */
export function sendHoldTime(holdTime: Millis): Millis {
  return holdTime === 0 ? Infinity : Math.max(480_000, 2 * holdTime);
}

/**
 * From when on a session is stable, so that its end is no sign of a lasting fault: one whose large messages get lost lives for as long
 * as the peer's hold time, every time.
 */
export function stableAfter(holdTime: Millis): Millis {
  return holdTime + 60_000;
}

/** RFC 4271, section 10: 75 to 100 % of the interval, so that sessions do not fall into step. Infinity for never. */
export function jittered(seconds: number, chance: number): Millis {
  return seconds === 0 ? Infinity : seconds * 1000 * (0.75 + 0.25 * chance);
}
