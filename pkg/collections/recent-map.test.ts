import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { RecentMap } from "#pkg/collections";

test("the entry that was set longest ago makes room, and one that is set again is the last", () => {
  const map = new RecentMap<string, number>(3);
  for (const [index, key] of [..."abcad"].entries()) map.set(key, index);
  assert.deepEqual([...map.keys()], ["c", "a", "d"]);
  map.get("c");
  map.set("e", 5);
  assert.deepEqual([...map.keys()], ["a", "d", "e"], "to read it does not keep it");
});

test("after any deletions, too, those that were set last are there in the order in which they were set", () => {
  const operation = fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant("set" as const), key: fc.nat(12) }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("delete" as const), key: fc.nat(12) }) },
    { weight: 1, arbitrary: fc.constant({ type: "clear" as const }) },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(operation, { maxLength: 200 }), (max, operations) => {
      const map = new RecentMap<number, number>(max);
      let expected: [number, number][] = [];
      for (const [index, operation] of operations.entries()) {
        if (operation.type === "clear") map.clear();
        else if (operation.type === "delete") map.delete(operation.key);
        else map.set(operation.key, index);
        expected = operation.type === "clear" ? [] : expected.filter(([key]) => key !== operation.key);
        if (operation.type === "set") expected = [...expected, [operation.key, index] as [number, number]].slice(-max);
        assert.deepEqual([...map], expected);
      }
    }),
  );
});

test("of what was replaced little is kept in memory, also where nothing has to make room any more", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const [max, times] = [8, 1000];
  const map = new RecentMap<number, object>(max);
  const values: WeakRef<object>[] = [];
  for (let index = 0; index < times; index++) {
    const value = {};
    values.push(new WeakRef(value));
    map.set(index <= max ? index : 1 + (index % max), value);
  }
  await turn(); // Until then a WeakRef keeps its object.
  collect();
  const kept = values.filter((value) => value.deref() !== undefined).length;
  assert.ok(kept >= max && kept <= 4 * max, `${kept}`);
});
