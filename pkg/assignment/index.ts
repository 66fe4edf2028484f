/**
 * Decides which Service gets which address, from the Service's request, its holding and all other holdings; and what follows for all
 * Services. Pure. `pkg/allocator` knows the holders of addresses; the controller has status,
 * events and waiting.
 */
export { type Assignments, assigning, keepRecorded, Settling } from "./assign-all.ts";
export { assignedMessage, type Decision, decide, type Note, quotedList, releasedBy, statusOf, type Warning } from "./decide.ts";
