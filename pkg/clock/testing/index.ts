/** Time and chance for tests. */

export { seeds, slow } from "./examples.ts";
export { seededRandom } from "./seeded-random.ts";
export { SimulatedClock } from "./simulated.ts";
