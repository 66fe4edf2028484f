import { libc } from "./libc.ts";

const roundRobin = 2; // SCHED_RR
const lowest = 1; // struct sched_param: of 1 to 99.

/**
 * Lets this thread run before all that are not real-time (sched(7)), so that it is on time on a machine without time to spare.
 * @returns false where it may not, without CAP_SYS_NICE or a limit that allows it (RLIMIT_RTPRIO)
 */
export function becomeRealTime(): boolean {
  return libc.setSchedule(libc.threadSelf(), roundRobin, Int32Array.of(lowest)) === 0;
}
