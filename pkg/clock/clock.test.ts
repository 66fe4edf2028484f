import assert from "node:assert/strict";
import { test } from "node:test";
import { backOff, SimulatedClock, seededRandom } from "#pkg/clock";

test("simulated time runs timers in the order of their deadlines, and those of one instant in the order they were set", () => {
  const clock = new SimulatedClock(100);
  const ran: string[] = [];
  clock.schedule("late", 130, () => ran.push(`late@${clock.now()}`));
  clock.schedule("first", 120, () => ran.push(`first@${clock.now()}`));
  clock.schedule("second", 120, () => ran.push(`second@${clock.now()}`));
  clock.advanceTo(125);
  assert.deepEqual(ran, ["first@120", "second@120"]);
  assert.equal(clock.now(), 125);
  clock.advanceTo(200);
  assert.deepEqual(ran, ["first@120", "second@120", "late@130"]);
});

test("a timer set by a timer runs in the same move when it is due", () => {
  const clock = new SimulatedClock();
  const ran: number[] = [];
  const again = (): void => {
    ran.push(clock.now());
    clock.schedule("again", clock.now() + 10, again);
  };
  clock.schedule("again", 10, again);
  clock.advanceBy(35);
  assert.deepEqual(ran, [10, 20, 30]);
  assert.deepEqual(clock.pending(), ["again"]);
});

test("a disposed timer never runs", () => {
  const clock = new SimulatedClock();
  const timer = clock.schedule("never", 5, () => assert.fail("ran"));
  timer[Symbol.dispose]();
  clock.advanceBy(10);
  assert.equal(clock.advanceToNext(), false);
});

test("the same seed gives the same chances, another seed others", () => {
  const draw = (seed: number) => Array.from({ length: 4 }, seededRandom(seed));
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
  for (const value of draw(7)) assert.ok(value >= 0 && value < 1);
});

test("back-off doubles to its most, and chance takes at most half of it away", () => {
  const waits = (chance: number) => [0, 1, 2, 3, 50].map((attempt) => backOff(attempt, 100, 500, () => chance));
  assert.deepEqual(waits(0), [50, 100, 200, 250, 250]);
  assert.deepEqual(waits(1), [100, 200, 400, 500, 500]);
});
