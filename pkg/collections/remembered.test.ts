import assert from "node:assert/strict";
import { test } from "node:test";
import { remembered } from "#pkg/collections";

test("a value is made once, and again when others have needed its room", () => {
  const known = new Map<string, string>();
  const made: string[] = [];
  const get = (key: string) =>
    remembered(known, key, 2, (of) => {
      made.push(of);
      return of.toUpperCase();
    });
  assert.deepEqual([..."aabbcca"].map(get), [..."AABBCCA"]);
  assert.deepEqual(made, [..."abca"]);
  assert.equal(known.size, 2);
});

test("what cannot be made is not remembered, and costs the others nothing", () => {
  const known = new Map([["a", 1]]);
  const fail = (): number => {
    throw new Error("no");
  };
  assert.throws(() => remembered(known, "b", 1, fail));
  assert.deepEqual([...known], [["a", 1]]);
});
