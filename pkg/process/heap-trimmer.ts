import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { Clock } from "#pkg/clock";
import { releaseProgramPages } from "#pkg/linux";
import { trimHeap } from "#pkg/threads";

const everyMs = 10_000;
const grownOctets = 32 * 2 ** 20;
const restingUtilization = 0.1;

/** The parts of a process that the trimmer reads and acts on, and that a test replaces. */
export interface Heap {
  /** What V8 has of the machine for this thread's objects, in octets. */
  size(): number;
  /** The part of the time since it was asked last in which this thread was not idle, 0 to 1. */
  utilization(): number;
  trim(): void | Promise<void>;
}

/**
 * Gives back the garbage of a burst of work in this thread's heap, such as 10,000 Services that get addresses at once: V8 collects garbage
 * when new objects are made, and an idle thread makes none. Looks every 10 s, and trims when the thread was idle for nearly all of them and
 * the heap is 32 MB larger than after the last time, which takes some 100 ms.
 */
export class HeapTrimmer implements Disposable {
  readonly #clock: Clock;
  readonly #heap: Heap;
  #sizeAtRest: number;
  #timer: Disposable;

  constructor(clock: Clock, heap: Heap = ownHeap()) {
    this.#clock = clock;
    this.#heap = heap;
    this.#sizeAtRest = heap.size();
    this.#timer = this.#schedule();
  }

  #schedule(): Disposable {
    return this.#clock.schedule("heap trimmer", this.#clock.now() + everyMs, () => {
      void this.#look();
      this.#timer = this.#schedule();
    });
  }

  async #look(): Promise<void> {
    const isResting = this.#heap.utilization() < restingUtilization;
    if (!isResting || this.#heap.size() < this.#sizeAtRest + grownOctets) return;
    await this.#heap.trim();
    this.#sizeAtRest = this.#heap.size();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}

function ownHeap(): Heap {
  let last = performance.eventLoopUtilization();
  return {
    size: () => getHeapStatistics().total_heap_size,
    utilization: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    trim: async () => {
      await releaseProgramPages(); // First, because objects are twice there while they are moved: else nothing takes more than this.
      trimHeap();
    },
  };
}
