/**
 * To be loaded into a process before its program (`node --expose-gc --import`): on SIGUSR2 it collects all garbage and prints what is left, as
 * `left HEAP octets, EXTERNAL octets, BUFFERS octets, TIMERS timers, NUMBER`, counted from 1. BUFFERS is the part of EXTERNAL that array buffers
 * have. With `--diagnostic-dir` it also leaves a heap snapshot there, the first, second, fourth, eighth time and so on.
 */
import { join } from "node:path";
import { writeHeapSnapshot } from "node:v8";
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  let printed = 0;
  const folder = process.execArgv.find((flag) => flag.startsWith("--diagnostic-dir="))?.replace(/^.*?=/, "");
  const name = process.argv[1]?.replace(/^.*\//, "").replace(/\.js$/, "");
  process.on("SIGUSR2", () => {
    for (let i = 0; i < 3; i++) globalThis.gc?.();
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    const timers = process.getActiveResourcesInfo().filter((each) => each === "Timeout" || each === "Immediate").length;
    console.error(`left ${heapUsed} octets, ${external} octets, ${arrayBuffers} octets, ${timers} timers, ${++printed}`);
    const isDue = (printed & (printed - 1)) === 0;
    if (folder !== undefined && isDue) writeHeapSnapshot(join(folder, `${name}-${printed}.heapsnapshot`));
  });
}
