import assert from "node:assert/strict";
import { test } from "node:test";
import { inPortions } from "./flow-counter.ts";

test("counts of thousands of addresses are told a thousand at a time, each once", () => {
  const counts = new Map(Array.from({ length: 2_500 }, (_, i) => [`address ${i}`, i]));
  const portions = [...inPortions(counts)];
  assert.deepEqual(
    portions.map(({ size }) => size),
    [1_000, 1_000, 500],
  );
  assert.deepEqual(new Map(portions.flatMap((portion) => [...portion])), counts);
});
