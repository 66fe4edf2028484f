import { readdirSync, readFileSync } from "node:fs";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import type { Worker } from "node:worker_threads";
import { becomeUrgent, releaseProgramPages } from "#pkg/linux";
import { trimHeap } from "./v8-heap.ts";

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

/**
 * Has V8 compile for speed what this process calls again and again, sooner than it would by itself: what is called fifteen times a second, as in
 * a thread at rest, is seen to be worth it only after many minutes, and takes a quarter more of a processor until then. Not to be called while a
 * process starts, when much is called a few hundred times and then no more.
 */
export function compileSooner(): void {
  // Numbers of calls; by itself V8 wants 400, 3000 and 500.
  for (const flag of [
    "invocation-count-for-maglev=100",
    "invocation-count-for-turbofan=300",
    "minimum-invocations-after-ic-update=100",
  ])
    setFlagsFromString(`--${flag}`);
}

// With 10,000 Services the heap of a speaker's main thread has some 50 MB.
const smallOctets = 32 * 2 ** 20;
const everyMs = 10_000;
const loadedOctets = 40 * 2 ** 20;
// With 100,000 Services there are hundreds of MB, which take V8 long to look through again and again.
const manyOctets = 128 * 2 ** 20;
// By itself V8 lets a heap grow to up to four times what lived when it was collected last. Marking begins on a fifth of the way, so after an eighth: also
// of the way that V8 chose before. A sooner beginning would have V8 collect without end while a long turn keeps this thread from changing that.
const [growthPercent, markingPercent] = [60, 20];
const lookMs = 200;
let isSaving: boolean | undefined; // Undefined until somebody has said.
let isCollectedSooner = false;
let hasLoaded = false;

/** V8 of all threads collects and gives back more, for more of a processor. */
function setSaving(isOn: boolean): void {
  if (isOn !== isSaving) setFlagsFromString(isOn ? "--memory-saver-mode" : "--no-memory-saver-mode");
  isSaving = isOn;
}

/** V8 of all threads begins to collect a heap that has grown by an eighth since the last time. */
function setCollectedSooner(isOn: boolean): void {
  if (isOn === isCollectedSooner) return;
  setFlagsFromString(`--heap-growing-percent=${isOn ? growthPercent : 0}`);
  setFlagsFromString(`--incremental-marking-hard-trigger=${isOn ? markingPercent : 0}`);
  isCollectedSooner = isOn;
}

/**
 * Has V8 collect more of what a process loads at its start, while its heap is large and not huge: of 10,000 Services and 5,000 nodes a third of the heap is garbage
 * by the end, whose room V8 then keeps. Pages of Node's program that the start alone needed are given back then, too. It goes on until
 * `keepSmallHeapsSmall` looks at the heap.
 */
export function saveWhileLoading(): void {
  const timer = setInterval(() => {
    const octets = getHeapStatistics().total_heap_size;
    if (hasLoaded || octets >= manyOctets) {
      if (!hasLoaded) setCollectedSooner(false);
      clearInterval(timer);
    } else if (octets >= loadedOctets && !isCollectedSooner) {
      setCollectedSooner(true);
      void releaseProgramPages();
    }
  }, lookMs).unref();
}

/**
 * Has V8 collect a small heap when it has grown by 2 MB, where by itself it waits for 8 MB: with four threads at rest that is 20 MB of garbage, which
 * comes within minutes and stays. Where there is much to do that would take up to a third more of a processor, so it ends while this thread's heap
 * is large, which is looked at every 10 s; one that became large while it loaded has it for as long. It holds for the heaps of all threads. This thread's is
 * trimmed first, if it is small. Not to be called while a process starts.
 */
export function keepSmallHeapsSmall(): void {
  if (getHeapStatistics().total_heap_size < smallOctets) trimHeap();
  const look = (): void => {
    setCollectedSooner(false);
    setSaving(getHeapStatistics().total_heap_size < smallOctets);
  };
  hasLoaded = true;
  if (isCollectedSooner) setSaving(true);
  else look();
  setInterval(look, everyMs).unref();
}

/**
 * Gives the threads with which V8 collects garbage the largest share of the machine's time. A thread that is real-time or urgent waits for them
 * when it collects, and on a machine without time to spare that would take as long as they wait for theirs.
 */
export function hurryGarbageCollection(): void {
  try {
    for (const thread of readdirSync("/proc/self/task"))
      if (readFileSync(`/proc/self/task/${thread}/comm`, "utf8").trim() === "V8Worker") becomeUrgent(Number(thread));
  } catch {
    // Without /proc they stay as they are.
  }
}
