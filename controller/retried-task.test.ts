import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { RetriedTask } from "./retried-task.ts";

/** A task whose runs end when the test says so. */
function setUp() {
  const clock = new SimulatedClock();
  const ends: ((due: number | "retry") => void)[] = [];
  let runs = 0;
  const work = () => {
    runs++;
    const { promise, resolve } = Promise.withResolvers<number | "retry">();
    ends.push(resolve);
    return promise;
  };
  const task = new RetriedTask({ work, clock, random: () => 1 });
  /** @returns how often it has begun until now */
  const settled = async () => {
    for (let turn = 0; turn < 3; turn++) {
      await setImmediate();
      clock.advanceBy(0);
    }
    return runs;
  };
  const end = (due: number | "retry" = Infinity) => {
    ends.shift()?.(due);
    return settled();
  };
  return { task, clock, settled, end };
}

test("several requests of one turn run a task once, and requests during a run once more", async () => {
  const { task, settled, end } = setUp();
  task.request();
  task.request();
  assert.equal(await settled(), 1);
  task.request();
  task.request();
  assert.equal(await settled(), 1);
  assert.equal(await end(), 2);
  assert.equal(await end(), 2);
});

test("a task that fails runs again, later each time, and from the start after a success", async () => {
  const { task, clock, settled, end } = setUp();
  const waits: number[] = [];
  for (const due of ["retry", "retry", "retry", Infinity, "retry"] as const) {
    if (waits.at(-1) === Infinity || waits.length === 0) task.request();
    await settled();
    await end(due);
    const before = clock.now();
    waits.push(clock.advanceToNext() ? clock.now() - before : Infinity);
  }
  assert.deepEqual(waits, [200, 400, 800, Infinity, 200]);
});

test("a request ends the wait of a task, which is not run twice for that", async () => {
  const { task, clock, settled, end } = setUp();
  task.request();
  await settled();
  await end(5_000);
  clock.advanceTo(4_999);
  assert.equal(await settled(), 1);
  clock.advanceTo(5_000);
  assert.equal(await settled(), 2);
  await end(10_000);
  task.request();
  assert.equal(await settled(), 3);
  await end();
  clock.advanceTo(60_000);
  assert.equal(await settled(), 3);
});

test("closing waits for a run under way until the deadline, and lets no other begin", async () => {
  const { task, clock, settled, end } = setUp();
  task.request();
  await settled();
  task.request();
  let isClosed = false;
  const closing = task.close(1_000).then(() => {
    isClosed = true;
  });
  await settled();
  assert.equal(isClosed, false);
  assert.equal(await end("retry"), 1);
  await closing;
  task.request();
  assert.deepEqual([await settled(), clock.pending()], [1, []]);

  const stuck = setUp();
  stuck.task.request();
  await stuck.settled();
  const given = stuck.task.close(1_000);
  stuck.clock.advanceTo(1_000);
  await given;
  await setUp().task.close(1_000);
});
