/** Time for tests. */
export { SimulatedClock } from "./simulated.ts";
