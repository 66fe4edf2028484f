/**
 * Loaded into speakers before their own code: at SIGUSR2 a thread of the process ends, whatever it is doing, without an error, as no code of ours
 * would have it: the one that has run for longest, so that each has its turn.
 */
import type { Worker } from "node:worker_threads";

const running: Worker[] = []; // The one that has run for longest comes first.
process.on("worker", (worker) => {
  running.push(worker);
  worker.once("exit", () => running.splice(running.indexOf(worker), 1));
});
process.on("SIGUSR2", () => void running[0]?.terminate());
