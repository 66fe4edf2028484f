import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deadlines } from "./deadlines.ts";

const act = fc.record({
  key: fc.constantFrom("a", "b", "c", "d", "e"),
  at: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 20 }), fc.constant(Infinity)),
});

test("property: deadlines come in their order, each as it was set last", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), fc.nat({ max: 20 }), (acts, now) => {
      const deadlines = new Deadlines();
      const want = new Map<string, number>();
      for (const { key, at } of acts) {
        deadlines.set(key, at);
        want.set(key, at);
        assert.equal(deadlines.next, Math.min(...want.values()));
      }
      const taken: number[] = [];
      for (let key = deadlines.takeDue(now); key !== undefined; key = deadlines.takeDue(now)) {
        taken.push(want.get(key) ?? Number.NaN);
        assert.ok(!deadlines.has(key));
      }
      const due = [...want.values()].filter((at) => at <= now);
      assert.deepEqual(
        taken,
        due.sort((a, b) => a - b),
      );
    }),
  );
});

test("property: what comes first of equal deadlines does not depend on how often somebody asked for the next", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ step: act, asks: fc.boolean() }), { maxLength: 60, size: "max" }), (steps) => {
      const asked = new Deadlines();
      const unasked = new Deadlines();
      for (const { step, asks } of steps) {
        for (const deadlines of [asked, unasked]) deadlines.set(step.key, step.at);
        if (asks) asked.next;
      }
      assert.deepEqual(taken(asked), taken(unasked));
    }),
  );
});

function taken(deadlines: Deadlines): string[] {
  const keys: string[] = [];
  for (let key = deadlines.takeDue(20); key !== undefined; key = deadlines.takeDue(20)) keys.push(key);
  return keys;
}
