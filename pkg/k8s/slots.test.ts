import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { type Priority, Slots } from "./slots.ts";

/** Runs calls that end when told to; `started` is the order in which they began. */
function scene(total: number, background: number) {
  const slots = new Slots(total, background);
  const started: string[] = [];
  const finish = new Map<string, () => void>(); // name of a call -> ends it
  const ask = (priority: Priority, name: string): void =>
    void slots.run(priority, () => {
      started.push(name);
      return new Promise<void>((resolve) => finish.set(name, resolve));
    });
  return { started, finish, ask };
}

test("urgent calls go first, and background ones take only some of the places", async () => {
  const { started, finish, ask } = scene(3, 1);
  for (const name of ["e1", "e2"]) ask("background", name);
  for (const name of ["w1", "w2", "w3"]) ask("urgent", name);
  await setImmediate();
  assert.deepEqual(started, ["e1", "w1", "w2"]);
  finish.get("e1")?.();
  await setImmediate();
  assert.deepEqual(started, ["e1", "w1", "w2", "w3"]);
  finish.get("w1")?.();
  await setImmediate();
  assert.deepEqual(started, ["e1", "w1", "w2", "w3", "e2"]);
});

test("a call that fails gives its place back, and passes its error on", async () => {
  const slots = new Slots(1, 1);
  await assert.rejects(
    slots.run("urgent", () => Promise.reject(new Error("mine"))),
    /mine/,
  );
  assert.equal(await slots.run("background", () => Promise.resolve(7)), 7);
});
