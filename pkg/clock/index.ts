/**
 * Time and chance as arguments. Drivers take a `Clock` and a `Random`; pure code takes the instant itself. Instants are
 * monotonic milliseconds; only `wallClock` knows dates. Tests use `SimulatedClock` and a seeded `Random`.
 */
export { type Clock, type Millis, SystemClock, wallClock } from "./clock.ts";
export { backOff, type Random, seededRandom, systemRandom } from "./random.ts";
export { SimulatedClock } from "./simulated.ts";
