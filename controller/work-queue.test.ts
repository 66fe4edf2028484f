import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock";
import { type Outcome, WorkPlan } from "./core/index.ts";
import { WorkQueue } from "./work-queue.ts";

/** A queue whose work ends when the test says so. */
function setUp(concurrency = 2) {
  const clock = new SimulatedClock();
  const started: string[] = [];
  const ends = new Map<string, (outcome: Outcome) => void>(); // key -> ends its work
  const queue = new WorkQueue({
    work: (key) => {
      started.push(key);
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      ends.set(key, resolve);
      return promise;
    },
    concurrency,
    clock,
    random: () => 1,
  });
  const run = () => {
    clock.advanceBy(0);
    return started.splice(0);
  };
  const end = async (key: string, outcome: Outcome = "done") => {
    ends.get(key)?.(outcome);
    await setImmediate();
    return run();
  };
  return { queue, clock, run, end };
}

test("keys are worked on in the order in which they came, as many at once as allowed", async () => {
  const { queue, run, end } = setUp();
  for (const key of ["c", "a", "b", "d"]) queue.add(key);
  assert.deepEqual(run(), ["c", "a"]);
  assert.deepEqual(await end("a"), ["b"]);
  assert.deepEqual(await end("c"), ["d"]);
});

test("a key that waits is not added twice, and keeps its place", () => {
  const { queue, run } = setUp();
  for (const key of ["a", "b", "a"]) queue.add(key);
  assert.deepEqual(run(), ["a", "b"]);
});

test("a key that is added while it is worked on is worked on once more, afterwards", async () => {
  const { queue, run, end } = setUp();
  queue.add("a");
  run();
  queue.add("a");
  queue.add("a");
  assert.deepEqual(run(), []);
  assert.deepEqual(await end("a"), ["a"]);
  assert.deepEqual(await end("a"), []);
});

test("what failed is tried again, later each time, and from the start after a success", async () => {
  const { queue, clock, run, end } = setUp();
  queue.add("a");
  run();
  const waits: number[] = [];
  for (const outcome of ["retry", "retry", "retry", "done"] as const) {
    await end("a", outcome);
    const before = clock.now();
    if (!clock.advanceToNext()) queue.add("a");
    run();
    waits.push(clock.now() - before);
  }
  assert.deepEqual(waits, [200, 400, 800, 0]);
  await end("a", "retry");
  clock.advanceBy(200);
  assert.deepEqual(run(), ["a"]);
});

test("a key that changes is not kept waiting for its next try, nor tried twice", async () => {
  const { queue, clock, run, end } = setUp();
  queue.add("a");
  run();
  await end("a", "retry");
  queue.add("a");
  assert.deepEqual(run(), ["a"]);
  clock.advanceBy(60_000);
  assert.deepEqual(await end("a"), []);
});

test("keys that need no waiting are worked off at once, and others get their turn in between", () => {
  const clock = new SimulatedClock();
  const done: string[] = [];
  const work = (key: string): Outcome => {
    done.push(key);
    return "done";
  };
  const queue = new WorkQueue({ work, concurrency: 1, clock, random: () => 1 });
  for (let i = 0; i < 1000; i++) queue.add(`${i}`);
  clock.advanceToNext();
  assert.equal(done.length, 200);
  clock.advanceBy(0);
  assert.equal(done.length, 1000);
});

test("closing waits for what is under way, and starts nothing more", async () => {
  const { queue, clock, run, end } = setUp(1);
  queue.add("a");
  queue.add("b");
  run();
  let closed = false;
  const closing = queue.close(clock.now() + 1000).then(() => {
    closed = true;
  });
  queue.add("c");
  await setImmediate();
  assert.equal(closed, false);
  assert.deepEqual(await end("a", "retry"), []);
  await closing;
  assert.deepEqual([run(), clock.pending()], [[], []]);
});

test("closing does not wait longer than its deadline, nor at all when nothing is under way", async () => {
  const { queue, clock, run, end } = setUp();
  queue.add("a");
  run();
  await end("a", "retry");
  await setUp().queue.close(0);
  queue.add("a");
  run();
  const closing = queue.close(clock.now() + 1000);
  clock.advanceBy(1000);
  await closing;
});

