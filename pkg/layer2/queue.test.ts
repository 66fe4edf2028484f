import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Queue } from "./queue.ts";

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
