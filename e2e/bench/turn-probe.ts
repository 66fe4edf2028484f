/**
 * To be loaded into a process before its program (`node --import`): prints once a second the longest that its main thread was busy without
 * a look at its timers, as `longest turn WALL ms, CPU ms of it, NUMBER`, counted from 1. CPU is the thread's own, so that a busy machine is told from a busy thread.
 */
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  let longest = { wall: 0, cpu: 0 };
  let printed = 0;
  let last = { wall: performance.now(), cpu: cpuMilliseconds() };
  const look = (): void => {
    const now = { wall: performance.now(), cpu: cpuMilliseconds() };
    const cpu = now.cpu - last.cpu;
    if (cpu > longest.cpu) longest = { wall: now.wall - last.wall, cpu };
    last = now;
    setTimeout(look, 1).unref();
  };
  look();
  setInterval(() => {
    console.error(`longest turn ${longest.wall.toFixed(1)} ms, ${longest.cpu.toFixed(1)} ms of it, ${++printed}`);
    longest = { wall: 0, cpu: 0 };
  }, 1_000).unref();
}

function cpuMilliseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