test("a namespace whose work does not end leaves places for the others", async () => {
  const { queue, run, end } = setUp(32);
  for (let i = 0; i < 200; i++) queue.add(`slow/${i}`);
  assert.equal(run().length, 16);
  queue.add("other/a");
  queue.add("third/a");
  assert.deepEqual(run(), ["other/a", "third/a"]);
  assert.deepEqual(await end("other/a"), []);
  queue.add("other/b");
  assert.deepEqual(run(), ["other/b"]);
});

test("namespaces take turns", async () => {
  const { queue, run, end } = setUp(1);
  for (const key of ["x/1", "x/2", "x/3", "y/1", "z/1"]) queue.add(key);
  const order = run();
  for (let i = 0; i < 4; i++) order.push(...(await end(order.at(-1) ?? "")));
  assert.deepEqual(order, ["x/1", "y/1", "z/1", "x/2", "x/3"]);
});

test("what fails gives its place up at once", async () => {
  const { queue, run, end } = setUp(1);
  queue.add("x/1");
  queue.add("x/2");
  assert.deepEqual(run(), ["x/1"]);
  assert.deepEqual(await end("x/1", "retry"), ["x/2"]);
});

const unavailable = { unavailableUntil: 0 };

test("what cannot be had for one key gives its place up, is tried later each time, and keeps no other waiting", async () => {
  const { queue, clock, run, end } = setUp(1);
  queue.add("x/1");
  assert.deepEqual(run(), ["x/1"]);
  for (const wait of [200, 400, 800]) {
    queue.add("x/2");
    assert.deepEqual(await end("x/1", unavailable), ["x/2"]);
    await end("x/2", "retry");
    queue.add("x/2");
    run();
    await end("x/2");
    clock.advanceBy(wait - 1);
    assert.deepEqual(run(), []);
    clock.advanceBy(1);
    assert.deepEqual(run(), ["x/1"]);
  }
});

/** An outage: five keys have failed, one after another. */
async function setUpOutage() {
  const s = setUp(32);
  const keys = ["v/1", "w/1", "x/1", "y/1", "z/1"];
  for (const key of keys) s.queue.add(key);
  s.run();
  for (const key of keys) assert.deepEqual(await s.end(key, unavailable), []);
  return s;
}

test("after five keys in a row that cannot be had each is tried in turn, later each time, and all when one can", async () => {
  const { queue, clock, run, end } = await setUpOutage();
  const waits: number[] = [];
  const tried: string[] = [];
  for (let i = 0; i < 10; i++) {
    const before = clock.now();
    let [key, ...more] = run();
    while (key === undefined && clock.advanceToNext()) [key, ...more] = run();
    assert.deepEqual(more, []);
    waits.push(clock.now() - before);
    tried.push(key ?? "");
    await end(key ?? "", unavailable);
  }
  assert.deepEqual(waits, [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000]);
  assert.deepEqual([new Set(tried.slice(0, 5)).size, tried.slice(0, 5)], [5, tried.slice(5)]);
  queue.add("new/1");
  clock.advanceBy(1_000);
  assert.deepEqual(run(), ["new/1"]);
  assert.equal((await end("new/1")).length, 5);
});

test("after a success it takes five keys again until each is tried in turn", async () => {
  const { queue, clock, run, end } = await setUpOutage();
  queue.add("new/1");
  clock.advanceBy(1_000);
  run();
  const started = await end("new/1");
  for (const key of started.slice(0, 4)) await end(key, unavailable);
  for (let i = 2; i < 6; i++) queue.add(`new/${i}`);
  assert.equal(run().length, 4);
});

test("in an outage a key that is new is tried within a second, the last one first, also while another one's trial does not end", async () => {
  const { queue, clock, run } = await setUpOutage();
  const isNew = (key: string) => key.startsWith("new/");
  clock.advanceBy(60_000);
  run();
  for (let i = 0; i < 4; i++) queue.add(`new/${i}`);
  const tried: string[] = [];
  for (let second = 0; second < 4; second++) {
    clock.advanceBy(1_000);
    tried.push(...run().filter(isNew));
  }
  assert.deepEqual([tried[0], new Set(tried).size, tried.length], ["new/3", 4, 4]);
});

