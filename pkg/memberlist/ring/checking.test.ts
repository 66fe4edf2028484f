import assert from "node:assert/strict";
import { test } from "node:test";
import { alive, LoneRing, suspect } from "../testing/lone-ring.ts";

/** The suspects that a node pings at its next tick: it tells them so in the same packet. */
function checked(lone: LoneRing): string[] {
  lone.effects = [];
  lone.advanceTo(lone.ring.probeAt);
  return lone
    .sends()
    .flatMap(({ messages }) => (messages.some(({ type }) => type === "suspect") ? messages : []))
    .flatMap((message) => (message.type === "ping" ? [message.node] : []));
}

/** `z` suspects `a`; every draw of chance is `chance`. */
function accused(nodes: string, chance = 0): LoneRing {
  const lone = LoneRing.among(nodes, { random: () => chance });
  lone.hear(suspect("a", 1, "z"));
  lone.quieten();
  return lone;
}

test("whom another suspects, a node of a small ring probes at its next tick, beside the member whose turn it is", () => {
  const lone = accused("abcdef");
  assert.deepEqual(checked(lone), ["a"]);
  assert.equal(lone.ring.counters.probes, 2);
});

test("one suspect is checked at a tick, and each once", () => {
  const lone = accused("abcdef");
  lone.hear(suspect("b", 1, "z"));
  lone.quieten();
  assert.deepEqual([checked(lone), [...lone.ring.toCheck]], [["a"], ["b"]]);
  assert.ok(checked(lone).includes("b"));
  assert.equal(lone.ring.toCheck.size, 0);
});

test("a suspect whom enough accuse already, or that has refuted, is not checked", () => {
  for (const messages of [[suspect("a", 1, "y"), suspect("a", 1, "x")], [alive("a", 2)]]) {
    const lone = accused("abcdef");
    for (const message of messages) lone.hear(message);
    lone.quieten();
    lone.advanceTo(lone.ring.probeAt);
    assert.equal(lone.ring.counters.probes, 1);
  }
});

test("whom a node came to suspect by itself, it need not check", () => {
  const lone = LoneRing.among("abcdef");
  lone.advanceTo(2000);
  assert.ok(lone.ring.suspicions.size > 0);
  assert.equal(lone.ring.toCheck.size, 0);
});

test("in a large ring, of those that hear of a suspicion about twelve check it", () => {
  const nodes = String.fromCharCode(...Array.from({ length: 99 }, (_, i) => 97 + i));
  const checks = (chance: number) => accused(nodes, chance).ring.toCheck.size;
  assert.deepEqual([checks(0.119), checks(0.121)], [1, 0]);
});
