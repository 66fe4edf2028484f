import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineSplitter } from "./lines.ts";

function split(chunks: readonly Buffer[], maxBytes = 1000): string[] {
  const splitter = new LineSplitter(maxBytes);
  return chunks.flatMap((chunk) => [...splitter.push(chunk)]);
}

test("lines are the same however the bytes are cut", () => {
  const line = fc.string({ unit: "grapheme" }).filter((text) => text !== "" && !text.includes("\n"));
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(20)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(""));
      const chunks: Buffer[] = [];
      let start = 0;
      for (const cut of cuts) {
        chunks.push(bytes.subarray(start, start + cut));
        start += cut;
      }
      chunks.push(bytes.subarray(start));
      assert.deepEqual(
        split(chunks, 100_000),
        lines.map((text) => Buffer.from(text).toString()),
      );
    }),
  );
});

test("a last line without its end is not returned, and empty lines are left out", () => {
  assert.deepEqual(split([Buffer.from("a\n\n\nb\ncut")]), ["a", "b"]);
});

test("a line up to the limit passes, one above is refused as soon as it is too long", () => {
  assert.deepEqual(split([Buffer.from("12345"), Buffer.from("\n")], 5), ["12345"]);
  assert.throws(() => split([Buffer.from("123"), Buffer.from("456")], 5), RangeError);
});
