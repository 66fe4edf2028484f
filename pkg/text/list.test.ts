import assert from "node:assert/strict";
import { test } from "node:test";
import { list } from "./list.ts";

test("of many items the first five are listed, and how many more there are", () => {
  assert.equal(list([]), "");
  assert.equal(list(["a", 2, "c", "d", "e"]), "a, 2, c, d, e");
  assert.equal(list(["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e, 2 more");
});
