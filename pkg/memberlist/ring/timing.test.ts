import assert from "node:assert/strict";
import { test } from "node:test";
import { pushPullInterval, retransmitLimit, timings } from "./timing.ts";

const { lan } = timings;

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
