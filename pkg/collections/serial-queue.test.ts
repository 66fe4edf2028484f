import assert from "node:assert/strict";
import { test } from "node:test";
import { SerialQueue } from "#pkg/collections";

test("work is done one after another, and what fails stops nothing", async () => {
  const queue = new SerialQueue();
  const seen: string[] = [];
  const work = (name: string, ends: () => string) => async () => {
    seen.push(`${name} begins`);
    await Promise.resolve();
    seen.push(`${name} ends`);
    return ends();
  };
  const fails = work("second", () => {
    throw new Error("broken");
  });
  const first = queue.run(work("first", () => "one"));
  const second = queue.run(fails);
  const third = queue.run(work("third", () => "three"));
  assert.equal(await first, "one");
  await assert.rejects(second, /broken/);
  assert.equal(await third, "three");
  const expected = ["first", "second", "third"].flatMap((name) => [`${name} begins`, `${name} ends`]);
  assert.deepEqual(seen, expected);
});
