import assert from "node:assert/strict";
import { test } from "node:test";
import { type Wait, WaitList } from "./wait-list.ts";

const pool: Wait = { resource: "pool", suitsAnybody: true };
const other: Wait = { resource: "other", suitsAnybody: true };
const quota: Wait = { resource: "quota", suitsAnybody: false };

/** @param line `SERVICE CHANCES` */
function set(list: WaitList, line: string, ...waits: Wait[]): string[] {
  const [service = "", chances = ""] = line.split(" ");
  return [...list.set(service, chances, waits)];
}

function listOf(...lines: readonly (readonly [line: string, ...waits: Wait[]])[]): WaitList {
  const list = new WaitList();
  for (const [line, ...waits] of lines) set(list, line, ...waits);
  return list;
}

test("of what suits anybody the first one is worth a try, of anything else the first of each chances", () => {
  const list = listOf(["c k", pool, quota], ["a l", pool, quota], ["b k", pool, quota], ["d m", quota]);
  assert.deepEqual([...list.changed("pool")], ["c"]);
  assert.deepEqual([...list.changed("quota")], ["c", "a", "d"]);
  assert.deepEqual([...list.changed("nothing")], []);
});

test("who is refused for the same keeps the place, and nobody else is tried", () => {
  const list = listOf(["a k", pool], ["b l", pool]);
  assert.deepEqual(set(list, "a k", pool, quota), []);
  assert.deepEqual([...list.changed("pool")], ["a"]);
});

test("when the first one is served the next one is worth a try, of its chances and of all", () => {
  const list = listOf(["a k", pool, quota], ["b l", pool], ["c k", pool, quota]);
  assert.deepEqual(set(list, "a k"), ["c", "b"]);
  assert.deepEqual(set(list, "b l"), ["c"]);
  assert.deepEqual(set(list, "c k"), []);
  assert.deepEqual([...list.changed("pool")], []);
});

test("what one is told holds for all with its chances, of whom none is tried", () => {
  const list = listOf(["a k", pool], ["b k", pool], ["c k", pool], ["d l", pool]);
  assert.deepEqual(set(list, "a k", quota), ["d"]);
  assert.deepEqual([...list.changed("pool")], ["d"]);
  assert.deepEqual([...list.changed("quota")], ["a"]);
  assert.deepEqual(set(list, "b k", other), []);
  assert.deepEqual([[...list.changed("quota")], [...list.changed("other")]], [[], ["a"]]);
});

test("who comes back, or has other chances, is last in line", () => {
  const list = listOf(["a k", pool], ["b k", pool], ["c l", pool]);
  set(list, "a k");
  set(list, "a k", pool);
  assert.deepEqual([...list.changed("pool")], ["b"]);
  assert.deepEqual(set(list, "b l", pool), ["a", "c"]);
  assert.deepEqual([...list.changed("pool")], ["c"]);
});
