/**
 * Which Service gets which address: the decision on one Service from what it asks for, what it holds and what all others hold, and what
 * comes of it for all of them. Each input can be recorded, and run again. Pure. Who holds which address is `pkg/allocator`'s to know; status, events and waiting are the controller's.
 */
export { type Assignments, assigning, keepAll } from "./assign-all.ts";
export { type Decision, type Keeping, quotedList, releasedBy, type Warning } from "./decide.ts";
export { assignmentCore, commonInputs, RecordedAllocator, recordLine } from "./recorded-allocator.ts";
