import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { select, testFiles } from "./tiers.ts";

const makefile = readFileSync("Makefile", "utf8");
const files = testFiles();

test("every test file is in a tier, or in a target of its own that .ci/run or make nightly has", () => {
  const others = globSync("**/*.test.ts", { exclude: ["node_modules/**", ".cache/**", "dist/**"] }).filter(
    (path) => !files.some((file) => file.path === path),
  );
  const folders = [...new Set(others.map((path) => path.split("/").slice(0, 2).join("/")))].sort();
  assert.deepEqual(folders, ["e2e/arm64"]);
  for (const folder of folders) assert.ok(makefile.includes(`'${folder}/**/*.test.ts'`), folder);
});

test("make test has all of make quick, and eight scenarios that need no root", () => {
  const chosen = select(files, "test");
  for (const file of select(files, "quick")) assert.ok(chosen.includes(file), file.path);
  const smoke = chosen.filter(({ path, alone }) => alone && path.startsWith("e2e/scenarios/"));
  assert.deepEqual([smoke.length, smoke.filter(({ root }) => root)], [8, []]);
});

const tiers = ["test", "scenarios", "kubernetes", "nightly"] as const;
/** .ci/run and make nightly run these. */
const parts = ["computing", "waiting", "kubernetes", "nightly"] as const;
for (const selections of [tiers, parts])
  test(`${selections.join(", ")} have every file once`, () => {
    const each = selections.flatMap((selection) => select(files, selection));
    assert.equal(new Set(each).size, each.length);
    assert.equal(each.length, files.length);
  });

test("a program runs each of these parts", () => {
  const ci = readFileSync(".ci/run", "utf8");
  for (const target of ["test-computing", "test-waiting", "test-root", "e2e"]) assert.ok(ci.includes(`make ${target}\n`), target);
  assert.ok(readFileSync("e2e/tiers/nightly.ts", "utf8").includes('argv: ["test-nightly"]'));
});

test("nothing that builds a network or starts a program is among the tests that run beside all others", () => {
  const computing = files.filter(({ computes }) => computes);
  assert.ok(computing.length > 250);
  for (const { path } of computing)
    assert.doesNotMatch(readFileSync(path, "utf8"), /\b(?:Lab|DemoCluster)\.start\(|"node:child_process"/);
});
