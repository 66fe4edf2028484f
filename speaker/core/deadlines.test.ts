import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deadlines } from "./deadlines.ts";

test("property: deadlines come in their order, each as it was set last", () => {
  const act = fc.record({
    key: fc.constantFrom("a", "b", "c", "d", "e"),
    at: fc.oneof(fc.nat({ max: 20 }), fc.constant(Infinity)),
  });
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
