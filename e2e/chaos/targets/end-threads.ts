/**
 * Loaded into speakers before their own code: at SIGUSR2 a thread of the process ends, whatever it is doing, without an error, as no code of ours
 * would have it. The signal comes again for the next one: the ring's, that of layer 2, that of BFD.
 */
import type { Worker } from "node:worker_threads";

const running: Worker[] = []; // The one that has run for longest comes first.
process.on("worker", (worker) => {
  running.push(worker);
  worker.once("exit", () => running.splice(running.indexOf(worker), 1));
});
process.on("SIGUSR2", () => void running[0]?.terminate());
