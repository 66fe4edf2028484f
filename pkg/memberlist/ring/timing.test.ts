import assert from "node:assert/strict";
import { test } from "node:test";
import { pushPullInterval, retransmitLimit, suspicionBounds, timings } from "./timing.ts";

const { lan, fast } = timings;

for (const [nodes, limit] of [
  [1, 4],
  [9, 4],
  [10, 8],
  [99, 8],
  [100, 12],
  [999, 12],
  [1000, 16],
  [9999, 16],
] as const) {
  test(`a broadcast among ${nodes} nodes is sent ${limit} times`, () => assert.equal(retransmitLimit(lan, nodes), limit));
}

for (const [nodes, min, max, confirmations] of [
  [1, 4000, 24_000, 0],
  [3, 4000, 24_000, 0],
  [4, 4000, 24_000, 2],
  [10, 4000, 24_000, 2],
  [11, 4164, 24_984, 2],
  [20, 5204, 31_224, 2],
  [50, 6792, 40_752, 2],
  [100, 8000, 48_000, 2],
  [1000, 12_000, 72_000, 2],
] as const) {
  test(`a suspicion among ${nodes} nodes takes ${min} to ${max} ms and ${confirmations} confirmations`, () => {
    assert.deepEqual(suspicionBounds(lan, nodes), { min, max, confirmations, notice: 1000 });
  });
}

test("at the fast pace a suspect has 350 ms to refute in rings of up to 153 nodes", () => {
  assert.equal(suspicionBounds(fast, 3).min, 350);
  assert.equal(suspicionBounds(fast, 153).min, 350);
  assert.equal(suspicionBounds(fast, 1000).min, 480);
  assert.equal(suspicionBounds(fast, 50).max, 2100);
});

for (const [nodes, seconds] of [
  [1, 30],
  [32, 30],
  [33, 60],
  [64, 60],
  [65, 90],
  [128, 90],
  [129, 120],
] as const) {
  test(`push/pull among ${nodes} nodes happens every ${seconds} s`, () => {
    assert.equal(pushPullInterval(lan, nodes), seconds * 1000);
  });
}
