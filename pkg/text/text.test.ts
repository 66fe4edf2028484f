import assert from "node:assert/strict";
import { test } from "node:test";
import { age, counted, escapeControls, forNamespace, list, listOf, maskControls, quote } from "#pkg/text";

test("of many items the first five are listed, and how many more there are", () => {
  assert.equal(list([]), "");
  assert.equal(list(["a", 2, "c", "d", "e"]), "a, 2, c, d, e");
  assert.equal(list(["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e, and 2 more");
  assert.equal(list(["a", "b", "c", "d", "e", "f"], "; "), "a; b; c; d; e; and 1 more");
  assert.equal(list(["a", "b", "c", "d", "e", "f"], ", ", 10_000), "a, b, c, d, e, and 9995 more");
});

const quotes: { name: string; text: string; want: string }[] = [
  { name: "stands in quotes", text: "a b", want: '"a b"' },
  { name: "is cut after 60 characters", text: "x".repeat(61), want: `"${"x".repeat(60)}…"` },
  { name: "is cut between characters, not within one", text: `${"x".repeat(59)}😀y`, want: `"${"x".repeat(59)}…"` },
  { name: "is cut behind a character of two halves", text: `${"x".repeat(58)}😀y`, want: `"${"x".repeat(58)}😀…"` },
  { name: "stays on one line", text: "a\nb\r\u2028", want: '"a\\nb\\r\\u2028"' },
  { name: "shows control characters of both sets", text: "\u001b[2J\u007f\u009b", want: '"\\u001b[2J\\u007f\\u009b"' },
  { name: "shows what would reorder it", text: "\u202eabc\u2066\u200f\u061c", want: '"\\u202eabc\\u2066\\u200f\\u061c"' },
  { name: "is not shown where it may be a password", text: "Password: x", want: '"…"' },
];
for (const { name, text, want } of quotes) test(`quoted text ${name}`, () => assert.equal(quote(text), want));

test("escapes leave JSON as it is, and the text in it", () => {
  const value = { text: "a\u0000\u007f\u0085\u202e\u2029é😀" };
  const json = escapeControls(JSON.stringify(value));
  assert.deepEqual(JSON.parse(json), value);
  assert.doesNotMatch(json, /[\p{Cc}\u202e\u2029]/u);
});

test("masked text keeps its columns", () => assert.equal(maskControls("a\tb\u001bc\u202ed"), "a b·c·d"));

test("of a long list only what is listed is described", () => {
  let described = 0;
  const items = Array.from({ length: 10_000 }, (_, index) => index);
  const text = listOf(items, (item) => {
    described++;
    return `<${item}>`;
  });
  assert.equal(text, "<0>, <1>, <2>, <3>, <4>, and 9995 more");
  assert.equal(described, 5);
});

test("a number stands with its word in the singular or the plural", () => {
  assert.equal(counted(0, "node"), "0 nodes");
  assert.equal(counted(1, "node"), "1 node");
  assert.equal(counted(2, "address"), "2 addresses");
  assert.equal(counted(2, "IPv4 prefix"), "2 IPv4 prefixes");
});

test("an age has one unit, and at least two of it above seconds", () => {
  const ages: [number, string][] = [
    [-5, "0s"],
    [119, "119s"],
    [120, "2m"],
    [7_199, "119m"],
    [7_200, "2h"],
    [172_799, "47h"],
    [172_800, "2d"],
  ];
  const since = "2026-01-01T00:00:00Z";
  for (const [seconds, want] of ages) assert.equal(age(since, new Date(Date.parse(since) + seconds * 1000)), want);
  assert.equal(age(since, new Date(Date.parse(since) + 120_000), [" s", " min", " h", " d"]), "2 min");
  assert.equal(age("never", new Date()), "");
});

test("commands are for the namespace of the installation, and names of others stay", () => {
  const text =
    "kubectl -n metallb-system get pods; can-i --as=system:serviceaccount:metallb-system:speaker; Service metallb-system/web";
  const here = "kubectl -n lb get pods; can-i --as=system:serviceaccount:lb:speaker; Service metallb-system/web";
  assert.equal(forNamespace(text, "lb"), here);
  for (const other of ["metallb-systems", "metallb-system-b"])
    assert.equal(forNamespace(`kubectl -n ${other} get pods`, "lb"), `kubectl -n ${other} get pods`);
});
