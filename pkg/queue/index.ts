/**
 * Queues: of waiting items, of events for a state machine, one after another, and of work, one piece at a time.
 */
export { DistinctQueue } from "./distinct-queue.ts";
export { EventQueue } from "./event-queue.ts";
export { Queue } from "./queue.ts";
export { SerialQueue } from "./serial-queue.ts";
