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
  /** The evidence without this node's own lateness: the test moves time without timers, so that the node runs late. */
  const ofOthers = (change: MemberEvent["change"]) => ({ ...evidence(change), stall: undefined });
  return { lone, evidence, ofOthers };
}

test("a failure tells who accused the member, for how long, and since when nothing came from it", () => {
  const { lone, ofOthers } = start();
  lone.now = 1_000;
  lone.packet({ type: "ping", sequence: 1, node: "self", source: { ...at(97), node: "a" } }, at(97));
  lone.now = 1_100;
  lone.packet(suspect("a", 1, "b"), at(98));
  assert.deepEqual(ofOthers("suspected"), {
    accusers: ["b"],
    suspectedFor: 0,
    silentFor: 100,
    isByPaths: false,
    stall: undefined,
  });
  lone.now = 1_200;
  lone.packet({ type: "dead", node: "a", incarnation: 1, from: "b" }, at(98));
  assert.deepEqual(ofOthers("failed"), {
    accusers: ["b"],
    suspectedFor: 100,
    silentFor: 200,
    isByPaths: false,
    stall: undefined,
  });
});

test("a refutation tells who was wrong and for how long, of another member as of this node itself", () => {
  const { lone, ofOthers } = start();
  lone.now = 1_000;
  lone.packet(suspect("a", 1, "b"), at(98));
  lone.now = 1_040;
  lone.packet(alive("a", 2), at(97));
  assert.deepEqual(ofOthers("refuted"), {
    accusers: ["b"],
    suspectedFor: 40,
    silentFor: undefined,
    isByPaths: false,
    stall: undefined,
  });
  lone.packet(suspect("self", 1, "a"), at(97));
  assert.deepEqual(ofOthers("refuted").accusers, ["a"]);
});

test("that this node itself ran late is told beside what it says of others", () => {
  const { lone, evidence } = start();
  lone.now = nextDeadline(lone.ring) + 300;
  lone.step({ type: "timer" });
  lone.advanceTo(lone.now + 50);
  lone.packet(suspect("a", 1, "b"), at(98));
  assert.deepEqual(evidence("suspected")?.stall, { late: 300, ago: 50 });
});

test("a node that reads an accusation before its late timer runs tells how late it was", () => {
  const { lone, evidence } = start();
  lone.now = nextDeadline(lone.ring) + 300;
  lone.packet(suspect("self", 1, "a"), at(97));
  assert.deepEqual(evidence("refuted")?.stall, { late: 300, ago: 0 });
});
