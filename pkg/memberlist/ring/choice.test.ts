import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#pkg/clock/testing";
import { endpointOf, versions } from "../testing/lone-ring.ts";
import { chooseRandom, neighborOf, placeOf, shuffle } from "./choice.ts";
import { type NodeRecord, newRecord } from "./node-record.ts";

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

test("a shuffle loses nothing and puts everything everywhere", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const items = numbers(4);
    shuffle(items, seededRandom(seed));
    seen.add(items.join(""));
    assert.deepEqual(items.toSorted(), numbers(4));
  }
  assert.equal(seen.size, 24);
});

test("among few all that are eligible are found", () => {
  for (let seed = 0; seed < 50; seed++) {
    const chosen = chooseRandom(numbers(5), 3, (item) => item % 2 === 0, seededRandom(seed));
    assert.deepEqual(chosen.toSorted(), [0, 2, 4]);
  }
});

test("among many the choice is distinct, eligible and of the size wanted", () => {
  for (let seed = 0; seed < 50; seed++) {
    const chosen = chooseRandom(numbers(100), 3, (item) => item > 50, seededRandom(seed));
    assert.equal(new Set(chosen).size, 3);
    assert.ok(chosen.every((item) => item > 50));
  }
});

test("a choice where nothing is eligible ends empty", () => {
  assert.deepEqual(
    chooseRandom(numbers(100), 3, () => false, seededRandom(1)),
    [],
  );
  assert.deepEqual(
    chooseRandom([], 3, () => true, seededRandom(1)),
    [],
  );
});

test("a choice leaves the order of the items alone", () => {
  const items = numbers(5);
  chooseRandom(items, 3, () => true, seededRandom(3));
  assert.deepEqual(items, numbers(5));
});

const rack = (rack: number, size: number) => Array.from({ length: size }, (_, i) => `rack${rack}-node${i}`);
const recordsOf = (names: readonly string[]) => names.map((name) => newRecord(name, endpointOf("n"), versions, undefined, 0));
const anybody = () => true;

function cycle(records: readonly NodeRecord[]): (string | undefined)[] {
  return records.map((record) => neighborOf(record, records, anybody)?.node);
}

for (const nodes of [2, 3, 10, 50])
  test(`each of ${nodes} members is the neighbor of exactly one, in whatever order they are known`, () => {
    const names = rack(1, nodes);
    const records = recordsOf(names);
    assert.deepEqual(cycle(records).toSorted(), names.toSorted());
    assert.deepEqual(cycle(records.toReversed()).toReversed(), cycle(records));
  });

test("who is not eligible is passed over, and who is alone has no neighbor", () => {
  const [self, ...others] = recordsOf(rack(1, 3));
  assert.ok(self);
  const [first] = others.filter((record) => record === neighborOf(self, others, anybody));
  assert.ok(first);
  assert.equal(
    neighborOf(self, [self, ...others], (record) => record !== first)?.node,
    others.find((record) => record !== first)?.node,
  );
  assert.equal(neighborOf(self, [self], anybody), undefined);
});

test("most nodes of a rack have their neighbor in another one", () => {
  const records = recordsOf([...rack(1, 10), ...rack(2, 10), ...rack(3, 10), ...rack(4, 10), ...rack(5, 10)]);
  const inside = records.filter((record) => neighborOf(record, records, anybody)?.node.slice(0, 5) === record.node.slice(0, 5));
  assert.ok(inside.length <= 20, `${inside.length} of 50 have theirs in their own`); // By chance, 9 of 49.
});

test("the place of a node is the same in every version", () => {
  assert.deepEqual(["", "a", "node-1", "node-2"].map(placeOf), [1_572_119_809, 1_469_464_775, 415_430_332, 3_360_057_799]);
});
