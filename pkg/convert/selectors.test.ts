import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  anyMatches,
  complement,
  intersect,
  type Nodes,
  nodesOf,
  type Selector,
  toConfigSelectors,
  toSelectors,
  unite,
} from "./selectors.ts";

const key = fc.constantFrom("rack", "zone");
const value = fc.constantFrom("a", "b", "c");
const values = fc.uniqueArray(value, { minLength: 1 });
const expression = fc.oneof(
  fc.record({ key, operator: fc.constantFrom("In" as const, "NotIn" as const), values }),
  fc.record({ key, operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const) }),
);
const selector: fc.Arbitrary<Selector> = fc.record(
  { matchLabels: fc.dictionary(key, value), matchExpressions: fc.array(expression, { maxLength: 3 }) },
  { requiredKeys: [] },
);
const selectors = fc.array(selector, { maxLength: 3 });

const places = ["a", "b", "c", "d", undefined];
const nodes = places.flatMap((rack) => places.map((zone) => ({ ...(rack && { rack }), ...(zone && { zone }) })));

/** Whether each of `nodes` is in the set. */
function members(set: Nodes): boolean[] {
  const list = toSelectors(set);
  return nodes.map((labels) => list === undefined || anyMatches(list, labels));
}

test("a list of selectors selects the same nodes as a set, and none selects all", () => {
  assert.deepEqual([toSelectors(nodesOf([])), toConfigSelectors(nodesOf())], [undefined, undefined]);
  fc.assert(
    fc.property(selectors, (list) => {
      const wanted = nodes.map((labels) => list.length === 0 || anyMatches(list, labels));
      assert.deepEqual(members(nodesOf(list)), wanted);
    }),
  );
});

test("sets are united, intersected and complemented", () => {
  fc.assert(
    fc.property(selectors, selectors, (one, other) => {
      const [a, b] = [nodesOf(one), nodesOf(other)];
      const [inA, inB] = [members(a), members(b)];
      assert.deepEqual(
        members(unite(a, b)),
        inA.map((is, index) => is || inB[index]),
      );
      const both = intersect(a, b);
      const rest = complement(a);
      assert.ok(both && rest);
      assert.deepEqual(
        members(both),
        inA.map((is, index) => is && inB[index]),
      );
      assert.deepEqual(
        members(rest),
        inA.map((is) => !is),
      );
    }),
  );
});

test("a set of no nodes is written so that no node is in it", () => {
  const none = nodesOf([{ matchExpressions: [{ key: "rack", operator: "In", values: [] }] }]);
  assert.deepEqual(none, []);
  assert.ok(members(none).every((is) => !is));
  assert.equal(toConfigSelectors(none)?.length, 1);
});

test("what would take too many selectors is said to", () => {
  const many = nodesOf(Array.from({ length: 12 }, (_, index) => ({ matchLabels: { rack: `${index}`, [`zone${index}`]: "a" } })));
  assert.equal(intersect(many, many), undefined);
  assert.equal(complement(many), undefined);
});
