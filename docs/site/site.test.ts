import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { test } from "node:test";
import { root } from "../generate/markdown.ts";
import { sidebar } from "./.vitepress/config.ts";

test("every page of docs/ is in the sidebar of the site, which is docs/index.md", () => {
  const listed = new Set(sidebar().flatMap(({ items }) => items.map(({ link }) => `${link.slice(1)}.md`)));
  const pages = globSync("docs/*.md", { cwd: root }).filter((file) => file !== "docs/index.md");
  assert.ok(pages.length > 20);
  assert.deepEqual(
    pages.filter((file) => !listed.has(file)),
    [],
  );
});
