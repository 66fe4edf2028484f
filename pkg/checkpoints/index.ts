/**
 * Makes the checkpoints of a flight recorder in a thread of its own, which has a low priority and ends with it: the oldest recorded
 * inputs are run once more from the checkpoint before them, so that the core that works is neither read nor kept waiting. What a checkpoint
 * is, is `pkg/recorder`'s; what it has in it, each core's.
 */
export { Checkpoints } from "./checkpoints.ts";
export { makeCheckpointHere } from "./here.ts";
