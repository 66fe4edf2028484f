/** Rings of many nodes in simulated time, for tests and measurements, and their messages and members. */
export { nodeNameText } from "../codec/messages.ts";
export type { Effect, Member } from "../ring/events.ts";
export { members } from "../ring/step.ts";
export { addressOf, firstCentral, nameOf } from "./simulated-addresses.ts";
export { SimulatedPaths } from "./simulated-paths.ts";
export { Simulation } from "./simulation.ts";
