import assert from "node:assert/strict";
import { test } from "node:test";
import { page, read } from "./generate/markdown.ts";

const rows = page("SECURITY.md").text.matchAll(/^\| (.+?) \| `(\S+\.ts)`: (.+) \|$/gm);

let limits = 0;
for (const [, limit, file = "", name = ""] of rows) {
  limits++;
  test(`SECURITY.md: the limit "${limit}" has the test that it names`, () => {
    assert.ok(read(file).includes(`"${name}"`), `${file} has no test "${name}"`);
  });
}

test("SECURITY.md names limits", () => assert.ok(limits > 20, `${limits} found`));
