import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DistinctQueue, Queue } from "#pkg/collections";

test("property: a queue is an array that is pushed to and shifted from", () => {
  const operations = fc.array(fc.option(fc.string(), { nil: undefined }), { size: "large" }); // A text to push, or shift.
  fc.assert(
    fc.property(operations, (operations) => {
      const queue = new Queue<string>();
      const model: string[] = [];
      for (const text of operations) {
        if (text === undefined) assert.equal(queue.shift(), model.shift());
        else {
          queue.push(text);
          model.push(text);
        }
        assert.equal(queue.first, model[0]);
        assert.equal(queue.size, model.length);
      }
    }),
  );
});

test("property: a distinct queue has each item once, where it was first added since it was taken last, from both ends", () => {
  const operation = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom("shift" as const, "pop" as const));
  fc.assert(
    fc.property(fc.array(operation, { size: "large" }), (operations) => {
      const queue = new DistinctQueue<number>();
      const model: number[] = [];
      for (const item of operations) {
        if (item === "shift") assert.equal(queue.shift(), model.shift());
        else if (item === "pop") assert.equal(queue.pop(), model.pop());
        else {
          queue.push(item);
          if (!model.includes(item)) model.push(item);
        }
        assert.equal(queue.size, model.length);
      }
    }),
  );
});
