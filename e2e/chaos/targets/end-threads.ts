/**
 * Loaded into speakers before their own code. At SIGUSR2 a thread of the process ends in the middle of its work, without an error, as none
 * of our code would do it: the one that has run for longest, so that each has its turn.
 */
import type { Worker } from "node:worker_threads";

const running: Worker[] = []; // The one that has run for longest comes first.
process.on("worker", (worker) => {
  // Not before it says something: a thread that still loads native code takes the process with it, and nothing of ours ends one then.
  worker.once("message", () => running.push(worker));
  worker.once("exit", () => {
    if (running.includes(worker)) running.splice(running.indexOf(worker), 1);
  });
});
process.on("SIGUSR2", () => void running[0]?.terminate());
