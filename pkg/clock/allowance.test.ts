import assert from "node:assert/strict";
import { test } from "node:test";
import { Tokens } from "#pkg/clock";

test("so many at once, then one every so often, and never more at once than at first", () => {
  const tokens = new Tokens({ burst: 3, everyMs: 100 }, 1_000);
  const taken = (now: number) => Array.from({ length: 5 }, () => tokens.take(now)).filter(Boolean).length;
  assert.equal(taken(1_000), 3);
  assert.equal(taken(1_099), 0);
  assert.equal(taken(1_100), 1);
  assert.equal(taken(1_250), 1);
  assert.equal(taken(1_300), 1, "halves add up");
  assert.equal(taken(1_000_000), 3);
});
