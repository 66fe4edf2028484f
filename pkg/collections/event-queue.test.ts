import assert from "node:assert/strict";
import { test } from "node:test";
import { EventQueue } from "#pkg/collections";

test("events that are pushed while one is handled are handled after it, in order", () => {
  const handled: string[] = [];
  const queue = new EventQueue<string>(
    (event) => {
      if (event === "a") for (const next of ["b", "c"]) queue.push(next);
      handled.push(event);
    },
    () => handled.push("settled"),
  );
  queue.push("a");
  assert.deepEqual(handled, ["a", "b", "c", "settled"]);
});

test("an error of the handler reaches whoever pushed, and the queue goes on with the next event", () => {
  const handled: string[] = [];
  const queue = new EventQueue<string>((event) => {
    if (event === "bad") throw new Error("no");
    handled.push(event);
  });
  assert.throws(() => queue.push("bad"), /no/);
  queue.push("good");
  assert.deepEqual(handled, ["good"]);
});
