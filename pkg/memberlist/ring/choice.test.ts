import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#pkg/clock/testing";
import { chooseRandom, placeOf, shuffle } from "./choice.ts";

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

test("the place of a node is the same in every version", () => {
  assert.deepEqual(["", "a", "node-1", "node-2"].map(placeOf), [1_572_119_809, 1_469_464_775, 415_430_332, 3_360_057_799]);
});
