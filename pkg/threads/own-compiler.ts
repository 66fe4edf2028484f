import { setFlagsFromString } from "node:v8";
import type { Worker } from "node:worker_threads";

let starting = 0; // Threads that V8 has not made yet.

/**
 * Starts a thread that compiles its code by itself, and may collect its garbage. Others hand that to V8's helper threads, and a real-time thread would wait for the lock
 * of their queue, on a busy machine for as long as a helper waits for a processor. V8 decides that when it makes the thread.
 */
export function withOwnCompiler(start: () => Worker): Worker {
  setFlagsFromString("--no-concurrent-recompilation");
  setFlagsFromString("--expose-gc"); // For `trimHeap`.
  starting++;
  let isStarting = true;
  const started = (): void => {
    if (!isStarting) return;
    isStarting = false;
    if (--starting === 0) setFlagsFromString("--concurrent-recompilation");
  };
  const worker = start();
  worker.once("online", started);
  worker.once("exit", started);
  return worker;
}
