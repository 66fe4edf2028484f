import assert from "node:assert/strict";
import { test } from "node:test";
import { Alarm, sleep } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";

function alarm() {
  const clock = new SimulatedClock();
  const ran: number[] = [];
  return { clock, ran, alarm: new Alarm(clock, "alarm", () => ran.push(clock.now())) };
}

test("an alarm runs once, when it was set to last", () => {
  const { clock, ran, alarm: it } = alarm();
  it.set(10);
  it.set(30);
  assert.equal(it.at, 30);
  clock.advanceTo(100);
  assert.deepEqual(ran, [30]);
  assert.equal(it.at, Infinity);
});

test("an alarm that is to run no later than some time keeps an earlier one", () => {
  const { clock, ran, alarm: it } = alarm();
  for (const at of [30, 50, 20, 25]) it.setNoLater(at);
  assert.deepEqual(clock.pending(), ["alarm"]);
  clock.advanceTo(100);
  assert.deepEqual(ran, [20]);
});

test("an alarm can be set again from within, and to the time at which it just ran", () => {
  const clock = new SimulatedClock();
  const ran: number[] = [];
  const it = new Alarm(clock, "alarm", () => {
    ran.push(clock.now());
    if (ran.length < 3) it.set(ran.length === 1 ? clock.now() : clock.now() + 5);
  });
  it.set(10);
  clock.advanceTo(100);
  assert.deepEqual(ran, [10, 10, 15]);
});

test("an alarm that is set to Infinity or disposed of leaves no timer", () => {
  const { clock, ran, alarm: it } = alarm();
  it.set(10);
  it.set(Infinity);
  assert.deepEqual(clock.pending(), []);
  it.set(10);
  it[Symbol.dispose]();
  clock.advanceTo(100);
  assert.deepEqual(ran, []);
});

test("a sleep ends when its time is over, or when the signal aborts, and leaves no timer", async () => {
  const clock = new SimulatedClock();
  const over = sleep(clock, "sleep", 10);
  clock.advanceBy(10);
  await over;
  const abort = new AbortController();
  const aborted = sleep(clock, "sleep", 10, abort.signal);
  abort.abort();
  await aborted;
  await sleep(clock, "sleep", 10, abort.signal);
  assert.deepEqual(clock.pending(), []);
});
