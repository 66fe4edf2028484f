import assert from "node:assert/strict";
import { test } from "node:test";
import { Alarm } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { type Outcome, WorkPlan } from "./work-plan.ts";

/** A plan by which keys are begun as soon as they can be, and whose work ends when the test says so. */
function setUp(concurrency = 2) {
  const clock = new SimulatedClock();
  const plan = new WorkPlan(concurrency, { random: () => 1 });
  const started: string[] = [];
  const alarm = new Alarm(clock, "plan", () => {
    for (let begun = plan.begin(clock.now()); begun !== undefined; begun = plan.begin(clock.now())) {
      plan.goesOn(begun, clock.now());
      started.push(begun.key);
    }
    look();
  });
  const look = () => alarm.set(Math.max(plan.deadline, clock.now()));
  const add = (key: string) => {
    plan.add(key);
    look();
  };
  const run = () => {
    clock.advanceBy(0);
    return started.splice(0);
  };
  const end = (key: string, outcome: Outcome = "done") => {
    plan.endLate(key, outcome, clock.now());
    look();
    return run();
  };
  return { plan, add, clock, run, end };
}

test("keys are worked on in the order in which they came, as many at once as allowed", () => {
  const { add, run, end } = setUp();
  for (const key of ["c", "a", "b", "d"]) add(key);
  assert.deepEqual(run(), ["c", "a"]);
  assert.deepEqual(end("a"), ["b"]);
  assert.deepEqual(end("c"), ["d"]);
});

test("a key that waits is not added twice, and keeps its place", () => {
  const { add, run } = setUp();
  for (const key of ["a", "b", "a"]) add(key);
  assert.deepEqual(run(), ["a", "b"]);
});

test("a key that is added while it is worked on is worked on once more, afterwards", () => {
  const { add, run, end } = setUp();
  add("a");
  run();
  add("a");
  add("a");
  assert.deepEqual(run(), []);
  assert.deepEqual(end("a"), ["a"]);
  assert.deepEqual(end("a"), []);
});

test("what failed is tried again, later each time, and from the start after a success", () => {
  const { add, clock, run, end } = setUp();
  add("a");
  run();
  const waits: number[] = [];
  for (const outcome of ["retry", "retry", "retry", "done"] as const) {
    end("a", outcome);
    const before = clock.now();
    if (!clock.advanceToNext()) add("a");
    run();
    waits.push(clock.now() - before);
  }
  assert.deepEqual(waits, [200, 400, 800, 0]);
  end("a", "retry");
  clock.advanceBy(200);
  assert.deepEqual(run(), ["a"]);
});

test("a key that changes is not kept waiting for its next try, nor tried twice", () => {
  const { add, clock, run, end } = setUp();
  add("a");
  run();
  end("a", "retry");
  add("a");
  assert.deepEqual(run(), ["a"]);
  clock.advanceBy(60_000);
  assert.deepEqual(end("a"), []);
});

test("a namespace whose work does not end leaves places for the others", () => {
  const { add, run, end } = setUp(32);
  for (let i = 0; i < 200; i++) add(`slow/${i}`);
  assert.equal(run().length, 16);
  add("other/a");
  add("third/a");
  assert.deepEqual(run(), ["other/a", "third/a"]);
  assert.deepEqual(end("other/a"), []);
  add("other/b");
  assert.deepEqual(run(), ["other/b"]);
});

test("namespaces take turns", () => {
  const { add, run, end } = setUp(1);
  for (const key of ["x/1", "x/2", "x/3", "y/1", "z/1"]) add(key);
  const order = run();
  for (let i = 0; i < 4; i++) order.push(...end(order.at(-1) ?? ""));
  assert.deepEqual(order, ["x/1", "y/1", "z/1", "x/2", "x/3"]);
});

test("what fails gives its place up at once", () => {
  const { add, run, end } = setUp(1);
  add("x/1");
  add("x/2");
  assert.deepEqual(run(), ["x/1"]);
  assert.deepEqual(end("x/1", "retry"), ["x/2"]);
});

