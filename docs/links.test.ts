import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { anchors, blocks, links, page, pages, root } from "./generate/markdown.ts";

for (const one of pages()) {
  test(`${one.file}: every link leads to a file and heading that is there`, () => {
    const broken = links(one).filter(({ target }) => !isExternal(target) && !leadsSomewhere(one.file, target));
    assert.deepEqual(broken, []);
  });
}

function isExternal(target: string): boolean {
  return /^(https?|mailto):/.test(target);
}

function leadsSomewhere(from: string, target: string): boolean {
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? from : normalize(join(dirname(from), path));
  if (file.startsWith("..") || !existsSync(join(root, file))) return false;
  if (anchor === undefined) return true;
  return !statSync(join(root, file)).isDirectory() && anchors(page(file)).has(anchor);
}

test("who changes a release by Helm waits for the DaemonSet, which helm --wait leaves out", () => {
  const all = pages().flatMap((one) => blocks(one).map((block, index) => ({ block, next: blocks(one)[index + 1] })));
  const hasty = all.filter(
    ({ block, next }) =>
      /^helm (upgrade|rollback) /m.test(block.text) && !/rollout status daemonset/.test(`${block.text}${next?.text ?? ""}`),
  );
  assert.deepEqual(
    hasty.map(({ block }) => block.place),
    [],
  );
});

test("every page of docs/ can be reached from the README", () => {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const { target } of links(page(file))) {
      const path = target.split("#")[0] ?? "";
      if (!isExternal(target) && path.endsWith(".md")) visit(normalize(join(dirname(file), path)));
    }
  };
  visit("README.md");
  assert.deepEqual(
    pages()
      .map(({ file }) => file)
      .filter((file) => file.startsWith("docs/") && !reached.has(file)),
    [],
  );
});
