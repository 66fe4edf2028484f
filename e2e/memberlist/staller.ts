/** Stops processes for an exact time, in a thread that runs before all others: one that came late would stop them for longer. */
import { parentPort } from "node:worker_threads";
import type { Millis } from "#pkg/clock";
import { becomeRealTime } from "#pkg/linux";

export interface Stall {
  readonly pid: number;
  readonly lasts: Millis;
}

becomeRealTime();
const nothing = new Int32Array(new SharedArrayBuffer(4));
parentPort?.on("message", ({ pid, lasts }: Stall) => {
  const from = performance.now();
  process.kill(pid, "SIGSTOP");
  Atomics.wait(nothing, 0, 0, lasts);
  process.kill(pid, "SIGCONT");
  parentPort?.postMessage(performance.now() - from);
});
