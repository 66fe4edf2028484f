import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import { ViewUncertainty } from "./view-uncertainty.ts";

function bench() {
  const clock = new SimulatedClock();
  const told: number[] = [];
  const lost = new ViewUncertainty(clock, (uncertainty) => told.push(uncertainty));
  return { clock, told, lost };
}

test("each member that fails is a reason to uncertainty, until some time after it is back", () => {
  const { clock, told, lost } = bench();
  for (const node of ["a", "b"]) lost.memberChanged("failed", node, false);
  lost.memberChanged("joined", "a", false);
  clock.advanceBy(9_000);
  lost.memberChanged("joined", "b", false); // Begins the wait anew: the cut may heal in parts.
  clock.advanceBy(9_000);
  assert.equal(told.at(-1), 2);
  clock.advanceBy(1_000);
  assert.deepEqual([told.at(-1), clock.pending()], [0, []]);
});

test("one that fails again while it is waited for is lost", () => {
  const { clock, told, lost } = bench();
  for (const change of ["failed", "joined", "failed"] as const) lost.memberChanged(change, "a", false);
  clock.advanceBy(10_000);
  assert.equal(told.at(-1), 1);
});

test("one that leaves, or whose Node is deleted, is not missed", () => {
  const { told, lost } = bench();
  for (const node of ["a", "b"]) lost.memberChanged("failed", node, false);
  lost.memberChanged("left", "a", false);
  lost.forget("b");
  assert.equal(told.at(-1), 0);
  lost.memberChanged("suspected", "c", false);
  lost.memberChanged("refuted", "c", false);
  lost.forget("c");
  assert.equal(told.length, 4, "nothing to tell");
});

test("to have been suspected outweighs any number of lost members, for some time", () => {
  const { clock, told, lost } = bench();
  lost.memberChanged("failed", "a", false);
  lost.memberChanged("refuted", "self", true);
  assert.equal(told.at(-1), 0x8001);
  clock.advanceBy(10_000);
  assert.equal(told.at(-1), 1);
  lost.memberChanged("refuted", "self", true);
  lost[Symbol.dispose]();
  assert.deepEqual(clock.pending(), []);
});
