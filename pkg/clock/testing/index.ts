/** Time and chance for tests. */
export { seededRandom } from "./seeded-random.ts";
export { SimulatedClock } from "./simulated.ts";
