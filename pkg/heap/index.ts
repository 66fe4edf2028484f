/**
 * Memory that a process needs no longer, given back to the machine: of V8's heap, of the C library's, and of Node's program. It is apart from
 * `threads` and `linux`, so that what needs no system calls does not load the library for them.
 */
export { releaseFreedMemory } from "./freed-memory.ts";
export { releaseProgramPages } from "./program-pages.ts";
export { trimHeap } from "./v8-heap.ts";
