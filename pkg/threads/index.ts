/**
 * Threads that wait in the kernel instead of Node's event loop, so that a busy main thread delays none of their work: both ends of one,
 * its restart after a death, its end with the process, its heap given back, and counters that both ends see. The messages are each package's own.
 */

export { calmDownSoon, Hurry } from "./hurry.ts";
export { type MainThread, mainThread } from "./main-thread.ts";
export { PolledEventLoop } from "./polled-event-loop.ts";
export { SharedCounters } from "./shared-counters.ts";
export { Supervisor, type Thread } from "./supervisor.ts";
export { compileSooner, hurryGarbageCollection, keepSmallHeapsSmall, saveWhileLoading, withOwnCompiler } from "./v8.ts";
export { trimHeap } from "./v8-heap.ts";
export { WorkerThread, workerFile } from "./worker-thread.ts";
