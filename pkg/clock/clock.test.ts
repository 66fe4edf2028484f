import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { backOff, SystemClock, systemRandom } from "#pkg/clock";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";

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

/** The clock over timers that run when the test says so, independent of the time. */
function system(t: TestContext) {
  const time = { now: 100.9 };
  t.mock.method(performance, "now", () => time.now);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const ran: number[] = [];
  const timer = new SystemClock().schedule("timer", 105.9, () => ran.push(time.now));
  const runTimers = (now: number, elapsed: number) => {
    time.now = now;
    t.mock.timers.tick(elapsed);
  };
  return { timer, ran, runTimers };
}

test("a timer that the system runs too early waits for the rest, and then runs once", (t) => {
  const { ran, runTimers } = system(t);
  runTimers(105.2, 5);
  assert.deepEqual(ran, []);
  runTimers(106.2, 1);
  assert.deepEqual(ran, [106.2]);
  runTimers(200, 100);
  assert.deepEqual(ran, [106.2]);
});

test("a timer that the system runs at its time or later runs at once", (t) => {
  for (const now of [105.9, 300]) {
    const { ran, runTimers } = system(t);
    runTimers(now, 5);
    assert.deepEqual(ran, [now]);
    t.mock.reset();
  }
});

test("a timer that waits for the rest can be disposed of", (t) => {
  const { timer, ran, runTimers } = system(t);
  runTimers(105.2, 5);
  timer[Symbol.dispose]();
  runTimers(106.2, 100);
  assert.deepEqual(ran, []);
});

test("a timer that is due already runs in a later turn, and one beyond the longest timeout of the system when it is due", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const ran: string[] = [];
  const clock = new SystemClock();
  clock.schedule("due", -1, () => ran.push("due"));
  clock.schedule("distant", 2 ** 32, () => ran.push("distant"));
  assert.deepEqual(ran, []);
  for (now of [1, 2 ** 31 - 1, 2 ** 32 - 2]) {
    t.mock.timers.tick(now === 1 ? 1 : 2 ** 31 - 1);
    assert.deepEqual(ran, ["due"]);
  }
  now = 2 ** 32;
  t.mock.timers.tick(2);
  assert.deepEqual(ran, ["due", "distant"]);
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

test("systemRandom is uniform in [0, 1), and does not draw from the predictable Math.random", (t) => {
  t.mock.method(Math, "random", () => 0.5);
  const numbers = Array.from({ length: 10_000 }, systemRandom);
  assert.equal(new Set(numbers).size, numbers.length);
  assert.ok(numbers.every((number) => number >= 0 && number < 1));
  for (let tenth = 0; tenth < 10; tenth++) {
    const count = numbers.filter((number) => Math.floor(number * 10) === tenth).length;
    assert.ok(count > 850 && count < 1_150, `${count} between ${tenth / 10} and ${(tenth + 1) / 10}`);
  }
});
