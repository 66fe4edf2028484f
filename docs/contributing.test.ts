import assert from "node:assert/strict";
import { existsSync, globSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { page, read, root, tableRows } from "./generate/markdown.ts";

const contributing = page("CONTRIBUTING.md");
const named = tableRows(contributing, "Find your way").flatMap(([folders = ""]) =>
  [...folders.matchAll(/`([^`]+)\/`/g)].map(([, folder = ""]) => folder),
);

test("every folder in the table of CONTRIBUTING.md is there", () => {
  assert.deepEqual(
    named.filter((folder) => !existsSync(join(root, folder))),
    [],
  );
});

test("every package, program and part of the test equipment is in the table of CONTRIBUTING.md", () => {
  const folders = (parent: string) =>
    readdirSync(join(root, parent), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "testing")
      .map(({ name }) => `${parent}/${name}`);
  const all = ["controller", "speaker", "ctl", ...["pkg", "e2e", "speaker", "controller"].flatMap(folders)];
  assert.deepEqual(
    all.filter((folder) => !named.includes(folder)),
    [],
  );
});

test("every word of the glossary is used in the source", () => {
  const files = globSync("{controller,speaker,ctl,pkg,e2e}/**/*.ts", { cwd: root });
  const source = files.map((file) => read(file).replaceAll(/([a-z])([A-Z])/g, "$1 $2")).join("\n"); // The words of names, too.
  const words = tableRows(contributing, "Words").map(([word = ""]) => word);
  const isUsed = (word: string) => new RegExp(`\\b${word.replaceAll(" ", "[ -]?")}`, "i").test(source);
  assert.ok(words.length > 0);
  assert.deepEqual(
    words.filter((word) => !isUsed(word)),
    [],
  );
});

test("every file of Where do I add… is there", () => {
  const files = tableRows(contributing, "Where do I add…").flatMap(([, places = ""]) =>
    [...places.matchAll(/`((?:pkg|ctl|controller|speaker|docs)\/[^` ]*)`/g)].map(([, file = ""]) => file),
  );
  assert.ok(files.length > 20);
  assert.deepEqual(
    files.filter((file) => !existsSync(join(root, file))),
    [],
  );
});
