import assert from "node:assert/strict";
import { test } from "node:test";
import { alive, at, LoneRing, suspect } from "../testing/lone-ring.ts";
import type { MemberEvent } from "./events.ts";
import { nextDeadline } from "./step.ts";

/** A ring that knows `a` and `b`, and the evidence of what happens to its members. */
function start() {
  const lone = LoneRing.among("ab", { timing: "fast" });
  const evidence = (change: MemberEvent["change"]) => {
    const found = lone.effects.findLast((effect) => effect.type === "member" && effect.change === change);
    return found?.type === "member" ? found.evidence : undefined;
  };
  return { lone, evidence };
}

test("a failure tells who accused the member, for how long, and since when nothing came from it", () => {
  const { lone, evidence } = start();
  lone.now = 1_000;
  lone.packet({ type: "ping", sequence: 1, node: "self", source: { ...at(97), node: "a" } }, at(97));
  lone.now = 1_100;
  lone.packet(suspect("a", 1, "b"), at(98));
  assert.deepEqual(evidence("suspected"), {
    accusers: ["b"],
    suspectedFor: 0,
    silentFor: 100,
    isByPaths: false,
    stall: undefined,
  });
  lone.now = 1_200;
  lone.packet({ type: "dead", node: "a", incarnation: 1, from: "b" }, at(98));
  assert.deepEqual(evidence("failed"), {
    accusers: ["b"],
    suspectedFor: 100,
    silentFor: 200,
    isByPaths: false,
    stall: undefined,
  });
});

test("a refutation tells who was wrong and for how long, of another member as of this node itself", () => {
  const { lone, evidence } = start();
  lone.now = 1_000;
  lone.packet(suspect("a", 1, "b"), at(98));
  lone.now = 1_040;
  lone.packet(alive("a", 2), at(97));
  assert.deepEqual(evidence("refuted"), {
    accusers: ["b"],
    suspectedFor: 40,
    silentFor: undefined,
    isByPaths: false,
    stall: undefined,
  });
  lone.packet(suspect("self", 1, "a"), at(97));
  assert.deepEqual(evidence("refuted")?.accusers, ["a"]);
});

test("that this node itself ran late is told beside what it says of others", () => {
  const { lone, evidence } = start();
  lone.now = nextDeadline(lone.ring) + 300;
  lone.step({ type: "timer" });
  lone.now += 50;
  lone.packet(suspect("a", 1, "b"), at(98));
  assert.deepEqual(evidence("suspected")?.stall, { late: 300, ago: 50 });
});
