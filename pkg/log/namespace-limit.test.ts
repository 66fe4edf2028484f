import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { slow } from "#pkg/clock/testing";
import { TimedLog } from "./testing/index.ts";

function write({ log }: TimedLog, namespace: string, times: number): void {
  for (let i = 0; i < times; i++) log.info("addresses assigned", { service: `${namespace}/s${i}`, i });
}

test("1,000 lines of a namespace are written at once, then one a second, and the log counts the others once a minute", () => {
  const timed = new TimedLog();
  write(timed, "team-a", 5_000);
  assert.deepEqual(
    timed.take().map(({ i }) => i),
    Array.from({ length: 1_000 }, (_, i) => i),
  );
  for (let second = 0; second < 60; second++) {
    timed.clock.advanceBy(1_000);
    write(timed, "team-a", 100);
  }
  const lines = timed.take();
  assert.equal(lines.filter(({ msg }) => msg === "addresses assigned").length, 60);
  const said = (lines: Record<string, unknown>[]) =>
    lines.filter(({ op }) => op === "log").map(({ level, msg, namespace, lines }) => ({ level, msg, namespace, lines }));
  const msg = "lines about Services of a namespace were left out in the last minute";
  assert.deepEqual(said(lines), [{ level: "warn", msg, namespace: "team-a", lines: 4_000 + 59 * 99 }]);
  timed.clock.advanceBy(60_000);
  assert.deepEqual(said(timed.take()), [{ level: "warn", msg, namespace: "team-a", lines: 99 }]);
  timed.clock.advanceBy(600_000);
  assert.deepEqual(timed.take(), [], "nothing is left out any more");
});

test("a line that the level hides takes nothing of the rate", () => {
  const timed = new TimedLog();
  for (let i = 0; i < 5_000; i++) timed.log.debug("service is not announced from here", { service: "team-a/web" });
  write(timed, "team-a", 1_000);
  assert.equal(timed.take().length, 1_000);
});

test("lines at debug take nothing of the rate of the others", () => {
  const timed = new TimedLog("debug");
  for (let i = 0; i < 5_000; i++) timed.log.debug("service is not announced from here", { service: "team-a/web" });
  write(timed, "team-a", 1_000);
  assert.equal(timed.take().length, 2_000);
});

test("what is left out is said at the level error, too", () => {
  const timed = new TimedLog("error");
  for (let i = 0; i < 1_001; i++) timed.log.error("service does not get what it requests", { service: "team-a/web" });
  timed.clock.advanceBy(60_000);
  assert.deepEqual(
    timed
      .take()
      .slice(1_000)
      .map(({ lines }) => lines),
    [1],
  );
});

test(
  "lines of all namespaces together have a rate, a hundred namespaces are named, and lines about no Service are all written",
  slow,
  () => {
    const timed = new TimedLog();
    for (let i = 0; i < 300; i++) write(timed, `team-${i}`, 1_100);
    for (let i = 0; i < 2_000; i++) timed.log.error("unexpected error", { op: "crash", i });
    const lines = timed.take();
    assert.equal(lines.filter(({ op }) => op === "crash").length, 2_000);
    assert.equal(lines.filter(({ service }) => service !== undefined).length, 20_000);
    timed.clock.advanceBy(60_000);
    const said = timed.take();
    assert.equal(said.length, 101);
    assert.equal(said.at(-1)?.msg, "lines about Services of other namespaces were left out in the last minute");
    assert.equal(
      said.reduce((sum, { lines }) => sum + Number(lines), 0),
      300 * 1_100 - 20_000,
    );
  },
);

test("property: while up to nineteen namespaces flood the log, no line about any other is left out", () => {
  const step = fc.record({ waitMs: fc.nat(5_000), flood: fc.nat(18), lines: fc.nat(5_000), quiet: fc.nat(1_500) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: "max" }), (steps) => {
      const timed = new TimedLog();
      const expected: string[] = [];
      for (const { waitMs, flood, lines, quiet } of steps) {
        timed.clock.advanceBy(waitMs);
        write(timed, `flood-${flood}`, lines);
        for (const log of [timed.log, timed.log.with({ service: `quiet-${quiet}/web` })]) {
          log.warn("said", { expected: expected.length });
          expected.push(`${expected.length}`);
        }
      }
      const said = timed.take().filter((line) => line.msg === "said");
      assert.deepEqual(
        said.map((line) => `${line.expected}`),
        expected,
      );
    }),
    { numRuns: 30 },
  );
});
