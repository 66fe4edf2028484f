import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { BgpAdvertisement } from "../config.ts";
import { parseConfig } from "../parse.ts";
import { canMeet, matchesSelector } from "./selectors.ts";

const matches: { selector: string; labels: Record<string, string>; want: boolean }[] = [
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
for (const { selector, labels, want } of matches) {
  test(`matchesSelector: ${selector} ${want ? "selects" : "does not select"} ${JSON.stringify(labels)}`, () => {
    const text = `peers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, node-selectors: [${selector}]}]`;
    const read = parseConfig(text).config?.peers[0]?.nodeSelectors[0];
    assert.ok(read);
    assert.equal(matchesSelector(read, labels), want);
  });
}

/** A pool's advertisements, one for each of these flow mappings. */
function advertisements(texts: readonly string[]): readonly BgpAdvertisement[] {
  const peers = ["x", "y"].map((name, i) => `{name: ${name}, my-asn: 1, peer-asn: 2, peer-address: 192.0.2.${i}}`);
  const pool = `{name: a, protocol: bgp, addresses: [192.0.2.0/24], bgp-advertisements: [${texts}]}`;
  const { config } = parseConfig(`{peers: [${peers}], address-pools: [${pool}]}`);
  assert.ok(config);
  return config.pools[0]?.advertisements ?? [];
}

const selecting = (...selectors: string[]) => `node-selectors: [${selectors}]`;
const rack = (...values: string[]) => `{match-expressions: [{key: rack, operator: In, values: [${values}]}]}`;
const notRack = (...values: string[]) => `{match-expressions: [{key: rack, operator: NotIn, values: [${values}]}]}`;
const has = "{match-expressions: [{key: rack, operator: Exists}]}";
const hasNot = "{match-expressions: [{key: rack, operator: DoesNotExist}]}";

const meetings: { a: string; b: string; want: boolean }[] = [
  { a: "", b: "", want: true },
  { a: "peers: [x]", b: "", want: true },
  { a: "peers: [x, y]", b: "peers: [y]", want: true },
  { a: "peers: [x]", b: "peers: [y]", want: false },
  { a: selecting(rack("a")), b: "", want: true },
  { a: selecting(rack("a")), b: selecting("{}"), want: true },
  { a: selecting(rack("a")), b: selecting(rack("b")), want: false },
  { a: selecting(rack("a"), rack("b")), b: selecting(rack("b", "c")), want: true },
  { a: selecting("{match-labels: {rack: a}}"), b: selecting("{match-labels: {rack: b}}"), want: false },
  { a: selecting("{match-labels: {rack: a}}"), b: selecting("{match-labels: {zone: b}}"), want: true },
  { a: selecting("{match-labels: {rack: a, zone: b}}"), b: selecting("{match-labels: {rack: b, zone: b}}"), want: false },
  { a: selecting(rack("a")), b: selecting(notRack("a")), want: false },
  { a: selecting(rack("a", "b")), b: selecting(notRack("a")), want: true },
  { a: selecting(notRack("x")), b: selecting(notRack("xx")), want: true },
  { a: selecting(hasNot), b: selecting(notRack("a")), want: true },
  { a: selecting(hasNot), b: selecting(has), want: false },
  { a: selecting(hasNot), b: selecting(rack("a")), want: false },
  { a: selecting(has), b: selecting(notRack("a")), want: true },
];
for (const { a, b, want } of meetings) {
  test(`canMeet: {${a}} and {${b}} ${want ? "can" : "cannot"}`, () => {
    const [one, other] = advertisements([`{localpref: 1, ${a}}`, `{localpref: 2, ${b}}`]);
    assert.ok(one && other);
    assert.equal(canMeet(one, other, { comparisons: 1000 }), want);
    assert.equal(canMeet(other, one, { comparisons: 1000 }), want);
  });
}

test("canMeet: agrees with a look at all labels that a node could have", () => {
  const value = fc.constantFrom("a", "b");
  const key = fc.constantFrom("rack", "zone");
  const expression = fc.oneof(
    fc.record({
      key,
      operator: fc.constantFrom("In" as const, "NotIn" as const),
      values: fc.uniqueArray(value, { minLength: 1 }),
    }),
    fc.record({ key, operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const), values: fc.constant([]) }),
  );
  const selector = fc.record({
    matchLabels: fc.dictionary(key, value).map((labels) => new Map(Object.entries(labels))),
    matchExpressions: fc.array(expression, { maxLength: 3 }),
  });
  const reach = fc.record({ peers: fc.constant([]), nodeSelectors: fc.array(selector, { minLength: 1, maxLength: 2 }) });
  const values = [undefined, "a", "b", "c"];
  const nodes = values.flatMap((rack) => values.map((zone) => ({ ...(rack && { rack }), ...(zone && { zone }) })));
  fc.assert(
    fc.property(reach, reach, (a, b) => {
      const selects = ({ nodeSelectors }: typeof a, labels: Record<string, string>) =>
        nodeSelectors.some((one) => matchesSelector(one, labels));
      const meet = nodes.some((labels) => selects(a, labels) && selects(b, labels));
      assert.equal(canMeet(a, b, { comparisons: 1000 }), meet);
    }),
  );
});

test("canMeet: once the budget is spent, all can", () => {
  const [one, other] = advertisements([`{${selecting(rack("a"))}}`, `{${selecting(rack("b"))}}`]);
  assert.ok(one && other);
  const budget = { comparisons: 7 };
  assert.equal(canMeet(one, other, budget), false);
  assert.equal(canMeet(one, other, budget), true);
});

test("canMeet: what selectors ask of a label is gathered once, however often they are compared", () => {
  const values = Array.from({ length: 100 }, (_, i) => `v${i}`);
  const [one, other] = advertisements([
    `{${selecting(rack(...values), notRack(...values))}}`,
    `{localpref: 1, ${selecting("{match-labels: {zone: a}}")}}`,
  ]);
  assert.ok(one && other);
  const budget = { comparisons: 1000 };
  for (let i = 0; i < 100; i++) assert.equal(canMeet(one, other, budget), true);
  assert.equal(budget.comparisons, 1000 - 100 * 3);
});