test("in an outage nothing is tried before the instant that was asked for", async () => {
  const { queue, clock, run, end } = setUp(32);
  for (let i = 0; i < 5; i++) queue.add(`x/${i}`);
  for (const key of run()) await end(key, { unavailableUntil: 20_000 });
  queue.add("y/1");
  clock.advanceBy(19_999);
  assert.deepEqual(run(), []);
  clock.advanceBy(1);
  assert.deepEqual(run().includes("y/1"), true);
});

test("what needs no waiting is no sign that an outage is over, and is not kept waiting itself once the others may be tried", async () => {
  const clock = new SimulatedClock();
  const started: string[] = [];
  const work = (key: string) => {
    started.push(key);
    return key.startsWith("bad/") ? Promise.resolve<Outcome>(unavailable) : "done";
  };
  const queue = new WorkQueue({ work, concurrency: 32, clock, random: () => 1 });
  for (let i = 0; i < 5; i++) queue.add(`bad/${i}`);
  clock.advanceBy(0);
  await setImmediate();
  for (let i = 5; i < 20; i++) queue.add(`bad/${i}`);
  for (let i = 0; i < 100; i++) queue.add(`good/${i}`);
  started.length = 0;
  clock.advanceBy(200);
  await setImmediate();
  assert.equal(started.filter((key) => key.startsWith("good/")).length, 100);
  assert.ok(started.filter((key) => key.startsWith("bad/")).length <= 3, `${started}`);
});

test("keys that take long to fail have few of the places from then on", async () => {
  const { queue, clock, run, end } = setUp(32);
  const keys = Array.from({ length: 20 }, (_, i) => `${i}/slow`);
  for (const key of keys) queue.add(key);
  assert.equal(run().length, 20);
  clock.advanceBy(2_000);
  for (const key of keys) await end(key, "retry");
  clock.advanceBy(1_000);
  assert.equal(run().length, 4);
  for (let i = 0; i < 20; i++) queue.add(`${i}/new`);
  assert.equal(run().length, 20);
});

test("an instant that work asks for is waited for, unless the key is added before", async () => {
  const { queue, clock, run, end } = setUp();
  queue.add("a");
  run();
  await end("a", { at: 5_000 });
  clock.advanceBy(4_999);
  assert.deepEqual(run(), []);
  clock.advanceBy(1);
  assert.deepEqual(run(), ["a"]);
  await end("a", { at: 10_000 });
  queue.add("a");
  assert.deepEqual(run(), ["a"]);
});

test("what takes long is done some milliseconds at a time, with other tasks of the process between", () => {
  let now = 0;
  const turns: (() => void)[] = [];
  const started: string[] = [];
  const queue = new WorkQueue({
    work: (key) => {
      started.push(key);
      now += 2;
      return "done";
    },
    concurrency: 2,
    clock: {
      now: () => now,
      schedule: (_name, _at, turn) => {
        turns.push(turn);
        return { [Symbol.dispose]() {} };
      },
    },
    random: () => 1,
  });
  for (const key of ["a", "b", "c", "d"]) queue.add(key);
  turns.shift()?.();
  assert.deepEqual(started, ["a", "b", "c"]);
  turns.shift()?.();
  assert.deepEqual([started, turns.length], [["a", "b", "c", "d"], 0]);
});

/** The time in µs that the thread spends on adding keys of this many namespaces again during an outage. */
async function costOfAddingAgain(namespaces: number): Promise<number> {
  const { queue, clock, run, end } = setUp(8);
  const keys = Array.from({ length: namespaces }, (_, index) => `${index}/a`);
  for (const key of keys) queue.add(key);
  for (const key of run()) await end(key, { unavailableUntil: clock.now() + 1_000 });
  const before = process.threadCpuUsage();
  for (const key of keys) queue.add(key);
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}

test("in an outage a key that is added costs the same with thousands of namespaces as with hundreds", async () => {
  let among500 = 0;
  for (let time = 0; time < 10; time++) among500 += await costOfAddingAgain(500);
  const among5000 = await costOfAddingAgain(5_000);
  // A look at all namespaces for each key would be ten times as much.
  assert.ok(among5000 < 4 * among500, `${among5000} µs among 5,000, ${among500} among 500`);
});

test("of namespaces that have keys of several kinds the one comes first that has waited longest, with its new key", () => {
  const plan = new WorkPlan(2, () => 1);
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
