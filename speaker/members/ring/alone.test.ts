import assert from "node:assert/strict";
import { test } from "node:test";
import { type Alone, isLongAlone, notAlone, noteAlone } from "./alone.ts";

const others = { areOthersReady: true, isInRing: false, turn: 0 };
const nobody = { ...others, areOthersReady: false };

test("a node that has lost all others while they are Ready is not ready after 10 s, until it is in the ring", () => {
  const alone = noteAlone(notAlone, others, 1_000);
  assert.deepEqual([isLongAlone(alone, 10_999), isLongAlone(alone, 11_000)], [false, true]);
  assert.equal(isLongAlone(noteAlone(alone, { ...nobody, isInRing: true }, 12_000), 12_000), false);
  assert.deepEqual(noteAlone(alone, nobody, 5_000), notAlone, "they went before it counted");
});

test("of nodes that are all alone the first by name is ready first, and the others wait while it is", () => {
  const alone = noteAlone(notAlone, others, 0);
  assert.equal(isLongAlone(noteAlone(alone, nobody, 20_000), 20_000), false);
  const second: Alone = noteAlone(alone, { ...nobody, turn: 1 }, 20_000);
  assert.deepEqual([isLongAlone(second, 39_999), isLongAlone(second, 40_000)], [true, false]);
  const again = noteAlone(second, { ...nobody, turn: 1 }, 30_000);
  assert.equal(isLongAlone(again, 40_000), false, "its turn does not move");
  const waits = noteAlone(second, { ...others, turn: 1 }, 30_000);
  assert.equal(isLongAlone(waits, 100_000), true, "the first is Ready");
  assert.deepEqual(noteAlone(second, { ...nobody, turn: 1 }, 40_000), notAlone);
});
