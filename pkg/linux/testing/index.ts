/** Helpers for tests and labs beside `pkg/linux`: whole frames of an interface, as a cable carries them; a cgroup without real time. */
export {
  type CgroupWithoutRealTime,
  cgroupWithoutRealTime,
  noCgroupWithoutRealTime,
} from "./cgroup-without-real-time.ts";
export { completeChecksum, offloadHeaderLength, openForWholeFrames } from "./whole-frames.ts";
