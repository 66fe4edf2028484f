/**
 * Checks histories of owners, as each node and the wire saw them, against promise 2 of docs/reliability.md. The checker knows histories
 * alone, and nothing of how owners are found. Simulated clusters and labs make such histories. Times are milliseconds.
 */
export { agreeingParts, type Bounds, check, documented, OwnershipChecker, type Violation } from "./check.ts";
export { LastingWrongs } from "./lasting.ts";
export type { Sample } from "./sample.ts";
