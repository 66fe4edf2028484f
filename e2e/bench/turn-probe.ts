/**
 * To be loaded into a process before its program (`node --import`): prints once a second the longest that its main thread was busy without
 * a look at its timers, as `longest turn WALL ms, CPU ms of it, GC ms in collections, NUMBER`, counted from 1. CPU is the thread's own, so that a
 * busy machine is told from a busy thread; GC is the time by the clock in which V8 collected garbage and the thread stood still.
 */
import { type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  let longest = { start: 0, wall: 0, cpu: 0 };
  let printed = 0;
  let last = { wall: performance.now(), cpu: cpuMilliseconds() };
  let collections: PerformanceEntry[] = [];
  new PerformanceObserver((list) => collections.push(...list.getEntries())).observe({ entryTypes: ["gc"] });
  const look = (): void => {
    const now = { wall: performance.now(), cpu: cpuMilliseconds() };
    const cpu = now.cpu - last.cpu;
    if (cpu > longest.cpu) longest = { start: last.wall, wall: now.wall - last.wall, cpu };
    last = now;
    setTimeout(look, 1).unref();
  };
  look();
  setInterval(() => {
    const { start, wall, cpu } = longest;
    const inIt = collections.filter((entry) => entry.startTime >= start && entry.startTime <= start + wall);
    const collecting = inIt.reduce((sum, { duration }) => sum + duration, 0);
    const times = [wall, cpu, collecting].map((time) => time.toFixed(1));
    console.error(`longest turn ${times[0]} ms, ${times[1]} ms of it, ${times[2]} ms in collections, ${++printed}`);
    longest = { start: 0, wall: 0, cpu: 0 };
    collections = [];
  }, 1_000).unref();
}

function cpuMilliseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
