/**
 * Time and chance as arguments. Drivers take a `Clock` and a `Random`; pure code takes the instant itself. Instants are monotonic
 * milliseconds; only `wallClock` knows dates. Helpers that drivers of state machines share are here too: one timer for the next deadline,
 * much work in portions, back-off, rate limits, durations as Go writes them. Tests use `SimulatedClock` of `testing/` and a seeded `Random`.
 */
export { Alarm, sleep } from "./alarm.ts";
export { type Allowance, perSecond, SourceTokens, Tokens } from "./allowance.ts";
export { type Clock, dateOf, type Millis, SystemClock, wallClock } from "./clock.ts";
export { parseDuration } from "./duration.ts";
export { atOnce, forOneTurn, inPortions, inTurns, Portions } from "./portions.ts";
export { backOff, chanceOf, nextSeed, type Random, systemRandom } from "./random.ts";
