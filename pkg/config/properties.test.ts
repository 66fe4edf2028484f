import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dump } from "js-yaml";
import { type Config, formatCommunity, type LabelSelector, parseConfig, readInput } from "./index.ts";
import { configSchema } from "./schema.ts";

/** Whatever the text: an answer, with a configuration exactly if nothing is an error, and every problem at a place in the text. */
function checkAnswer(text: string): void {
  for (const read of [parseConfig, readInput]) {
    const { config, problems } = read(text);
    assert.equal(
      config === undefined,
      problems.some(({ severity }) => severity === "error"),
    );
    const lines = text.split(/\r\n|\n|\r/);
    for (const { line, column, message } of problems) {
      assert.ok(message.length > 0 && message.length < 1000);
      const length = lines[line - 1]?.length;
      assert.ok(length !== undefined && column >= 1 && column <= length + 2, `line ${line}, column ${column}`); // CR and LF are two.
    }
  }
}

const fields = [...JSON.stringify(configSchema).matchAll(/"([a-z0-9-]+)":\{"/g)].map(([, name]) => name ?? "");
const words = [
  "bgp",
  "layer2",
  "192.0.2.0/24",
  "10.0.0.1-10.0.0.9",
  "::1",
  "2001:db8::/64",
  "1:2",
  "no-export",
  "90s",
  "0",
  "24",
  "-1",
  "1.5",
  "yes",
  "~",
  "a",
  "In",
  "<<",
  "kind",
  "ConfigMap",
  "eth*",
  "data",
  "config",
  "__proto__",
];
const signs = [
  "\n",
  "\n  ",
  "\n- ",
  "\n  - ",
  ": ",
  ", ",
  "[",
  "]",
  "{",
  "}",
  "'",
  '"',
  "&a ",
  "*a",
  "!!int ",
  "!!str ",
  "#",
  "|\n ",
  ">\n ",
  "---\n",
  "\t",
  "\r\n",
  "\\",
  "? ",
  "\ufeff",
  "\u2028",
  "😀",
  "\0",
];

test("parseConfig: any text has an answer", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), checkAnswer));
});

test("parseConfig: any text made of what configurations are made of has an answer", () => {
  const text = fc.array(fc.constantFrom(...fields, ...words, ...signs), { maxLength: 60 }).map((parts) => parts.join(""));
  fc.assert(fc.property(text, checkAnswer), { numRuns: 3000 });
});

test("parseConfig: any tree has an answer, wherever known fields hold unknown things", () => {
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "medium" },
      fc.constantFrom<unknown>(...words, "", null, true, 0, 24, 300, 4294967296, 1.5),
      tie("list"),
      tie("map"),
    ),
    list: fc.array(tie("tree"), { maxLength: 4 }),
    map: fc.dictionary(
      fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...fields) }, { weight: 1, arbitrary: fc.string() }),
      tie("tree"),
      { maxKeys: 5, noNullPrototype: true },
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => checkAnswer(dump(value))),
    { numRuns: 1000 },
  );
});

const label = fc.constantFrom("rack", "kubernetes.io/hostname", "a.b/c_d");
const labelValue = fc.constantFrom("", "a", "x-1", "0012", "yes");
const expression = fc.oneof(
  fc.record({
    key: label,
    operator: fc.constantFrom("In", "NotIn"),
    values: fc.array(labelValue, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ key: label, operator: fc.constantFrom("Exists", "DoesNotExist") }),
);
const optional = <T extends object, K extends keyof T>(all: { [P in keyof T]: fc.Arbitrary<T[P]> }, requiredKeys: K[]) =>
  fc.record(all, { requiredKeys });
const community = fc.constantFrom("64512:1", "1:2", "large:1:2:3", "blackhole", "inside");
const advertisement = optional(
  {
    "aggregation-length": fc.integer({ min: 28, max: 32 }),
    "aggregation-length-v6": fc.integer({ min: 120, max: 128 }),
    localpref: fc.nat(4294967295),
    communities: fc.uniqueArray(community, { maxLength: 4 }),
  },
  [],
);
const selectors = fc.array(
  fc.record({
    "match-labels": fc.dictionary(label, labelValue, { noNullPrototype: true }),
    "match-expressions": fc.array(expression, { maxLength: 2 }),
  }),
  { maxLength: 2 },
);
const pool = (index: number) => {
  const common = {
    name: fc.constant(`pool ${index}`),
    addresses: fc.uniqueArray(
      fc.constantFrom(`10.${index}.0.0/28`, `10.${index}.1.0-10.${index}.1.31`, `2001:db8:${index}::/120`),
      { minLength: 1 },
    ),
    "auto-assign": fc.boolean(),
    "avoid-buggy-ips": fc.boolean(),
  };
  const bgp = {
    ...common,
    protocol: fc.constant("bgp"),
    "bgp-advertisements": fc.uniqueArray(advertisement, {
      maxLength: 3,
      selector: (a) => JSON.stringify(Object.entries(a).sort()),
    }),
  };
  const layer2 = {
    ...common,
    protocol: fc.constant("layer2"),
    "node-selectors": selectors,
    interfaces: fc.array(fc.constantFrom("eth0", "*", "?th*", "bond0.1??", "0x10"), { maxLength: 3 }),
  };
  return fc.oneof(optional(bgp, ["name", "protocol", "addresses"]), optional(layer2, ["name", "protocol", "addresses"]));
};
const peer = (index: number) =>
  optional(
    {
      "my-asn": fc.constant(64512),
      "peer-asn": fc.integer({ min: 64513, max: 4294967295 }),
      "peer-address": fc.constantFrom(`192.0.2.${index}`, `2001:db8::${index + 1}`),
      "peer-port": fc.integer({ min: 1, max: 65535 }),
      "hold-time": fc.integer({ min: 30, max: 65535 }).map((seconds) => `${seconds}s`),
      "keepalive-time": fc.integer({ min: 1, max: 30 }).map((seconds) => `${seconds}s`),
      "router-id": fc.constant("192.0.2.200"),
      password: fc.string({ minLength: 1, maxLength: 20 }).filter((text) => new TextEncoder().encode(text).length <= 80),
      "bfd-profile": fc.constant("fast"),
      "ebgp-multihop": fc.boolean(),
      "node-selectors": selectors,
    },
    ["my-asn", "peer-asn", "peer-address"],
  );
const several = <T>(make: (index: number) => fc.Arbitrary<T>) =>
  fc.nat(3).chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => make(index))));
