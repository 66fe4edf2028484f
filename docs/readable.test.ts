import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { test } from "node:test";
import { type Page, page, pages, prose, read, root } from "./generate/markdown.ts";

test("the README is short enough to be read", () => {
  assert.ok(page("README.md").text.split("\n").length <= 121, "at most 120 lines");
});

interface Passage {
  readonly place: string;
  readonly kind: "item" | "paragraph";
  readonly words: number;
}

/** Items of lists and paragraphs outside of blocks and tables. */
function passages(one: Page): Passage[] {
  const found: { place: string; kind: "item" | "paragraph"; text: string }[] = [];
  let open = false;
  for (const [index, line] of prose(one).entries()) {
    const isItem = /^\s*([-*]|\d+\.) /.test(line);
    const isText = line.trim() !== "" && !/^[#|]/.test(line);
    const last = found.at(-1);
    if (isText && open && !isItem && last !== undefined) last.text += ` ${line}`;
    else if (isText) found.push({ place: `${one.file}:${index + 1}`, kind: isItem ? "item" : "paragraph", text: line });
    open = isText;
  }
  return found.map(({ place, kind, text }) => ({ place, kind, words: text.trim().split(/\s+/).length }));
}

test("no item of a list has more than 60 words", () => {
  const items = pages()
    .filter(({ file }) => file !== "CHANGELOG.md")
    .flatMap(passages)
    .filter(({ kind }) => kind === "item");
  assert.ok(items.length > 200);
  assert.deepEqual(
    items.filter(({ words }) => words > 60),
    [],
  );
});

for (const file of ["operations", "reliability", "install", "distributions", "tutorial", "faq"])
  test(`no paragraph of ${file}.md has more than 90 words`, () => {
    const found = passages(page(`docs/${file}.md`));
    assert.ok(found.length > 0);
    assert.deepEqual(
      found.filter(({ words }) => words > 90),
      [],
    );
  });

test("faq.md answers 25 questions in two to five sentences each, and each answer leads to a page or names a command", () => {
  const answers = page("docs/faq.md").text.split(/^### /m).slice(1);
  assert.ok(answers.length >= 25, `${answers.length} questions`);
  const wrong = answers.filter((answer) => {
    const [, ...lines] = answer.split(/^## /m)[0]?.split("\n") ?? [];
    const text = lines.join(" ").trim();
    const sentences = text.split(/(?<=[.?!]) +(?=[A-Z`[])/).length;
    return sentences < 2 || sentences > 5 || !/\]\(|`ingotctl /.test(text);
  });
  assert.deepEqual(wrong, []);
});

test("every diagram has a title, a description, text, and colors for a dark page, and loads nothing", () => {
  const files = globSync("docs/images/*.svg", { cwd: root });
  assert.ok(files.length >= 3);
  for (const file of files) {
    const text = read(file);
    for (const part of [/<title id="title">[^<]{10,}/, /<desc id="desc">[^<]{50,}/, /aria-labelledby="title desc"/, /role="img"/])
      assert.match(text, part, file);
    assert.match(text, /@media \(prefers-color-scheme: dark\)/, file);
    assert.ok((text.match(/<text /g) ?? []).length > 5, file);
    assert.doesNotMatch(text, /<script|<image|href=|url\((?!#)/, file);
  }
});
