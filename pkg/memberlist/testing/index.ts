/** Rings of many nodes in simulated time, for tests and measurements. */
export { Simulation } from "./simulation.ts";
