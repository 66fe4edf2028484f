import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { forOneTurn, inPortions, inTurns, Portions } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";

test("so many portions are done in a turn, everybody's in turn", () => {
  const clock = new SimulatedClock();
  const portions = new Portions(clock, 3);
  const done: string[] = [];
  const work = (name: string, count: number): void => {
    portions.do(() => {
      done.push(name);
      if (count > 1) work(name, count - 1);
    });
  };
  work("a", 4);
  work("b", 3);
  assert.deepEqual(done.splice(0), ["a", "a", "a"]);
  clock.advanceToNext();
  assert.deepEqual(done.splice(0), ["a", "b", "b"]);
  clock.advanceToNext();
  assert.deepEqual(done.splice(0), ["b"]);
  clock.advanceToNext();
  work("c", 1);
  assert.deepEqual(done.splice(0), ["c"]);
});

test("a portion that fails is its caller's error, and the others are done", () => {
  const clock = new SimulatedClock();
  const portions = new Portions(clock, 1);
  let done = 0;
  const fail = (): void => {
    throw new Error("no");
  };
  assert.throws(() => portions.do(fail), /no/);
  portions.do(fail);
  portions.do(() => done++);
  assert.throws(() => clock.advanceBy(0), /no/);
  clock.advanceBy(0);
  assert.equal(done, 1);
});

test("nothing is done after disposal", () => {
  const clock = new SimulatedClock();
  const portions = new Portions(clock, 1);
  let done = 0;
  for (let i = 0; i < 3; i++) portions.do(() => done++);
  portions[Symbol.dispose]();
  clock.advanceBy(1_000);
  assert.equal(done, 1);
});

test("work is done in portions, each up to where it yields, and what it returns is the end of it", async () => {
  const clock = new SimulatedClock();
  const portions = new Portions(clock, 2);
  const done: number[] = [];
  const result = inPortions(
    portions,
    (function* () {
      for (let step = 0; step < 4; step++) {
        done.push(step);
        yield;
      }
      return "end";
    })(),
  );
  const turns: number[][] = [];
  for (let turn = 0; turn < 3; turn++) {
    await setImmediate();
    turns.push(done.splice(0));
    clock.advanceToNext();
  }
  assert.deepEqual(turns, [[0, 1], [2, 3], []]);
  assert.equal(await result, "end");
});

test("work in turns hands over at the first yield after 5 ms, and not before", async () => {
  const clock = new SimulatedClock();
  const done: number[] = [];
  function* work(): Generator<undefined, string> {
    for (let i = 1; i <= 7; i++) {
      clock.advanceBy(2);
      done.push(i);
      yield;
    }
    return "all";
  }
  const result = inTurns(clock, work());
  assert.deepEqual(done, [1, 2, 3]);
  assert.deepEqual(clock.pending(), ["next turn"]);
  clock.advanceBy(0);
  await setImmediate();
  assert.deepEqual(done, [1, 2, 3, 4, 5, 6]);
  clock.advanceBy(0);
  assert.equal(await result, "all");
});

test("a turn does as many small pieces of work as fit into some milliseconds, and no more than 200", () => {
  let now = 0;
  let done = 0;
  const clock = { now: () => now, schedule: () => ({ [Symbol.dispose]() {} }) };
  const piece = (tookMs: number, last: number) => () => {
    now += tookMs;
    return ++done < last;
  };
  assert.deepEqual([forOneTurn(clock, piece(2, 4)), done], [true, 3]);
  assert.deepEqual([forOneTurn(clock, piece(2, 4)), done], [false, 4]);
  done = 0;
  assert.deepEqual([forOneTurn(clock, piece(0, 1_000)), done], [true, 200]);
});
