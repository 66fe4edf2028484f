/** Helpers for tests and labs beside `pkg/linux`: whole frames of an interface, as a cable carries them. */
export { completeChecksum, offloadHeaderLength, openForWholeFrames } from "./whole-frames.ts";
