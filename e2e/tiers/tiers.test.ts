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
  assert.deepEqual(folders, ["e2e/arm64", "e2e/cluster", "e2e/dashboard"]);
  for (const folder of folders) assert.ok(makefile.includes(`'${folder}/**/*.test.ts'`), folder);
});

test("make test has all of make quick, and eight scenarios that need no root", () => {
  const chosen = select(files, "test");
  for (const file of select(files, "quick")) assert.ok(chosen.includes(file), file.path);
  const smoke = chosen.filter(({ path, alone }) => alone && path.startsWith("e2e/scenarios/"));
  assert.deepEqual([smoke.length, smoke.filter(({ root }) => root)], [8, []]);
});

test("make test and make scenarios have every file once", () => {
  const both = [...select(files, "test"), ...select(files, "scenarios")];
  assert.equal(new Set(both).size, both.length);
  assert.equal(both.length, files.length);
});
