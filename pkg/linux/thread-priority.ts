import { libc } from "./libc.ts";

const ordinary = 0; // SCHED_OTHER
const roundRobin = 2; // SCHED_RR
const noPriority = 0; // struct sched_param: what is not real-time has none.
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
 * Gives this thread the largest share of the machine's time (nice(7)), while others still get theirs; it is real-time no longer. For work
 * that others can make more of.
 * @returns false where it may not, without CAP_SYS_NICE or a limit that allows it (RLIMIT_NICE)
 */
export function becomeUrgent(): boolean {
  const schedule = libc.setSchedule(libc.threadSelf(), ordinary, Int32Array.of(noPriority));
  return schedule === 0 && libc.setPriority(...thisThread, nicest) === 0;
}
