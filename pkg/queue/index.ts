/**
 * Queues: of items that wait to be taken, of events that a state machine takes one after another, and of work of which one piece is done at
 * a time.
 */
export { DistinctQueue } from "./distinct-queue.ts";
export { EventQueue } from "./event-queue.ts";
export { Queue } from "./queue.ts";
export { SerialQueue } from "./serial-queue.ts";
