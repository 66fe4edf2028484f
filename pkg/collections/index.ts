/**
 * Collections with bounds on their time or memory: queues of waiting items, of events for a state machine, one after another, and of work,
 * one piece at a time; and values kept for as long as there is room for them. And tables of
 * what is done for each kind of a union. Pure.
 */
export { type ByKind, dispatchByKind } from "./by-kind.ts";
export { DistinctQueue, Queue } from "./queue.ts";
export { RecentMap, remembered } from "./recent-map.ts";
export { EventQueue, SerialQueue } from "./serial-queue.ts";
export { areSameTexts, isIn } from "./texts.ts";
