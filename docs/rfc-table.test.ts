import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

// The table of docs/bgp.md says of each RFC which tests show it, and against whom: both are looked up.
const root = join(import.meta.dirname, "..");
const tests = globSync("{pkg,speaker,e2e}/**/*.test.ts", { cwd: root });
const page = readFileSync(join(root, "docs/bgp.md"), "utf8");
const table = /^## RFC by RFC\n[\s\S]*?(?=^## )/m.exec(page)?.[0] ?? "";
const rows = [...table.matchAll(/^\| ([\d, ]+) \| .* \| (`.*`) \| (.*) \|$/gm)].map(
  ([, rfcs = "", files = "", against = ""]) => ({
    rfcs,
    files: [...files.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
    against,
  }),
);
const daemons = ["FRR", "BIRD", "GoBGP", "OpenBGPD"];

test("the table has a row for each RFC, and no row is read as none", () => {
  const lines = table.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| RFC "));
  assert.equal(rows.length, lines.length);
  assert.ok(rows.length >= 20);
});

for (const { rfcs, files, against } of rows)
  test(`RFC ${rfcs}: its tests are there, and those with routers name the ones that the table names`, () => {
    assert.ok(files.length > 0);
    const paths = files.map((name) => {
      const found = tests.filter((path) => path.endsWith(`/${name}`));
      assert.equal(found.length, 1, `${name}: ${found}`);
      return found[0] ?? "";
    });
    const withRouters = paths.filter((path) => path.startsWith("e2e/"));
    const text = withRouters.map((path) => readFileSync(join(root, path), "utf8")).join("\n");
    const named = against.startsWith("all four") ? daemons : daemons.filter((name) => new RegExp(`\\b${name}\\b`).test(against));
    assert.equal(named.length === 0, against === "nobody", against);
    assert.equal(withRouters.length === 0, against === "nobody", `${files}`);
    for (const name of named) assert.match(text, new RegExp(`\\b${name}\\d?\\b`, "i"), name);
  });
