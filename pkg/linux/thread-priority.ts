import { libc } from "./libc.ts";

const roundRobin = 2; // SCHED_RR
const lowest = 1; // struct sched_param: of 1 to 99.
const thisThread = [0, 0] as const; // PRIO_PROCESS of the caller, by which Linux means a thread.
const nicest = -20;

/**
 * Lets this thread run before all that are not real-time (sched(7)), so that it is on time on a machine without time to spare. For work
 * that is bounded: nothing else gets the time that it takes.
 * @returns false where it may not, without CAP_SYS_NICE or a limit that allows it (RLIMIT_RTPRIO)
 */
export function becomeRealTime(): boolean {
  return libc.setSchedule(libc.threadSelf(), roundRobin, Int32Array.of(lowest)) === 0;
}

/**
 * Gives this thread the largest share of the machine's time (nice(7)) and has it run soon after it wakes, while others still get theirs.
 * For work that others can make more of.
 * @returns false where it may not, without CAP_SYS_NICE or a limit that allows it (RLIMIT_NICE)
 */
export function becomeUrgent(): boolean {
  return libc.setPriority(...thisThread, nicest) === 0;
}
