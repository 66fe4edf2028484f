import assert from "node:assert/strict";
import { test } from "node:test";
import { WaitList } from "./wait-list.ts";

const pool = { resource: "pool", terms: "" };
const address = { resource: "address", terms: "" };

test("when something moves, the first in line of each terms is worth a try", () => {
  const list = new WaitList();
  for (const service of ["c", "a", "b"]) list.set(service, [pool]);
  list.set("x", [{ resource: "pool", terms: "other" }]);
  assert.deepEqual(list.changed("pool"), ["c", "x"]);
  assert.deepEqual(list.changed("address"), []);
});

test("who waits on keeps the place, and nobody else is tried", () => {
  const list = new WaitList();
  list.set("a", [pool]);
  list.set("b", [pool]);
  assert.deepEqual(list.set("a", [pool, address]), []);
  assert.deepEqual(list.changed("pool"), ["a"]);
});

test("when the first one is served, or waits for something else, the next is worth a try", () => {
  const list = new WaitList();
  for (const service of ["a", "b", "c"]) list.set(service, [pool]);
  assert.deepEqual(list.set("a", []), ["b"]);
  assert.deepEqual(list.set("b", [address]), ["c"]);
  assert.deepEqual(list.set("c", []), []);
  assert.deepEqual(list.changed("pool"), []);
  assert.deepEqual(list.changed("address"), ["b"]);
});

test("who comes back is last in line", () => {
  const list = new WaitList();
  for (const service of ["a", "b"]) list.set(service, [pool]);
  list.set("a", []);
  list.set("a", [pool]);
  assert.deepEqual(list.changed("pool"), ["b"]);
});
