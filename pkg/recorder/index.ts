/**
 * The flight recorder of a process: the inputs of its pure core and what it decided on each, as lines of JSON in bounded memory, the
 * oldest dropped first. `encode` makes values plain, addresses, maps and what else JSON lacks among them, so that `decode` gives equal
 * ones; no secret gets through. What the inputs are, and how they are run again, is each program's. Times are `Clock` milliseconds.
 */
export { type CoreKind, coreOf, fold, type ReplayedCore, type Segment } from "./checkpoint.ts";
export { decode, encode, type Hide, hideByKey, type Plain } from "./codec.ts";
export { type Entry, entryLine, entryPieces, parseEntry, RecordingError } from "./entry.ts";
export { decodeGraph, encodeGraph } from "./graph.ts";
export { type MakeCheckpoint, Recorder } from "./recorder.ts";
export {
  describeRecording,
  type FoundEntry,
  findEntries,
  type Recording,
  readRecording,
} from "./recording.ts";
