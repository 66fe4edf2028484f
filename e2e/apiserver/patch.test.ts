import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "./json.ts";
import { jsonPatch, mergePatch } from "./patch.ts";

// RFC 7396, appendix A.
const merges: [target: Json, patch: Json, want: Json][] = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];
for (const [target, patch, want] of merges) {
  test(`merge patch: ${JSON.stringify(patch)} onto ${JSON.stringify(target)}`, () => {
    assert.deepEqual(mergePatch(target, patch), want);
  });
}

const document = { a: { b: [1, 2, 3], "c/d": 1, "e~f": 2 }, g: "h" };
const operations: { name: string; patch: Json; want?: Json; refused?: 400 | 422 }[] = [
  { name: "add to an object", patch: [{ op: "add", path: "/a/x", value: 1 }], want: { ...document, a: { ...document.a, x: 1 } } },
  {
    name: "add into a list",
    patch: [{ op: "add", path: "/a/b/1", value: 9 }],
    want: { ...document, a: { ...document.a, b: [1, 9, 2, 3] } },
  },
  {
    name: "add at a list's end",
    patch: [{ op: "add", path: "/a/b/-", value: 9 }],
    want: { ...document, a: { ...document.a, b: [1, 2, 3, 9] } },
  },
  {
    name: "remove",
    patch: [
      { op: "remove", path: "/a/b/0" },
      { op: "remove", path: "/g" },
    ],
    want: { a: { ...document.a, b: [2, 3] } },
  },
  { name: "replace", patch: [{ op: "replace", path: "/g", value: null }], want: { ...document, g: null } },
  { name: "replace the whole", patch: [{ op: "replace", path: "", value: { z: 1 } }], want: { z: 1 } },
  { name: "move", patch: [{ op: "move", from: "/g", path: "/a/g" }], want: { a: { ...document.a, g: "h" } } },
  {
    name: "copy",
    patch: [{ op: "copy", from: "/g", path: "/a/b/0" }],
    want: { ...document, a: { ...document.a, b: ["h", 1, 2, 3] } },
  },
  { name: "a test that holds", patch: [{ op: "test", path: "/a/b", value: [1, 2, 3] }], want: document },
  { name: "a test for null of what is not there", patch: [{ op: "test", path: "/a/x", value: null }], want: document },
  { name: "a test for null of what is there", patch: [{ op: "test", path: "/a", value: null }], refused: 422 },
  { name: "a test for null below what is not there", patch: [{ op: "test", path: "/x/y", value: null }], refused: 422 },
  {
    name: "escapes in a path",
    patch: [
      { op: "remove", path: "/a/c~1d" },
      { op: "remove", path: "/a/e~0f" },
    ],
    want: { a: { b: [1, 2, 3] }, g: "h" },
  },
  { name: "a test that fails", patch: [{ op: "test", path: "/g", value: "x" }], refused: 422 },
  { name: "remove of what is not there", patch: [{ op: "remove", path: "/x" }], refused: 422 },
  { name: "replace of what is not there", patch: [{ op: "replace", path: "/x", value: 1 }], refused: 422 },
  { name: "add below what is not there", patch: [{ op: "add", path: "/x/y", value: 1 }], refused: 422 },
  { name: "add past a list's end", patch: [{ op: "add", path: "/a/b/4", value: 1 }], refused: 422 },
  { name: "an index with leading zeros", patch: [{ op: "replace", path: "/a/b/01", value: 1 }], refused: 422 },
  { name: "an unknown operation", patch: [{ op: "merge", path: "/g" }], refused: 422 },
  { name: "add without a value", patch: [{ op: "add", path: "/x" }], refused: 422 },
  { name: "a path without a slash", patch: [{ op: "remove", path: "g" }], refused: 422 },
  { name: "an object instead of a list", patch: {}, refused: 400 },
  { name: "a list of no operations", patch: [1], refused: 400 },
];
for (const { name, patch, want, refused } of operations) {
  test(`JSON patch: ${name}${refused ? " is refused" : ""}`, () => {
    if (refused) assert.throws(() => jsonPatch(document, patch), { code: refused });
    else assert.deepEqual(jsonPatch(document, patch), want);
  });
}
