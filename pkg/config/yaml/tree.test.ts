import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem, Problems } from "../problems.ts";
import type { YamlNode } from "./node.ts";
import { LineIndex } from "./offsets.ts";
import { parseYaml } from "./tree.ts";

function read(text: string) {
  const problems = new Problems();
  const documents = parseYaml(text, problems);
  const lines = new LineIndex(text);
  return { values: documents?.map(plain), problems: problems.list((offset) => lines.position(offset)).map(formatProblem) };
}

function plain(node: YamlNode | undefined): unknown {
  if (node === undefined) return undefined;
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(plain);
  return Object.fromEntries([...node.entries].map(([key, { value }]) => [key, plain(value)]));
}

const accepted: { name: string; text: string; want: unknown[] }[] = [
  { name: "nothing", text: "", want: [] },
  { name: "comments alone", text: "# a\n# b\n", want: [] },
  { name: "an empty document", text: "---\n", want: [undefined] },
  { name: "JSON", text: '{"a": [1, true, null, "x\\n"]}', want: [{ a: [1, true, null, "x\n"] }] },
  { name: "lines ending with carriage return and line feed", text: "a: 1\r\nb:\r\n- x\r\n", want: [{ a: 1, b: ["x"] }] },
  { name: "a byte order mark", text: "\ufeffa: 1", want: [{ a: 1 }] },
  {
    name: "comments right behind brackets, commas and quotes, as yaml.v2 takes them",
    text: "a: [1,#b\n2]#c\nd: {e: 'f'#g\n}#h\ni: \"j\"#k\nl: m#n\n",
    want: [{ a: [1, 2], d: { e: "f" }, i: "j", l: "m#n" }],
  },
  { name: "a tab before a bracket", text: "a:\t[1]\nb:\n- c: \t{d: 2}\n", want: [{ a: [1], b: [{ c: { d: 2 } }] }] },
  { name: "quotes make text", text: `[1, "1", '1', yes, "yes", ~, "~", ""]`, want: [[1, "1", "1", true, "yes", null, "~", ""]] },
  { name: "block scalars are text", text: "a: |\n  1\nb: >-\n  yes\n", want: [{ a: "1\n", b: "yes" }] },
  { name: "an alias stands for its anchor's value", text: "a: &x [1]\nb: *x", want: [{ a: [1], b: [1] }] },
  { name: "an anchor set again", text: "a: &x 1\nb: *x\nc: &x 2\nd: *x", want: [{ a: 1, b: 1, c: 2, d: 2 }] },
  {
    name: "a field after a merge key wins",
    text: "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3, r: 4}",
    want: [{ a: { p: 1, q: 2 }, b: { p: 1, q: 3, r: 4 } }],
  },
  { name: "of several merged the first wins", text: "a: {<<: [{p: 1}, {p: 2, q: 3}]}", want: [{ a: { p: 1, q: 3 } }] },
  {
    name: "a merge of a merge",
    text: "a: &x {p: 1}\nb: &y {<<: *x, q: 2}\nc: {<<: *y}",
    want: [{ a: { p: 1 }, b: { p: 1, q: 2 }, c: { p: 1, q: 2 } }],
  },
  { name: "a quoted << is a key", text: "'<<': 1", want: [{ "<<": 1 }] },
  { name: "several documents", text: "a\n---\n---\nb: 1\n...\n", want: ["a", undefined, { b: 1 }] },
  {
    name: "tags",
    text: `[!!str 1, !!int "2", !!bool "yes", !!float 3, !!null ~, !!binary aGk=, !x 4, ! 5, !<tag:yaml.org,2002:int> "6"]`,
    want: [["1", 2, true, 3, null, "hi", "4", "5", 6]],
  },
  {
    name: "IPv6 addresses in flow lists",
    text: "[2001:db8::/32, ::1/128, fe80::1-fe80::2]",
    want: [["2001:db8::/32", "::1/128", "fe80::1-fe80::2"]],
  },
];
for (const { name, text, want } of accepted) {
  test(`parseYaml: ${name}`, () => assert.deepEqual(read(text), { values: want, problems: [] }));
}

const refused: { name: string; text: string; want: string[] }[] = [
  {
    name: "a tab as indentation",
    text: "a:\n\tb: 1",
    want: ["2:1: error: not valid YAML: tab characters must not be used in indentation"],
  },
  {
    name: "an unfinished list",
    text: "a: [1,\n",
    want: ["2:1: error: not valid YAML: unexpected end of the stream within a flow collection"],
  },
  {
    name: "a control character",
    text: "a: \u0007",
    want: ["1:4: error: not valid YAML: the stream contains non-printable characters"],
  },
  { name: "a null character", text: "a: 1\n\0", want: ["2:1: error: not valid YAML: null byte is not allowed in input"] },
  {
    name: "half of a surrogate pair",
    text: "a: \ud800",
    want: ["1:4: error: not valid YAML: the stream contains non-printable characters"],
  },
  {
    name: "a key set twice, each time",
    text: "a: 1\nb: {c: 1, c: 2}\na: 3\n",
    want: ['2:11: error: b.c: "c" is already set above', '3:1: error: a: "a" is already set above'],
  },
  { name: "an alias without an anchor", text: "a: *x\nb: &x 1", want: ['1:4: error: a: there is no anchor "x" above'] },
  { name: "an alias to another document", text: "a: &x 1\n---\nb: *x", want: ['3:4: error: b: there is no anchor "x" above'] },
  {
    name: "an alias inside its own anchor",
    text: "a: &x\n- *x",
    want: ['2:3: error: a[0]: the value of anchor "x" contains itself'],
  },
  { name: "a list as a key", text: "? [a]\n: 1", want: ["1:3: error: a key has to be text, but is a list"] },
  {
    name: "a merge of what is no mapping",
    text: "a: {<<: 1}\nb: {<<: [{}, x]}",
    want: [
      '1:5: error: a: "<<" takes a mapping or a list of mappings, but is 1',
      '2:5: error: b: "<<" takes a mapping or a list of mappings, but is the text "x"',
    ],
  },
  {
    name: "a value that does not fit its tag",
    text: "[!!int yes, !!bool 1, !!int 1.5, !!null x, !!binary 179]",
    want: [8, 20, 29, 41, 53].map(
      (column, i) =>
        `1:${column}: error: [${i}]: ${["the value does not fit its tag !!int", "the value does not fit its tag !!bool", "the value does not fit its tag !!int", "the value does not fit its tag !!null", "the tag !!binary takes base64, but this is not"][i]}`,
    ),
  },
];
for (const { name, text, want } of refused) test(`parseYaml refuses: ${name}`, () => assert.deepEqual(read(text).problems, want));

test("parseYaml: a merge key after a field wins as in yaml.v2, with a warning", () => {
  assert.deepEqual(read("a: &x {p: 1}\nb:\n  p: 2\n  <<: *x\n"), {
    values: [{ a: { p: 1 }, b: { p: 1 } }],
    problems: ['4:3: warning: b.p: "<<" replaces "p" set above it; put "<<" first to keep the value set here'],
  });
});
