import assert from "node:assert/strict";
import { test } from "node:test";
import { confirmSuspicion, extendSuspicion, startSuspicion, suspicionBounds, suspicionDueAt } from "./suspicion.ts";
import { timings } from "./timing.ts";

for (const [nodes, none, one, two] of [
  [4, 24_000, 11_381, 4000],
  [11, 24_984, 11_848, 4164],
  [20, 31_224, 14_807, 5204],
  [50, 40_752, 19_325, 6792],
  [100, 48_000, 22_762, 8000],
  [1000, 72_000, 34_144, 12_000],
] as const) {
  test(`a suspicion among ${nodes} nodes ends after ${none}, with a confirmation ${one}, with two ${two} ms`, () => {
    const first = startSuspicion("a", suspicionBounds(timings.lan, nodes), 0);
    const second = confirmSuspicion(first, "b", 10);
    assert.ok(second);
    const third = confirmSuspicion(second, "c", 20);
    assert.deepEqual([first.deadline, second.deadline, third?.deadline], [none, one, two]);
  });
}

const four = startSuspicion("a", suspicionBounds(timings.lan, 4), 1000);

test("without anybody to confirm it, a suspicion ends after the least time", () => {
  assert.equal(startSuspicion("a", suspicionBounds(timings.lan, 3), 1000).deadline, 5000);
});

test("the originator never counts as a confirmation, and nobody counts twice", () => {
  assert.equal(confirmSuspicion(four, "a", 1500), undefined);
  const once = confirmSuspicion(four, "b", 1500);
  assert.ok(once);
  assert.equal(confirmSuspicion(once, "b", 1600), undefined);
});

test("accusers beyond those needed do not count", () => {
  const confirmed = ["b", "c"].reduce((suspicion, from) => confirmSuspicion(suspicion, from, 1500) ?? suspicion, four);
  assert.equal(confirmSuspicion(confirmed, "d", 1600), undefined);
  const threeNodes = startSuspicion("a", suspicionBounds(timings.lan, 3), 1000);
  assert.equal(confirmSuspicion(threeNodes, "b", 1500), undefined);
});

test("a confirmation after the shorter time is over ends the suspicion at once, not in the past", () => {
  const late = confirmSuspicion(confirmSuspicion(four, "b", 9000) ?? four, "c", 9000);
  assert.equal(late?.deadline, 9000);
});

test("the accused is notified a probe interval before the end", () => {
  assert.equal(suspicionDueAt(four), 24_000);
  assert.equal(suspicionDueAt({ ...four, notified: true }), 25_000);
});

for (const [name, silentSince, want] of [
  ["the silence, where that began later", 1500, [2500, 26_500]],
  ["all of its time, where it began in the silence", 500, [3000, 27_000]],
] as const)
  test(`a suspicion gets back ${name}, and the accused is notified again`, () => {
    const extended = extendSuspicion({ ...four, notified: true }, silentSince, 3000);
    assert.deepEqual([extended.startedAt, extended.deadline, extended.notified], [...want, false]);
  });

const { lan, fast } = timings;

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

test("at the fast pace a suspect has 150 ms to refute in rings of up to 75 nodes", () => {
  assert.equal(suspicionBounds(fast, 3).min, 150);
  assert.equal(suspicionBounds(fast, 75).min, 150);
  assert.equal(suspicionBounds(fast, 1000).min, 240);
  assert.equal(suspicionBounds(fast, 50).max, 900);
});
