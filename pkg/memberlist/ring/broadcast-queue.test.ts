import assert from "node:assert/strict";
import { test } from "node:test";
import type { PacketMessage } from "../messages.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";

/** Encoded, its length is its payload's and one. */
function message(length: number, mark = 0): PacketMessage {
  return { type: "user", payload: new Uint8Array(length - 1).fill(mark) };
}

/** Lengths of what is taken. */
function take(queue: BroadcastQueue, budget: number, limit = 4): number[] {
  return queue.take(budget, limit).map((taken) => (taken.type === "user" ? taken.payload.length + 1 : 0));
}

test("within one transmit count the longest that fits goes first", () => {
  const queue = new BroadcastQueue();
  for (const length of [10, 50, 30]) queue.add(`${length}`, message(length));
  assert.deepEqual(take(queue, 1000), [50, 30, 10]);
});

test("what was sent least often goes first, whatever its length", () => {
  const queue = new BroadcastQueue();
  queue.add("old", message(50));
  take(queue, 1000);
  queue.add("new", message(10));
  assert.deepEqual(take(queue, 1000), [10, 50]);
});

test("among equals the newest goes first", () => {
  const queue = new BroadcastQueue();
  queue.add("first", message(10, 1));
  queue.add("second", message(10, 2));
  assert.deepEqual(queue.take(12, 4), [message(10, 2)]);
});

test("each message costs its length and 2; what does not fit waits for another packet", () => {
  const queue = new BroadcastQueue();
  for (const length of [50, 40, 8]) queue.add(`${length}`, message(length));
  assert.deepEqual(take(queue, 62), [50, 8]);
  assert.deepEqual(take(queue, 41), [8]);
  assert.deepEqual(take(queue, 42), [40]);
  assert.deepEqual(take(queue, -5), []);
});

test("a message is dropped once it has been sent as often as the limit says", () => {
  const queue = new BroadcastQueue();
  queue.add("a", message(10));
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => take(queue, 1000, 4).length),
    [1, 1, 1, 1, 0],
  );
  assert.equal(queue.size, 0);
  assert.equal(queue.has("a"), false);
});

test("a message replaces the one about the same node, and starts from the beginning", () => {
  const queue = new BroadcastQueue();
  queue.add("a", message(10));
  take(queue, 1000);
  queue.add("a", message(20));
  queue.add("b", message(15));
  assert.equal(queue.size, 2);
  assert.deepEqual(take(queue, 1000), [20, 15]);
});

test("accusations by several are all sent, each in its own right, until anything else is said of the accused", () => {
  const accusation = (from: string, incarnation = 1) => ({ type: "suspect", node: "a", incarnation, from }) as const;
  const taken = (queue: BroadcastQueue) => queue.take(1000, 2).map((one) => (one.type === "suspect" ? one.from : one.type));
  const queue = new BroadcastQueue();
  for (const from of ["x", "y", "y", "z"]) queue.add("a", accusation(from));
  assert.deepEqual(taken(queue).toSorted(), ["x", "y", "z"]);
  queue.add("a", accusation("w"));
  assert.equal(taken(queue)[0], "w");
  assert.deepEqual(taken(queue), ["w"]);
  assert.equal(queue.has("a"), false);
  for (const later of [accusation("x", 2), { type: "dead", node: "a", incarnation: 1, from: "x" } as const]) {
    queue.add("a", accusation("x"));
    queue.add("a", accusation("y"));
    queue.add("a", later);
    assert.deepEqual(queue.take(1000, 1), [later]);
  }
});