const tree = fc.record({
  "address-pools": several(pool),
  peers: several(peer),
  "bgp-communities": fc.constant({ inside: "64512:99" }),
  "bfd-profiles": fc.constant([{ name: "fast", "receive-interval": 50 }]),
});

function renderSelector({ matchLabels, matchExpressions }: LabelSelector) {
  return { "match-labels": Object.fromEntries(matchLabels), "match-expressions": matchExpressions };
}

/** The configuration as its tree, with every default written out. */
function render(config: Config) {
  return {
    "address-pools": config.pools.map((pool) => ({
      name: pool.name,
      protocol: pool.protocol,
      addresses: pool.ranges.map(String),
      "auto-assign": pool.autoAssign,
      "avoid-buggy-ips": pool.avoidBuggyIPs,
      "bgp-advertisements": pool.advertisements.map((advertisement) => ({
        "aggregation-length": advertisement.aggregationLength,
        "aggregation-length-v6": advertisement.aggregationLengthV6,
        ...(advertisement.localPref === undefined ? {} : { localpref: advertisement.localPref }),
        communities: advertisement.communities.map(formatCommunity),
      })),
      "node-selectors": pool.nodeSelectors.map(renderSelector),
      interfaces: pool.interfaces,
    })),
    peers: config.peers.map((peer) => ({
      "my-asn": peer.myAsn,
      "peer-asn": peer.peerAsn,
      "peer-address": `${peer.address}`,
      "peer-port": peer.port,
      "hold-time": `${peer.holdTimeSeconds}s`,
      "keepalive-time": `${peer.keepaliveSeconds}s`,
      "router-id": `${peer.routerId ?? ""}`,
      password: peer.password ?? "",
      "bfd-profile": peer.bfdProfile ?? "",
      "ebgp-multihop": peer.ebgpMultihop,
      "node-selectors": peer.nodeSelectors.map(renderSelector),
    })),
    "bfd-profiles": [...config.bfdProfiles.values()].map(({ name, receiveIntervalMs }) => ({
      name,
      "receive-interval": receiveIntervalMs,
    })),
  };
}

test("parseConfig: a configuration written out reads back as the same values", () => {
  fc.assert(
    fc.property(tree, fc.constantFrom(0, 2, -1), (value, flowLevel) => {
      const { config, problems } = parseConfig(dump(value, { flowLevel }));
      assert.deepEqual(
        problems.filter(({ severity }) => severity === "error"),
        [],
      );
      assert.ok(config);
      assert.deepEqual(
        config.pools.map(({ name }) => name),
        value["address-pools"].map(({ name }) => name),
      );
      assert.deepEqual(
        config.peers.map(({ password }) => password),
        value.peers.map(({ password }) => password),
      );
      assert.deepEqual(
        config.peers.map(({ port }) => port),
        value.peers.map((peer) => peer["peer-port"] ?? 179),
      );
      const again = parseConfig(dump(render(config), { flowLevel })).config;
      assert.deepEqual(again && JSON.stringify(render(again)), JSON.stringify(render(config)));
    }),
  );
});
