/**
 * Elects the one of several processes that works, by a Lease (coordination.k8s.io/v1), with the algorithm of client-go's `leaderelection`:
 * the holder renews it, others take it over once it has not changed for as long as it says, by their own clock, so that skewed clocks do no
 * harm. Differences: candidates follow the Lease by a watch, so that one of them takes a Lease that was given back at once, and standbys
 * cost no requests. A candidate that may not watch reads the Lease, as client-go does. And a process that is refused the Lease altogether
 * leads alone after a while, until it may use it. `step` is the algorithm and does no I/O; `LeaderElector` watches, writes and keeps time.
 * Times are `Clock` milliseconds.
 */
export { LeaderElector } from "./elector.ts";
