/**
 * Loaded into speakers before their own code. At SIGUSR2 a thread of the process ends in the middle of its work, without an error, as none
 * of our code would do it: the one that has run for longest, so that each has its turn.
 */
import type { Worker } from "node:worker_threads";

const running: Worker[] = []; // The one that has run for longest comes first.
process.on("worker", (worker) => {
  running.push(worker);
  worker.once("exit", () => running.splice(running.indexOf(worker), 1));
});
process.on("SIGUSR2", () => void running[0]?.terminate());
