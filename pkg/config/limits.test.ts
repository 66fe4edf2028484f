import assert from "node:assert/strict";
import { test } from "node:test";
import { slow } from "#pkg/clock/testing";
import { AddressRange } from "#pkg/net";
import { formatProblem, parseConfig, readInput } from "./index.ts";
import { limits } from "./limits.ts";

const many = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join("");
const pools = (count: number, address: (i: number) => string) =>
  `address-pools:\n${many(count, (i) => `- name: pool-${i}\n  protocol: layer2\n  addresses:\n  - ${address(i)}\n`)}`;
const peer = "my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1";
const tooManyValues = `the text stands for more than ${limits.values} values`;

test("parseConfig: 10,000 pools are read", slow, () => {
  const { config, problems } = parseConfig(pools(10_000, (i) => `10.${i >> 8}.${i & 255}.0/28`));
  assert.deepEqual(problems, []);
  assert.equal(config?.pools.length, 10_000);
});

test("parseConfig: 10,000 problems are counted, and the first hundred places are named", () => {
  const { problems } = parseConfig(pools(10_001, () => "192.0.2.0/28"));
  assert.equal(problems.length, limits.problems);
  assert.equal(problems[0]?.path, "address-pools[1].addresses[0]");
  assert.deepEqual(problems.at(-1)?.message, "9901 more problems are not listed");
});

test("parseConfig: no number of warnings hides an error", () => {
  const advertisements = many(7000, (i) => `  - localpref: ${i}\n`);
  const text = `address-pools:\n- name: a\n  protocol: bgp\n  addresses: [192.0.2.0/24, 192.0.2.0/25]\n  bgp-advertisements:\n${advertisements}peers: [{my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.1}]\n`;
  const { problems } = parseConfig(text);
  assert.equal(problems.length, limits.problems);
  assert.deepEqual(
    problems.filter(({ severity }) => severity === "error").map(({ path, message }) => path || message),
    ["address-pools[0].addresses[1]", "6901 more problems are not listed"],
  );
});

test("parseConfig: neither the addresses of pools are counted out nor their CIDRs made", (t) => {
  const made = t.mock.method(AddressRange.prototype, "toPrefixes").mock;
  const addresses = ["0.0.0.0/0", "'::/1'", "8000::1-8fff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"];
  const { config } = parseConfig(`address-pools: [{name: a, protocol: [bgp, interface], addresses: [${addresses}]}]`);
  assert.equal(config?.pools[0]?.ranges.length, 3);
  assert.equal(made.callCount(), 0);
});

const digits = "9".repeat(1_000_000);
const shown = `${"9".repeat(60)}…`;
const wanted = "peers[0].peer-port: must be a whole number from 0 to 65535, but is";
const selectors = `[&m {match-expressions: [&f {key: a, operator: In, values: [${"x,".repeat(500)}]}${", *f".repeat(500)}]}${", *m".repeat(500)}]`;
const refused: { name: string; text: string; want: string }[] = [
  {
    name: "text longer than a ConfigMap can be",
    text: `#${" ".repeat(limits.textLength)}`,
    want: "1:1: error: the text has 1048577 characters, but at most 1048576 are read",
  },
  {
    name: "more structure than the parser should meet",
    text: "{},".repeat(100_000),
    want: "1:1: error: the text has about 300000 values, but at most 250000 are read",
  },
  { name: "deep nesting", text: "[".repeat(100_000), want: "1:50: error: not valid YAML: nesting exceeded maxDepth (50)" },
  {
    name: "entries in entries",
    text: "- ".repeat(100_000),
    want: "1:101: error: not valid YAML: nesting exceeded maxDepth (50)",
  },
  {
    name: "aliases of aliases",
    text: `peers: [{${peer}, node-selectors: ${selectors}}]`,
    want: `1:733: error: ${tooManyValues}`,
  },
  {
    name: "aliases where nothing is known",
    text: `a: &a [${"x,".repeat(100)}]\nb: &b [${"*a,".repeat(100)}]\nc: [${"*b,".repeat(100)}]`,
    want: '1:1: error: a: unknown field "a"; the fields here are address-pools, quotas, peers, failover, bgp-communities, bfd-profiles',
  },
  {
    name: "aliases of a long text",
    text: `bgp-communities: {a: &a ${"x".repeat(100_000)}}\npeers: [${"{password: *a},".repeat(100)}]`,
    want: `1:25: error: the text stands for more than ${limits.characters} characters`,
  },
  {
    name: "aliases of a long key",
    text: `bfd-profiles: [&a {${"x".repeat(100_000)}: 1},${"*a,".repeat(100)}]`,
    want: `1:100022: error: the text stands for more than ${limits.characters} characters`,
  },
  {
    name: "merges of merges",
    text: `address-pools:\n- &a {${many(2000, (i) => `k${i}: 1, `)}}\n${"- <<: *a\n".repeat(200)}`,
    want: `75:3: error: ${tooManyValues}`,
  },
  { name: "a huge number", text: `peers: [{${peer}, peer-port: ${digits}}]`, want: `1:70: error: ${wanted} ${shown}` },
  {
    name: "a huge hexadecimal number",
    text: `peers: [{${peer}, peer-port: 0x${digits}}]`,
    want: `1:70: error: ${wanted} 0x${shown.slice(2)}`,
  },
  {
    name: "a huge exponent",
    text: `peers: [{${peer}, peer-port: 1e${digits}}]`,
    want: `1:70: error: ${wanted} the text "1e${shown.slice(2)}"`,
  },
  {
    name: "a long name of a field",
    text: `${"a".repeat(1_000_000)}: 1`,
    want: `1:1: error: ["${"a".repeat(60)}…"]: unknown field "${"a".repeat(60)}…"; the fields here are address-pools, quotas, peers, failover, bgp-communities, bfd-profiles`,
  },
  {
    name: "a long duration",
    text: `peers: [{${peer}, hold-time: ${"1h".repeat(400_000)}}]`,
    want: `1:70: error: peers[0].hold-time: must be a duration such as "90s" or "1m30s", but is "${"1h".repeat(30)}…"`,
  },
  {
    name: "more peers for all nodes than one has sessions with",
    text: `peers:\n${many(257, (i) => `- {my-asn: 1, peer-asn: 2, peer-address: 192.0.${i >> 8}.${i & 255}}\n`)}`,
    want: "258:3: error: peers[256]: more than 256 peers are for all nodes, and no node has sessions with so many",
  },
  {
    name: "ranges that need too many CIDRs",
    text: pools(2000, (i) => `${(i + 0x1000).toString(16)}::1-${(i + 0x1000).toString(16)}:ffff:ffff:ffff:ffff:ffff:ffff:fffe`),
    want: "905:5: error: address-pools[225].addresses[0]: the addresses up to here need more than 50000 CIDRs",
  },
];
for (const { name, text, want } of refused) {
  test(`parseConfig refuses: ${name}`, () => {
    const [first] = parseConfig(text).problems;
    assert.equal(first && formatProblem(first), want);
  });
}

test("readInput: a manifest longer than any is refused unread", () => {
  const [first, ...more] = readInput(`#${" ".repeat(limits.manifestLength)}`).problems;
  assert.deepEqual(more, []);
  assert.equal(first?.message, "the text has 2097153 characters, but at most 2097152 are read");
});
