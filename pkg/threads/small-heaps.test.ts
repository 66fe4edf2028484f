import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

/**
 * @param rules functions that are called first, of those for V8's heaps
 * @returns the most that V8 had for objects, in MB, while a process replaced so many objects, one after another
 */
function mostHeap(objects: number, ...rules: readonly ("keepSmallHeapsSmall" | "saveWhileLoading")[]): number {
  const script = `
    const { getHeapStatistics } = await import("node:v8");
    const { setTimeout: sleep } = await import("node:timers/promises");
    const threads = await import("#pkg/threads");
    const one = (i) => ({ i, all: [i, i, i, i] });
    const live = Array.from({ length: ${objects} }, (_, i) => one(i));
    threads.trimHeap(); // From here on V8 has a limit that follows from what lives.
    for (const rule of ${JSON.stringify(rules)}) {
      threads[rule]();
      if (rule === "saveWhileLoading") await sleep(500); // It looks at the heap some times a second.
    }
    let most = 0;
    for (let i = 0; i < 1_000_000; i++) {
      live[i % live.length] = one(i);
      if (i % 1_000 === 0) most = Math.max(most, getHeapStatistics().total_heap_size);
    }
    console.log(most / 1e6);`;
  // One thread, so that no other thread's pace decides when garbage is collected.
  const flags = ["--single-threaded", "--no-incremental-marking", "--max-semi-space-size=2", "--input-type=module"];
  return Number(execFileSync(process.execPath, [...flags, "--eval", script], { encoding: "utf8" }));
}

test("a small heap grows less before it is collected, and a large one as by itself", () => {
  assert.ok(mostHeap(20_000, "keepSmallHeapsSmall") < 0.8 * mostHeap(20_000));
  assert.ok(mostHeap(500_000, "keepSmallHeapsSmall") > 0.95 * mostHeap(500_000));
});

test("a heap that is large while a process loads grows less before it is collected, also when the process has loaded; a small one as by itself", () => {
  const byItself = mostHeap(500_000);
  assert.ok(mostHeap(500_000, "saveWhileLoading") < 0.9 * byItself);
  assert.ok(mostHeap(500_000, "saveWhileLoading", "keepSmallHeapsSmall") < 0.9 * byItself);
  assert.ok(mostHeap(20_000, "saveWhileLoading") > 0.95 * mostHeap(20_000));
});

/** @returns the most that V8 had for objects, in MB, while a process loaded five times what it keeps in the end */
function mostWhileLoading(isSaving: boolean): number {
  const script = `
    const { getHeapStatistics } = await import("node:v8");
    const { setTimeout: sleep } = await import("node:timers/promises");
    const threads = await import("#pkg/threads");
    threads.trimHeap();
    if (${isSaving}) threads.saveWhileLoading();
    const live = [];
    let most = 0;
    for (let turn = 0; turn < 40; turn++) {
      for (let i = 0; i < 20_000; i++) live[i + 20_000 * (turn % 8)] = { i, all: [i, i, i, i] };
      await sleep(20);
      most = Math.max(most, getHeapStatistics().total_heap_size);
    }
    console.log(most / 1e6);`;
  const flags = ["--max-semi-space-size=2", "--input-type=module"];
  return Number(execFileSync(process.execPath, [...flags, "--eval", script], { encoding: "utf8" }));
}

test("a heap that becomes large while a process loads is collected then, and not only where V8 would do so by itself", () => {
  // V8 marks garbage in threads of its own, which begin late where the processors are busy.
  const twice = (isSaving: boolean) => [mostWhileLoading(isSaving), mostWhileLoading(isSaving)];
  assert.ok(Math.min(...twice(true)) < 0.8 * Math.max(...twice(false)));
});
