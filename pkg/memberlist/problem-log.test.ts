import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import { type Fields, type Log, silentLog } from "#pkg/log";
import { MemberlistError } from "./memberlist-error.ts";
import { ProblemLog } from "./problem-log.ts";

const wrongKey = new MemberlistError("wrongKey", "Cannot decrypt: no key fits");
const plaintext = new MemberlistError("plaintext", "Cannot decrypt: it is plaintext");
const minutes = 60_000;

function harness() {
  const clock = new SimulatedClock();
  const lines: Fields[] = [];
  const log: Log = { ...silentLog, warn: (_message, fields = {}) => lines.push(fields) };
  return { clock, lines, problems: new ProblemLog(log, clock) };
}

test("a peer with another key is named once, with what to do, however much it sends", () => {
  const { clock, lines, problems } = harness();
  for (let i = 0; i < 1000; i++, clock.advanceBy(500)) problems.note("192.0.2.7", "UDP", wrongKey);
  assert.deepEqual(lines, [
    {
      op: "memberlist",
      peer: "192.0.2.7",
      transport: "UDP",
      reason: "wrongKey",
      error: wrongKey,
      advice: "give both speakers the same memberlist secret; they read it when they start",
    },
  ]);
});

test("each peer and each cause has its own line", () => {
  const { lines, problems } = harness();
  for (const peer of ["192.0.2.7", "192.0.2.8"])
    for (const error of [wrongKey, plaintext, wrongKey]) problems.note(peer, "TCP", error);
  assert.deepEqual(
    lines.map(({ peer, reason }) => `${peer} ${reason}`),
    ["192.0.2.7 wrongKey", "192.0.2.7 plaintext", "192.0.2.8 wrongKey", "192.0.2.8 plaintext"],
  );
});

test("what goes on is said again after 10 minutes, with how often it came in between", () => {
  const { clock, lines, problems } = harness();
  for (let i = 0; i < 21; i++, clock.advanceBy(minutes)) problems.note("192.0.2.7", "UDP", wrongKey);
  assert.deepEqual(
    lines.map(({ more }) => more),
    [undefined, 9, 9],
  );
});

test("a flood from forged addresses writes 256 lines in 10 minutes, and later ones are heard again", () => {
  const { clock, lines, problems } = harness();
  for (let i = 0; i < 10_000; i++) problems.note(`10.0.${i >> 8}.${i & 255}`, "UDP", plaintext);
  assert.equal(lines.length, 256);
  clock.advanceBy(10 * minutes);
  problems.note("192.0.2.7", "UDP", wrongKey);
  assert.equal(lines.at(-1)?.peer, "192.0.2.7");
});
