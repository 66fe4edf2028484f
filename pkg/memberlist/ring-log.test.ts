import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import type { Fields } from "#pkg/log";
import { silentLog } from "#pkg/log/testing";
import { problemAdvice, RateLimitedLog, RingLog } from "./ring-log.ts";

const minute = 60_000;

function harness() {
  const clock = new SimulatedClock();
  const lines: Fields[] = [];
  const log = new RateLimitedLog({ ...silentLog, warn: (message, fields) => lines.push({ message, ...fields }) }, clock);
  return { clock, lines, log };
}

test("what comes twice a second is logged once", () => {
  const { clock, lines, log } = harness();
  for (let i = 0; i < 1000; i++, clock.advanceBy(500)) log.warn("refused", "192.0.2.7", { peer: "192.0.2.7" });
  assert.deepEqual(lines, [{ message: "refused", peer: "192.0.2.7" }]);
});

test("each message and each subject has its own line", () => {
  const { lines, log } = harness();
  for (const subject of ["a", "b", "a"]) for (const message of ["refused", "lost"]) log.warn(message, subject, { subject });
  assert.deepEqual(
    lines.map(({ message, subject }) => `${message} ${subject}`),
    ["refused a", "lost a", "refused b", "lost b"],
  );
});

test("what goes on is logged again after 10 minutes, with how often it came in between", () => {
  const { clock, lines, log } = harness();
  for (let i = 0; i < 21; i++, clock.advanceBy(minute)) log.warn("refused", "192.0.2.7", {});
  assert.deepEqual(
    lines.map(({ more }) => more),
    [undefined, 9, 9],
  );
});

test("a flood from forged addresses writes 256 lines in 10 minutes, and later ones are logged again", () => {
  const { clock, lines, log } = harness();
  for (let i = 0; i < 10_000; i++) log.warn("refused", `10.0.${i >> 8}.${i & 255}`, {});
  assert.equal(lines.length, 256);
  clock.advanceBy(10 * minute);
  log.warn("refused", "192.0.2.7", { peer: "192.0.2.7" });
  assert.equal(lines.at(-1)?.peer, "192.0.2.7");
});

test("a member that has just started refutes what others had on record of the process before it: nobody is warned of that", () => {
  const clock = new SimulatedClock(1_000);
  const lines: string[] = [];
  const note = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  const log = { ...silentLog, info: note("info"), warn: note("warn") };
  const ring = new RingLog({ ...log, with: () => ({ ...log, with: () => silentLog }) }, clock);
  const self = {
    name: "node1",
    address: "192.0.2.1",
    port: 7946,
    status: "alive",
    incarnation: 2,
    meta: undefined,
    self: true,
  } as const;
  ring.changed("refuted", self);
  clock.advanceBy(10_000);
  ring.changed("refuted", self);
  assert.deepEqual(lines, ["info others knew an earlier process of this member", "warn this member was suspected by others"]);
});

test("the advice on another key asks for no restart of speakers that follow the Secret", () => {
  assert.match(problemAdvice.wrongKey, /MetalLB's read it when they start, ours also follow the Secret/);
});
