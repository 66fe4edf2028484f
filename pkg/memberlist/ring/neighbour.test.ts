import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointOf, versions } from "../testing/lone-ring.ts";
import { neighbourOf, placeOf } from "./neighbour.ts";
import { type NodeRecord, newRecord } from "./ring.ts";

const rack = (rack: number, size: number) => Array.from({ length: size }, (_, i) => `rack${rack}-node${i}`);
const recordsOf = (names: readonly string[]) => names.map((name) => newRecord(name, endpointOf("n"), versions, undefined, 0));
const anybody = () => true;

function cycle(records: readonly NodeRecord[]): (string | undefined)[] {
  return records.map((record) => neighbourOf(record, records, anybody)?.node);
}

for (const nodes of [2, 3, 10, 50])
  test(`each of ${nodes} members is the neighbour of exactly one, in whatever order they are known`, () => {
    const names = rack(1, nodes);
    const records = recordsOf(names);
    assert.deepEqual(cycle(records).toSorted(), names.toSorted());
    assert.deepEqual(cycle(records.toReversed()).toReversed(), cycle(records));
  });

test("who is not eligible is passed over, and who is alone has no neighbour", () => {
  const [self, ...others] = recordsOf(rack(1, 3));
  assert.ok(self);
  const [first] = others.filter((record) => record === neighbourOf(self, others, anybody));
  assert.ok(first);
  assert.equal(
    neighbourOf(self, [self, ...others], (record) => record !== first)?.node,
    others.find((record) => record !== first)?.node,
  );
  assert.equal(neighbourOf(self, [self], anybody), undefined);
});

test("most nodes of a rack have their neighbour in another one", () => {
  const records = recordsOf([...rack(1, 10), ...rack(2, 10), ...rack(3, 10), ...rack(4, 10), ...rack(5, 10)]);
  const inside = records.filter((record) => neighbourOf(record, records, anybody)?.node.slice(0, 5) === record.node.slice(0, 5));
  assert.ok(inside.length <= 20, `${inside.length} of 50 have theirs in their own`); // By chance, 9 of 49.
});

test("the place of a node is the same in every version", () => {
  assert.deepEqual(["", "a", "node-1", "node-2"].map(placeOf), [1_572_119_809, 1_469_464_775, 415_430_332, 3_360_057_799]);
});
