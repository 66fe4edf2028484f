import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis, Random } from "#pkg/clock";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { SimulatedProcess, type Time } from "./simulated-process.ts";

function started(bootedAt = 0, slowness?: Random) {
  const clock = new SimulatedClock();
  const time: Time = {
    get now() {
      return clock.now();
    },
    schedule: (at, fn) => void clock.schedule("test", at, fn),
  };
  return { clock, process: new SimulatedProcess("a", time, seededRandom(1), bootedAt, slowness) };
}

test("what is due while a process stands still is done in its order when it goes on, also where it stands still for longer than first said", () => {
  const { clock, process } = started();
  const done: string[] = [];
  process.stall(1_000);
  process.at(100, () => done.push("first"));
  clock.advanceTo(200);
  process.stall(2_000);
  process.at(300, () => done.push("second"));
  clock.advanceTo(2_199);
  assert.deepEqual(done, []);
  clock.advanceTo(2_200);
  assert.deepEqual(done, ["first", "second"]);
  process.stall(1_000);
  process.at(2_300, () => assert.fail("it has ended"));
  process.kill();
  clock.advanceTo(10_000);
});

test("a timer runs when its deadline is past, however the process's clock rounds that", () => {
  const { clock, process } = started(-123_456);
  let ran = 0;
  for (let i = 0; i < 1_000; i++) {
    const deadline = process.clock.now() + process.random() * 100;
    process.clock.schedule("test", deadline, () => {
      assert.ok(process.clock.now() > deadline);
      ran++;
    });
  }
  clock.advanceTo(200);
  assert.equal(ran, 1_000);
});

test("the work of a slow process takes time by its own clock, and what is due meanwhile waits until then", () => {
  const { clock, process } = started(0, seededRandom(2));
  const times: Millis[] = [];
  process.at(1, () => {
    for (let looks = 0; looks < 100; looks++) times.push(process.clock.now());
  });
  let done: Millis | undefined;
  process.at(2, () => {
    done = clock.now();
  });
  clock.advanceTo(1_000);
  const [first = NaN, last = NaN] = [times[0], times.at(-1)];
  assert.ok(last > first + 5 && last < 100, `from ${first} to ${last}`);
  assert.equal(done, last);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
});

test("who looks at a slow process from outside takes none of its time", () => {
  const slowness = { draws: 0 };
  const { process } = started(0, () => {
    slowness.draws++;
    return 0;
  });
  assert.equal(
    process.observe(() => process.clock.now()),
    0,
  );
  assert.deepEqual([slowness.draws, process.isStalled], [0, false]);
  process.clock.now();
  assert.equal(slowness.draws, 2);
});
