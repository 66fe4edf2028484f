import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesSelector } from "./matches-selector.ts";
import { parseConfig } from "./parse.ts";

const cases: { selector: string; labels: Record<string, string>; want: boolean }[] = [
  { selector: "{}", labels: {}, want: true },
  { selector: "{match-labels: {a: b}}", labels: { a: "b", c: "d" }, want: true },
  { selector: "{match-labels: {a: b}}", labels: { a: "c" }, want: false },
  { selector: "{match-labels: {a: b, c: d}}", labels: { a: "b" }, want: false },
  { selector: "{match-labels: {a: }}", labels: {}, want: false },
  { selector: "{match-labels: {a: }}", labels: { a: "" }, want: true },
  { selector: "{match-labels: {constructor: x}}", labels: {}, want: false },
  { selector: "{match-expressions: [{key: a, operator: In, values: [x, y]}]}", labels: { a: "y" }, want: true },
  { selector: "{match-expressions: [{key: a, operator: In, values: [x, y]}]}", labels: { a: "z" }, want: false },
  { selector: "{match-expressions: [{key: a, operator: In, values: [x]}]}", labels: {}, want: false },
  { selector: "{match-expressions: [{key: a, operator: NotIn, values: [x]}]}", labels: { a: "x" }, want: false },
  { selector: "{match-expressions: [{key: a, operator: NotIn, values: [x]}]}", labels: { a: "y" }, want: true },
  { selector: "{match-expressions: [{key: a, operator: NotIn, values: [x]}]}", labels: {}, want: true },
  { selector: "{match-expressions: [{key: a, operator: Exists}]}", labels: { a: "" }, want: true },
  { selector: "{match-expressions: [{key: toString, operator: Exists}]}", labels: {}, want: false },
  { selector: "{match-expressions: [{key: a, operator: DoesNotExist}]}", labels: {}, want: true },
  { selector: "{match-expressions: [{key: a, operator: DoesNotExist}]}", labels: { a: "" }, want: false },
  { selector: "{match-labels: {a: b}, match-expressions: [{key: c, operator: Exists}]}", labels: { a: "b" }, want: false },
];
for (const { selector, labels, want } of cases) {
  test(`matchesSelector: ${selector} ${want ? "selects" : "does not select"} ${JSON.stringify(labels)}`, () => {
    const text = `peers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, node-selectors: [${selector}]}]`;
    const read = parseConfig(text).config?.peers[0]?.nodeSelectors[0];
    assert.ok(read);
    assert.equal(matchesSelector(read, labels), want);
  });
}
