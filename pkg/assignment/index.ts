/**
 * Decides which Service gets which address, from the Service's request, its holding and all other holdings; and what follows for all
 * Services. Each input can be recorded, and run again. Pure. `pkg/allocator` knows the holders of addresses; the controller has status,
 * events and waiting.
 */
export { type Assignments, assigning, keepAll, settling } from "./assign-all.ts";
export { type Decision, type Keeping, quotedList, releasedBy, type Warning } from "./decide.ts";
export { assignmentCore, commonInputs, RecordedAllocator, recordLine } from "./recorded-allocator.ts";
