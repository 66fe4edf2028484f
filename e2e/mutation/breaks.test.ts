import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { test } from "node:test";
import { broken, root } from "./break.ts";
import { breaks } from "./breaks/index.ts";

test("there are at least 40 faults, each once", () => {
  assert.ok(breaks.length >= 40, `${breaks.length}`);
  assert.equal(new Set(breaks.map(({ file, before, after }) => `${file} ${before} ${after}`)).size, breaks.length);
});

for (const fault of breaks)
  test(`${fault.file} still has what is broken in it, and the tests: ${fault.before.slice(0, 60)}`, () => {
    assert.notEqual(broken(fault), "");
    for (const pattern of fault.tests) assert.ok(globSync(pattern, { cwd: root }).length > 0, `there is no ${pattern}`);
  });
