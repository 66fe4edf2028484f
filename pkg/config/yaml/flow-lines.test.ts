import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { load } from "js-yaml";
import { joinFlowLines } from "./flow-lines.ts";

/** In each, what is inside brackets and spans lines comes to lie on one, and nothing else moves. */
const cases: { name: string; text: string; want: string }[] = [
  { name: "a list over lines", text: "a: [\n1,\r\n2\n]\nb: 1\n", want: "a: [ 1,  2 ]\nb: 1\n" },
  { name: "brackets in brackets", text: "- [{a:\nb}\n,\n[]\n]\n", want: "- [{a: b} , [] ]\n" },
  { name: "comments inside go", text: "a: [ # ]\n1 #\n]\n", want: "a: [     1   ]\n" },
  { name: "comments right behind brackets and commas go", text: "a: [#b\n{},#c\n1]#d\r\n", want: "a: [   {},   1]  \r\n" },
  { name: "a comment right behind the mark of a block scalar goes", text: "a: |-#b\n  c#[\n", want: "a: |-  \n  c#[\n" },
  { name: "comments right behind quotes go", text: "'a': \"b\"#c\nd: ['#'#e\n]\n", want: "'a': \"b\"  \nd: ['#'   ]\n" },
  { name: "tabs before values", text: "a: [\t1,\t{b:\t2\t},\t\n3]\nb:\t4\n", want: "a: [ 1, {b: 2\t},  3]\nb: 4\n" },
  { name: "tabs before brackets", text: "a:\t[1]\n-\t&x \t{}\n\t[2]\n", want: "a: [1]\n- &x  {}\n\t[2]\n" },
  { name: "a dash inside plain text is text", text: "a: b-\t'c'#d - 'e'#f\ng: [\n]\n", want: "a: b-\t'c'#d - 'e'#f\ng: [ ]\n" },
  { name: "tabs inside text stay", text: 'a: [b\tc, "d\te"]\n', want: 'a: [b\tc, "d\te"]\n' },
  { name: "a hash inside text stays", text: "a: [b#c,\n1]\n", want: "a: [b#c, 1]\n" },
  { name: "brackets in quotes are text", text: "a: ['[', \"]\\\"\",\n'it''s]']\n", want: "a: ['[', \"]\\\"\", 'it''s]']\n" },
  { name: "an apostrophe inside plain text is text", text: "a: [it's,\nb]\nc: 'd'\n", want: "a: [it's, b]\nc: 'd'\n" },
  { name: "a quoted key", text: '{"a":\n[1,\n2]}\n', want: '{"a": [1, 2]}\n' },
  { name: "compact JSON", text: '{"a":"b # ]","c":[\n"]"]}\n', want: '{"a":"b # ]","c":[ "]"]}\n' },
  { name: "after an anchor and a tag", text: "a: &x !!seq [\n]\n", want: "a: &x !!seq [ ]\n" },
  { name: "brackets inside plain text are text", text: "a: b[\nc: d{\n", want: "a: b[\nc: d{\n" },
  { name: "brackets in comments are not values", text: "# [\na: 1 # [\n", want: "# [\na: 1 # [\n" },
  { name: "brackets in quoted text over lines are text", text: 'a: "[\n  b"\nc: [\n]\n', want: 'a: "[\n  b"\nc: [ ]\n' },
  { name: "brackets in block scalars are text", text: "a: |\n  [\n\n  {\nb: [\n]\n", want: "a: |\n  [\n\n  {\nb: [ ]\n" },
  { name: "a block scalar under a key of a list", text: "- a: >-\n    [\n  b: [\n]\n", want: "- a: >-\n    [\n  b: [ ]\n" },
  { name: "a block scalar as an entry", text: "- |\n [\n- [\n]\n", want: "- |\n [\n- [ ]\n" },
];
for (const { name, text, want } of cases) {
  test(`joinFlowLines: ${name}`, () => {
    const joined = joinFlowLines(text);
    assert.equal(joined, want);
    assert.equal(joined.length, text.length);
  });
}

test("joinFlowLines: leaves no indentation to matter in JSON, and changes no value", () => {
  const text = fc
    .jsonValue()
    .chain((value) =>
      fc.nat(4).map((indent) => ({ value, text: `a:\n  b: ${JSON.stringify(value, null, indent).replaceAll(/\n */g, "\n")}\n` })),
    );
  fc.assert(
    fc.property(text, ({ value, text }) =>
      assert.deepEqual(load(joinFlowLines(text)), { a: { b: JSON.parse(JSON.stringify(value)) } }),
    ),
  );
});

test("joinFlowLines: keeps the length of any text and ends", () => {
  const text = fc.array(
    fc.constantFrom("[", "]", "{", "}", "'", '"', "\\", "#", ":", "-", " ", "\n", "\r", "|", ">", "&", "!", "a", ","),
    { maxLength: 60 },
  );
  fc.assert(fc.property(text, (characters) => assert.equal(joinFlowLines(characters.join("")).length, characters.length)));
});
