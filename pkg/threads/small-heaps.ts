import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { trimHeap } from "./v8-heap.ts";

// With 10,000 Services the heap of a speaker's main thread has some 50 MB.
const smallOctets = 32 * 2 ** 20;
const everyMs = 10_000;

/**
 * Has V8 collect a small heap when it has grown by 2 MB, where by itself it waits for 8 MB: with four threads at rest that is 20 MB of garbage, which
 * comes within minutes and stays. Where there is much to do that would take up to a third more of a processor, so it ends while this thread's heap
 * is large, which is looked at every 10 s. It holds for the heaps of all threads. This thread's is trimmed first, if it is small. Not to be called
 * while a process starts.
 */
export function keepSmallHeapsSmall(): void {
  let isOn: boolean | undefined;
  if (getHeapStatistics().total_heap_size < smallOctets) trimHeap();
  const look = (): void => {
    const isSmall = getHeapStatistics().total_heap_size < smallOctets;
    if (isSmall !== isOn) setFlagsFromString(isSmall ? "--memory-saver-mode" : "--no-memory-saver-mode");
    isOn = isSmall;
  };
  look();
  setInterval(look, everyMs).unref();
}
