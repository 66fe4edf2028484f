import assert from "node:assert/strict";
import { test } from "node:test";
import { type Break, broken, productSources } from "./break.ts";
import { breaks } from "./breaks/index.ts";

const tests = ["e2e/mutation/breaks.test.ts"];
const sources = new Map([
  ["pkg/a/a.ts", "export const isHeld = (count: number): boolean =>\n  count > 0;\n"],
  ["pkg/b/b.ts", "let count = 0;\ncount++;\ncount++;\n"],
]);
const refused: readonly (Break & { readonly name: string; readonly why: RegExp })[] = [
  { name: "text that is gone", before: "count < 0", after: "true", tests, why: /0 times, wanted once: no source/ },
  { name: "text that is there twice", before: "count++;", after: "", tests, why: /2 times, wanted once: pkg\/b\/b\.ts/ },
  {
    name: "a test that is gone",
    before: "count > 0",
    after: "true",
    tests: ["pkg/a/a.test.ts"],
    why: /there is no pkg\/a\/a\.test\.ts/,
  },
  { name: "a result that is no program", before: "count > 0", after: "count > ", tests, why: /Expression expected/ },
];

test("each fault is in the list once", () => {
  assert.ok(breaks.length >= 40, `${breaks.length}`);
  assert.equal(new Set(breaks.map(({ before, after }) => `${before} ${after}`)).size, breaks.length);
});

test("the text of each fault stands in the product's sources, and can be replaced", () => {
  const product = productSources();
  for (const fault of breaks) assert.doesNotThrow(() => broken(fault, product));
});

test("a fault is found in whatever file it is, however its lines are broken", () => {
  const fault = { before: "=> count > 0", after: "=> true", tests };
  assert.deepEqual(broken(fault, sources), {
    file: "pkg/a/a.ts",
    text: "export const isHeld = (count: number): boolean =>\n  true;\n".replace("=>\n  ", "=> "),
  });
});

for (const { name, why, ...fault } of refused)
  test(`a fault is refused for ${name}`, () => assert.throws(() => broken(fault, sources), why));