const unavailable = { unavailableUntil: 0 };

test("what cannot be had for one key gives its place up, is tried later each time, and keeps no other waiting", () => {
  const { add, clock, run, end } = setUp(1);
  add("x/1");
  assert.deepEqual(run(), ["x/1"]);
  for (const wait of [200, 400, 800]) {
    add("x/2");
    assert.deepEqual(end("x/1", unavailable), ["x/2"]);
    end("x/2", "retry");
    add("x/2");
    run();
    end("x/2");
    clock.advanceBy(wait - 1);
    assert.deepEqual(run(), []);
    clock.advanceBy(1);
    assert.deepEqual(run(), ["x/1"]);
  }
});

/** An outage: five keys have failed, one after another. */
function setUpOutage() {
  const s = setUp(32);
  const keys = ["v/1", "w/1", "x/1", "y/1", "z/1"];
  for (const key of keys) s.add(key);
  s.run();
  for (const key of keys) assert.deepEqual(s.end(key, unavailable), []);
  return s;
}

test("after five keys in a row that cannot be had each is tried in turn, later each time, and all when one can", () => {
  const { add, clock, run, end } = setUpOutage();
  const waits: number[] = [];
  const tried: string[] = [];
  for (let i = 0; i < 10; i++) {
    const before = clock.now();
    let [key, ...more] = run();
    while (key === undefined && clock.advanceToNext()) [key, ...more] = run();
    assert.deepEqual(more, []);
    waits.push(clock.now() - before);
    tried.push(key ?? "");
    end(key ?? "", unavailable);
  }
  assert.deepEqual(waits, [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000]);
  assert.deepEqual([new Set(tried.slice(0, 5)).size, tried.slice(0, 5)], [5, tried.slice(5)]);
  add("new/1");
  clock.advanceBy(1_000);
  assert.deepEqual(run(), ["new/1"]);
  assert.equal(end("new/1").length, 5);
});

test("after a success it takes five keys again until each is tried in turn", () => {
  const { add, clock, run, end } = setUpOutage();
  add("new/1");
  clock.advanceBy(1_000);
  run();
  const started = end("new/1");
  for (const key of started.slice(0, 4)) end(key, unavailable);
  for (let i = 2; i < 6; i++) add(`new/${i}`);
  assert.equal(run().length, 4);
});

test("in an outage a key that is new is tried within a second, the last one first, also while another one's trial does not end", () => {
  const { add, clock, run } = setUpOutage();
  const isNew = (key: string) => key.startsWith("new/");
  clock.advanceBy(60_000);
  run();
  for (let i = 0; i < 4; i++) add(`new/${i}`);
  const tried: string[] = [];
  for (let second = 0; second < 4; second++) {
    clock.advanceBy(1_000);
    tried.push(...run().filter(isNew));
  }
  assert.deepEqual([tried[0], new Set(tried).size, tried.length], ["new/3", 4, 4]);
});

test("in an outage nothing is tried before the instant that was asked for", () => {
  const { add, clock, run, end } = setUp(32);
  for (let i = 0; i < 5; i++) add(`x/${i}`);
  for (const key of run()) end(key, { unavailableUntil: 20_000 });
  add("y/1");
  clock.advanceBy(19_999);
  assert.deepEqual(run(), []);
  clock.advanceBy(1);
  assert.deepEqual(run().includes("y/1"), true);
});

test("what needs no waiting is no sign that an outage is over, and is not kept waiting itself once the others may be tried", () => {
  const plan = new WorkPlan(32, { random: () => 1 });
  const work = (now: number) => {
    const started: string[] = [];
    for (let begun = plan.begin(now); begun !== undefined; begun = plan.begin(now)) {
      started.push(begun.key);
      if (begun.key.startsWith("good/")) plan.end(begun.key, "done", now);
      else plan.goesOn(begun, now);
    }
    for (const key of started) if (key.startsWith("bad/")) plan.endLate(key, unavailable, now);
    return started;
  };
  for (let i = 0; i < 5; i++) plan.add(`bad/${i}`);
  work(0);
  for (let i = 5; i < 20; i++) plan.add(`bad/${i}`);
  for (let i = 0; i < 100; i++) plan.add(`good/${i}`);
  const started = [...work(100), ...work(200)];
  assert.equal(started.filter((key) => key.startsWith("good/")).length, 100);
  assert.ok(started.filter((key) => key.startsWith("bad/")).length <= 3, `${started}`);
});

