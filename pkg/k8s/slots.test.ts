import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { type Priority, Slots } from "./slots.ts";

/** Runs calls that end when told to; `started` is the order in which they began. */
function scene(total: number, background: number) {
  const clock = new SimulatedClock();
  const slots = new Slots(total, background, clock);
  const started: string[] = [];
  const finish = new Map<string, () => void>(); // name of a call -> ends it
  const ask = (priority: Priority, name: string): void =>
    void slots.run(priority, () => {
      started.push(name);
      return new Promise<void>((resolve) => finish.set(name, resolve));
    });
  return { clock, started, finish, ask };
}

test("urgent calls go first, and background ones take only some of the places", async () => {
  const { clock, started, finish, ask } = scene(3, 1);
  for (const name of ["e1", "e2"]) ask("background", name);
  for (const name of ["w1", "w2", "w3"]) ask("urgent", name);
  await setImmediate();
  assert.deepEqual(started, ["e1", "w1", "w2"]);
  finish.get("e1")?.();
  await setImmediate();
  assert.deepEqual(started, ["e1", "w1", "w2", "w3"]);
  finish.get("w1")?.();
  clock.advanceBy(50);
  await setImmediate();
  assert.deepEqual(started, ["e1", "w1", "w2", "w3", "e2"]);
});

test("while many urgent calls follow one another, a background one begins now and then; soon after the last, all that may", async () => {
  const { clock, started, finish, ask } = scene(6, 3);
  const end = async (...names: string[]) => {
    for (const name of names) finish.get(name)?.();
    await setImmediate();
    return started.splice(0);
  };
  for (const name of ["w1", "w2", "w3", "w4", "w5"]) ask("urgent", name);
  for (const name of ["e1", "e2", "e3", "e4", "e5"]) ask("background", name);
  assert.deepEqual(await end(), ["w1", "w2", "w3", "w4", "w5", "e1"]);
  assert.deepEqual(await end("w1", "w2", "w3", "w4", "w5"), [], "the next ones begin in a moment");
  clock.advanceBy(20);
  for (const name of ["w6", "w7", "w8"]) ask("urgent", name);
  assert.deepEqual(await end("e1"), ["w6", "w7", "w8"], "not at once after the one before");
  clock.advanceBy(30);
  assert.deepEqual(await end(), ["e2"]);
  clock.advanceBy(60);
  assert.deepEqual(await end(), [], "one at a time");
  assert.deepEqual(await end("w6", "w7", "w8"), []);
  clock.advanceBy(60);
  assert.deepEqual(await end(), ["e3", "e4"]);
  assert.deepEqual(await end("e3"), ["e5"]);
});

test("a call that fails gives its place back, and passes its error on", async () => {
  const slots = new Slots(1, 1, new SimulatedClock());
  await assert.rejects(
    slots.run("urgent", () => Promise.reject(new Error("mine"))),
    /mine/,
  );
  assert.equal(await slots.run("background", () => Promise.resolve(7)), 7);
});
