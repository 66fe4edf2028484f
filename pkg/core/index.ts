/**
 * A daemon's pure core: run, recorded, saved in checkpoints, and run again. `step` takes a state, an event and the time, and returns effects;
 * drivers deliver events and carry out effects. The flight recorder keeps inputs and decisions as lines of JSON in bounded memory; the
 * oldest go first, when a thread has made a checkpoint of them. `encode` makes values plain, addresses and maps among them, so that
 * `decode` gives equal values; no secret gets through. Times are `Clock` milliseconds.
 */
export { Checkpoints, makeCheckpointHere } from "./checkpoints.ts";
export { type CoreInput, defineCore, recordLine, recordStep } from "./contract/core.ts";
export { Deadlines } from "./contract/deadlines.ts";
export { PartOf } from "./contract/part.ts";
export { coreOf, type ReplayedCore } from "./recording/checkpoint.ts";
export { decode, encode, type Hide, hideByKey, type Plain } from "./recording/codec.ts";
export { type Entry, entryLine, parseEntry, RecordingError } from "./recording/entry.ts";
export { Recorder } from "./recording/recorder.ts";
export { describeRecording, type FoundEntry, findEntries, type Recording, readRecording } from "./recording/recording.ts";
export { CoreRunner, type TimerEvent } from "./runner.ts";