test("a plan that is closed begins nothing more", () => {
  const { plan, add, clock, run, end } = setUp(1);
  add("a");
  add("b");
  run();
  plan.close();
  add("c");
  assert.deepEqual(end("a", "retry"), []);
  assert.deepEqual([run(), clock.pending()], [[], []]);
});
test("keys that take long to fail have few of the places from then on", () => {
  const { add, clock, run, end } = setUp(32);
  const keys = Array.from({ length: 20 }, (_, i) => `${i}/slow`);
  for (const key of keys) add(key);
  assert.equal(run().length, 20);
  clock.advanceBy(2_000);
  for (const key of keys) end(key, "retry");
  clock.advanceBy(1_000);
  assert.equal(run().length, 4);
  for (let i = 0; i < 20; i++) add(`${i}/new`);
  assert.equal(run().length, 20);
});

test("an instant that work asks for is waited for, unless the key is added before", () => {
  const { add, clock, run, end } = setUp();
  add("a");
  run();
  end("a", { at: 5_000 });
  clock.advanceBy(4_999);
  assert.deepEqual(run(), []);
  clock.advanceBy(1);
  assert.deepEqual(run(), ["a"]);
  end("a", { at: 10_000 });
  add("a");
  assert.deepEqual(run(), ["a"]);
});

/** The time in ms that adding keys of this many namespaces again takes during an outage. */
function costOfAddingAgain(namespaces: number): number {
  const { add, clock, run, end } = setUp(8);
  const keys = Array.from({ length: namespaces }, (_, index) => `${index}/a`);
  for (const key of keys) add(key);
  for (const key of run()) end(key, { unavailableUntil: clock.now() + 1_000 });
  const before = performance.now();
  for (const key of keys) add(key);
  return performance.now() - before;
}

test("in an outage a key that is added costs the same with thousands of namespaces as with hundreds", () => {
  // The least of several in turn: whatever else the thread or the machine does meanwhile only adds to it, on a busy machine to all of twenty.
  let [among500, among5000] = [Infinity, Infinity];
  for (let time = 0; time < 20 || (among5000 >= 4 * among500 && time < 200); time++) {
    const tenTimes500 = Array.from({ length: 10 }, () => costOfAddingAgain(500));
    among500 = Math.min(
      among500,
      tenTimes500.reduce((sum, cost) => sum + cost),
    );
    among5000 = Math.min(among5000, costOfAddingAgain(5_000));
  }
  // A look at all namespaces for each key would be ten times as much.
  assert.ok(among5000 < 4 * among500, `${among5000} ms among 5,000, ${among500} among 500`);
});

test("of namespaces that have keys of several kinds the one comes first that has waited longest, with its new key", () => {
  const plan = new WorkPlan(2, { random: () => 1 });
  const run = () => [plan.begin(1_000)?.key, plan.begin(1_000)?.key];
  plan.add("a/1");
  plan.add("b/1");
  assert.deepEqual(run(), ["a/1", "b/1"]);
  plan.endLate("a/1", "retry", 0);
  plan.endLate("b/1", "retry", 0);
  for (const key of ["a/1", "b/1"]) plan.add(key); // Both wait to be tried again.
  plan.add("c/1");
  plan.add("b/2");
  plan.add("a/2");
  assert.deepEqual(run(), ["a/2", "b/2"]);
  plan.endLate("a/2", "done", 1_000);
  assert.deepEqual(run(), ["c/1", undefined]);
  plan.endLate("b/2", "done", 1_000);
  assert.deepEqual(run(), ["a/1", undefined]);
  plan.endLate("a/1", "done", 1_000);
  assert.deepEqual(run(), ["b/1", undefined]);
});
