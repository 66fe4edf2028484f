import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { IntervalSet } from "./interval-set.ts";

const top = 40n;

/** Every member and, by the gaps between them, proof that neighbours were joined into one interval. */
function assertSame(set: IntervalSet, model: ReadonlySet<bigint>): void {
  assert.equal(set.size, model.size);
  for (let from = 0n; from <= top; from++) {
    let present = from;
    while (present <= top && !model.has(present)) present++;
    assert.equal(set.next(from), present > top ? undefined : present, `next(${from})`);
    let absent = from;
    while (model.has(absent)) absent++;
    assert.equal(set.nextAbsent(from), absent, `nextAbsent(${from})`);
  }
}

test("any adds and deletes leave the same members as a plain set", () => {
  const operations = fc.array(fc.tuple(fc.boolean(), fc.bigInt({ min: 0n, max: top })), { maxLength: 300, size: "max" });
  fc.assert(
    fc.property(operations, (steps) => {
      const set = new IntervalSet();
      const model = new Set<bigint>();
      for (const [adds, value] of steps) {
        if (adds) {
          assert.equal(set.add(value), !model.has(value));
          model.add(value);
        } else assert.equal(set.delete(value), model.delete(value));
      }
      assertSame(set, model);
    }),
  );
});

test("a number between two intervals joins them, and taking it out parts them again", () => {
  const set = new IntervalSet();
  const model = new Set([1n, 2n, 3n, 5n, 6n]);
  for (const value of model) set.add(value);
  set.add(4n);
  assert.equal(set.nextAbsent(1n), 7n);
  set.delete(4n);
  assertSame(set, model);
});
