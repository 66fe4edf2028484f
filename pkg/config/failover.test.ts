import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "./parse.ts";

test("failover has an interval of 10 ms to 100 ms", () => {
  for (const [text, intervalMs] of [
    ["10ms", 10],
    ["0.05s", 50],
    ["100ms", 100],
  ] as const)
    assert.deepEqual(parseConfig(`failover: {interval: ${text}}`).config?.failover, { intervalMs });
  assert.equal(parseConfig("").config?.failover, undefined);
});

test("another interval is refused, and so is none", () => {
  for (const text of ["9ms", "101ms", "-10ms", "0", "10", "soon"]) {
    const { config, problems } = parseConfig(`failover: {interval: "${text}"}`);
    assert.equal(config, undefined);
    assert.match(problems[0]?.message ?? "", /must be a duration from "10ms" to "100ms", but is /);
  }
  assert.equal(parseConfig("failover: {}").config, undefined);
});
