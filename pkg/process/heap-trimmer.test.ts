import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { getHeapStatistics } from "node:v8";
import { SimulatedClock } from "#pkg/clock/testing";
import { trimHeap } from "#pkg/threads";
import { type Heap, HeapTrimmer } from "./heap-trimmer.ts";

const mebibyte = 2 ** 20;

class FakeHeap implements Heap {
  octets = 40 * mebibyte;
  busy = 0;
  trims = 0;
  size() {
    return this.octets;
  }
  utilization() {
    return this.busy;
  }
  trim() {
    this.trims++;
    this.octets = Math.min(this.octets, 50 * mebibyte);
  }
}

test("a heap is trimmed when it has grown by 32 MiB, once the thread rests, and not again until it has grown as much", async () => {
  const clock = new SimulatedClock();
  const heap = new FakeHeap();
  using _ = new HeapTrimmer(clock, heap);
  const after = async (octets: number, busy: number) => {
    heap.octets = octets;
    heap.busy = busy;
    clock.advanceBy(10_000);
    await setImmediate();
    return heap.trims;
  };
  assert.equal(await after(71 * mebibyte, 0), 0, "too little");
  assert.equal(await after(150 * mebibyte, 0.5), 0, "there is work");
  assert.equal(await after(150 * mebibyte, 0.01), 1);
  assert.equal(await after(81 * mebibyte, 0), 1, "32 MiB above the 50 that were left");
  assert.equal(await after(82 * mebibyte, 0), 2);
});

test("one that is disposed of looks no more", () => {
  const clock = new SimulatedClock();
  const heap = new FakeHeap();
  new HeapTrimmer(clock, heap)[Symbol.dispose]();
  heap.octets = 1_000 * mebibyte;
  clock.advanceBy(60_000);
  assert.equal(heap.trims, 0);
});

test("trimming gives memory of objects that are gone back to the machine", () => {
  let objects: object[] | undefined = Array.from({ length: 1_000_000 }, (_, index) => ({ index }));
  assert.equal(objects.length, 1_000_000);
  const before = getHeapStatistics().total_heap_size;
  objects = undefined;
  trimHeap();
  assert.ok(getHeapStatistics().total_heap_size < before - 10 * mebibyte);
});
