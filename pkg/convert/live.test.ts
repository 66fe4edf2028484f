import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadAll } from "js-yaml";
import { slow } from "#pkg/clock/testing";
import { parseConfig } from "#pkg/config";
import { anyText } from "#pkg/text/testing";
import { convert, hasCustomResources, liveObjectText, liveText, parseConfiguration, parseCustomResources } from "./index.ts";
import type { LiveObject } from "./live.ts";
import { l2, metallb, noOptions, peer, pool } from "./testing/converted.ts";

function live(manifests: string): string {
  return liveText((loadAll(manifests) as LiveObject[]).map(liveObjectText));
}

function problemsOf(manifests: string): string[] {
  return parseConfiguration(live(manifests)).problems.map(
    ({ severity, object, path, message }) => `${severity}: ${object}: ${path}: ${message}`,
  );
}

const bgp = metallb("BGPAdvertisement", "bgp", "{}");

const told: { name: string; text: string; want: RegExp[] }[] = [
  { name: "a pool and its advertisement", text: `${pool("a", "192.0.2.0/28")}${l2}`, want: [] },
  {
    name: "two pools that overlap, both named",
    text: `${pool("a", "192.0.2.0/28")}${pool("b", "198.51.100.0/28, 192.0.2.0/24")}${l2}`,
    want: [
      /^error: IPAddressPool metallb-system\/b: spec\.addresses\[1\]: "192\.0\.2\.0\/24" shares addresses with "192\.0\.2\.0\/28" in pool "a" \(IPAddressPool metallb-system\/a\)$/,
    ],
  },
  {
    name: "addresses that are none",
    text: `${pool("a", "192.0.2.0/28, nonsense")}${l2}`,
    want: [/^error: IPAddressPool metallb-system\/a: spec\.addresses\[1\]: must be a CIDR such as/],
  },
  {
    name: "a community that is missing",
    text: `${pool("a", "192.0.2.0/28")}${peer("")}${metallb("BGPAdvertisement", "x", "{communities: [no-export, customers]}")}`,
    want: [
      /^error: BGPAdvertisement metallb-system\/x: spec\.communities\[1\]: must be a name from a Community, .*but is "customers"$/,
    ],
  },
  {
    name: "a community that is missing, also while the pool is",
    text: metallb("BGPAdvertisement", "x", "{ipAddressPools: [later], communities: ['1:2', no-export, customers]}"),
    want: [
      /^error: BGPAdvertisement metallb-system\/x: spec\.communities\[2\]: must be a name from a Community, .*but is "customers"$/,
      /^warning: BGPAdvertisement metallb-system\/x: spec\.ipAddressPools\[0\]: /,
    ],
  },
  {
    name: "a community that is none",
    text: `${metallb("Community", "c", "{communities: [{name: a, value: '1:2'}, {name: b, value: x}]}")}`,
    want: [/^error: Community metallb-system\/c: spec\.communities\[1\]\.value: must be "a:b"/],
  },
  {
    name: "one community in two objects",
    text: `${metallb("Community", "c", "{communities: [{name: a, value: '1:2'}]}")}${metallb("Community", "d", "{communities: [{name: a, value: '1:3'}]}")}`,
    want: [/^error: Community metallb-system\/d: spec\.communities\[0\]\.name: there is another community "a"$/],
  },
  {
    name: "a BFD profile that is missing",
    text: peer(", bfdProfile: fast"),
    want: [/^error: BGPPeer metallb-system\/tor: spec\.bfdProfile: there is no BFDProfile "fast"$/],
  },
  {
    name: "a VRF",
    text: peer(", vrf: red"),
    want: [/^error: BGPPeer metallb-system\/tor: spec\.vrf: "red" is not supported/],
  },
  {
    name: "a password in the object and in a Secret",
    text: peer(", password: x, passwordSecret: {name: s}"),
    want: [/^error: BGPPeer metallb-system\/tor: spec\.passwordSecret: /],
  },
  {
    name: "a Secret of another namespace",
    text: peer(", passwordSecret: {name: s, namespace: other}"),
    want: [/^error: BGPPeer metallb-system\/tor: spec\.passwordSecret\.namespace: .*only Secrets in the namespace/],
  },
  {
    name: "a connectTime that is cut",
    text: peer(", connectTime: 200s"),
    want: [/^warning: BGPPeer metallb-system\/tor: spec\.connectTime: .*is cut to 120s$/],
  },
  {
    name: "a field of a later release, and the default of another",
    text: peer(", shiny: 1, other: false"),
    want: [
      /^warning: BGPPeer metallb-system\/tor: spec\.other: is not known here$/,
      /^error: BGPPeer metallb-system\/tor: spec\.shiny: is not known here$/,
    ],
  },
  {
    name: "a version that is not known",
    text: `${pool("a", "192.0.2.0/28").replace("v1beta1", "v1gamma1")}${l2}`,
    want: [/^error: IPAddressPool metallb-system\/a: apiVersion: version "v1gamma1" is not known here, but "v1beta1"$/],
  },
  {
    name: "a pattern where MetalLB takes a name",
    text: `${pool("a", "192.0.2.0/28")}${metallb("L2Advertisement", "x", "{interfaces: [eth0, 'eth*', 'can_reach:10.0.0.1']}")}`,
    want: [
      /^error: L2Advertisement metallb-system\/x: spec\.interfaces\[1\]: "eth\*" is no interface's whole name/,
      /^error: L2Advertisement metallb-system\/x: spec\.interfaces\[2\]: "can_reach:10\.0\.0\.1" is no interface's whole name/,
    ],
  },
  {
    name: "an operator without its values, and with values that it does not take",
    text: metallb(
      "L2Advertisement",
      "x",
      "{nodeSelectors: [{matchExpressions: [{key: a, operator: NotIn}, {key: a, operator: Exists, values: [b]}]}]}",
    ),
    want: [
      /^error: L2Advertisement metallb-system\/x: spec\.nodeSelectors\[0\]\.matchExpressions\[0\]\.values: must have a value, as the operator is NotIn$/,
      /^error: L2Advertisement metallb-system\/x: spec\.nodeSelectors\[0\]\.matchExpressions\[1\]\.values: must have no value, as the operator is Exists$/,
    ],
  },
  {
    name: "a keepalive time above the hold time, in the object's own words",
    text: peer(", keepaliveTime: 100s"),
    want: [/^error: BGPPeer metallb-system\/tor: spec\.keepaliveTime: must not be above holdTime, which is 90s, but is "100s"$/],
  },
  {
    name: "multihop to a router of the own AS",
    text: peer(", ebgpMultiHop: true, dynamicASN: internal").replace("peerASN: 64513, ", ""),
    want: [/^error: BGPPeer metallb-system\/tor: spec\.ebgpMultiHop: only for eBGP, but peerASN is internal$/],
  },
  {
    name: "more selections of Services than are taken together",
    text: `${pool("a", "192.0.2.0/28")}${["a", "b", "c", "d", "e"].map((name) => metallb("L2Advertisement", name, `{interfaces: [eth${name}], serviceSelectors: [{matchLabels: {a: ${name}}}]}`)).join("")}`,
    want: [
      /^error: IPAddressPool metallb-system\/a: : its L2Advertisements have too many serviceSelectors with nodes or interfaces of their own/,
    ],
  },
  {
    name: "a BFD profile beyond its limits",
    text: metallb("BFDProfile", "f", "{receiveInterval: 9, minimumTtl: 255}"),
    want: [
      /^error: BFDProfile metallb-system\/f: spec\.minimumTtl: must be a whole number from 1 to 254, but is "255"$/,
      /^error: BFDProfile metallb-system\/f: spec\.receiveInterval: must be a whole number from 10 to 60000, but is "9"$/,
    ],
  },
  {
    name: "two peers of one address",
    text: `${peer("")}${peer("").replace("name: tor", "name: tor2")}`,
    want: [/^error: BGPPeer metallb-system\/tor2: : repeats BGPPeer metallb-system\/tor$/],
  },
  {
    name: "interfaces that differ by node",
    text: `${pool("a", "192.0.2.0/28")}${metallb("L2Advertisement", "x", "{nodeSelectors: [{matchLabels: {a: b}}], interfaces: [eth0]}")}${metallb("L2Advertisement", "y", "{nodeSelectors: [{matchLabels: {a: c}}], interfaces: [eth1]}")}`,
    want: [/^error: IPAddressPool metallb-system\/a: : its L2Advertisements have different interfaces for different nodes/],
  },
  {
    name: "local preferences that differ for one prefix",
    text: `${pool("a", "192.0.2.0/28")}${peer("")}${metallb("BGPAdvertisement", "one", "{localPref: 1}")}${metallb("BGPAdvertisement", "two", "{localPref: 2}")}`,
    want: [
      /^error: BGPAdvertisement metallb-system\/one: spec\.localPref: differs for the same prefixes in this and BGPAdvertisement "two"/,
    ],
  },
  {
    name: "an aggregation that is shorter than the pool's prefixes",
    text: `${pool("a", "192.0.2.0/28")}${peer("")}${metallb("BGPAdvertisement", "x", "{aggregationLength: 24}")}`,
    want: [/^error: BGPAdvertisement metallb-system\/x: spec\.aggregationLength: /],
  },
  {
    name: "names that are not there, and a pool that nothing announces",
    text: `${pool("a", "192.0.2.0/28")}${peer("")}${metallb("BGPAdvertisement", "x", "{ipAddressPools: [b]}")}`,
    want: [
      /^warning: BGPAdvertisement metallb-system\/x: spec\.ipAddressPools\[0\]: it names the pool "b", which is not there\.$/,
      /^warning: IPAddressPool metallb-system\/a: : nothing announces it/,
    ],
  },
  {
    name: "a peer that is not there, once for all pools",
    text: `${pool("a", "192.0.2.0/28")}${pool("b", "192.0.3.0/28")}${peer("")}${metallb("BGPAdvertisement", "x", "{peers: [tor, gone]}")}`,
    want: [/^warning: BGPAdvertisement metallb-system\/x: spec\.peers\[1\]: .*"gone", which is no BGPPeer/],
  },
];
for (const { name, text, want } of told)
  test(`live objects, what is told of them: ${name}`, () => {
    const found = problemsOf(text);
    assert.equal(found.length, want.length, found.join("\n"));
    for (const [index, problem] of want.entries()) assert.match(found[index] ?? "", problem);
  });

test("live objects: the configuration is the same in whatever order they arrive, and with whatever the API server adds", () => {
  const objects = loadAll(
    `${pool("a", "192.0.2.0/28")}${pool("b", "198.51.100.0/28")}${l2}${bgp}${peer("")}${metallb("BFDProfile", "fast", "{}")}`,
  ) as LiveObject[];
  const text = liveText(objects.map(liveObjectText));
  assert.equal(liveText(objects.toReversed().map(liveObjectText)), text);
  const served = objects.map((object) => ({
    ...object,
    metadata: {
      ...object.metadata,
      uid: "u",
      resourceVersion: "7",
      finalizers: ["x"],
      deletionTimestamp: "2026-01-01T00:00:00Z",
    },
    status: { assignedIPv4: 3 },
  }));
  assert.equal(liveText(served.map(liveObjectText)), text);
  const { config } = parseConfiguration(text);
  assert.deepEqual(
    config?.pools.map(({ name, protocols }) => [name, protocols]),
    [
      ["a", ["layer2", "bgp"]],
      ["b", ["layer2", "bgp"]],
    ],
  );
});

test("live objects: a pool whose namespace selectors select no namespace is for nobody, and it is said where labels are asked for", () => {
  const allocation = "{namespaceSelectors: [{matchLabels: {team: a}}]}";
  const { config, namespaceLabels } = parseConfiguration(
    live(`${pool("a", "192.0.2.0/28", `, serviceAllocation: ${allocation}`)}${l2}`),
  );
  assert.equal(config?.pools[0]?.fence.namespaceSelectors.length, 1);
  assert.equal(namespaceLabels?.object, "IPAddressPool metallb-system/a");
  assert.equal(namespaceLabels?.path, "spec.serviceAllocation.namespaceSelectors");
});

test("live objects: priorities order pools, and those with serviceAllocation come first", () => {
  const { config } = parseConfiguration(
    live(
      `${pool("a", "192.0.2.0/28")}${pool("b", "192.0.2.16/28", ", serviceAllocation: {}")}${pool("c", "192.0.2.32/28", ", serviceAllocation: {priority: 2}")}${pool("d", "192.0.2.48/28", ", serviceAllocation: {priority: 1}")}${l2}`,
    ),
  );
  assert.deepEqual(
    config?.pools.map(({ name }) => name),
    ["d", "c", "b", "a"],
  );
});

test("a BGPPeer of v1beta1 is the same as of v1beta2", () => {
  const text = peer("");
  assert.deepEqual(parseConfiguration(live(text.replace("v1beta2", "v1beta1"))).config, parseConfiguration(live(text)).config);
});

test("live objects are what their conversion into a ConfigMap is", () => {
  const text = `${pool("a", "192.0.2.0/24", ", avoidBuggyIPs: true")}${metallb("BGPAdvertisement", "x", "{communities: [c, '1:2'], localPref: 3, aggregationLength: 28}")}${metallb("Community", "c", "{communities: [{name: c, value: 'large:1:2:3'}]}")}${peer(", localASN: 65000")}${l2}`;
  const { text: made = "" } = convert([{ name: "given", text }], noOptions);
  const [configMap] = loadAll(made) as { data: { config: string } }[];
  assert.deepEqual(parseConfiguration(live(text)).config, parseConfig(configMap?.data.config ?? "").config);
});

test("a text that is no custom resources is read as a ConfigMap's", () => {
  const text = "address-pools: [{name: a, protocol: layer2, addresses: [192.0.2.0/28]}]\n";
  assert.deepEqual(parseConfiguration(text), parseConfig(text));
});

const configMap = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: config}\ndata:\n  config: |\n    address-pools: []\n";
const asJson = JSON.stringify(loadAll(pool("a", "192.0.2.0/24"))[0]);
const manifests = [
  { name: "an object", text: pool("a", "192.0.2.0/24"), has: true },
  { name: "an object behind a ConfigMap", text: `${configMap}${pool("a", "192.0.2.0/24")}`, has: true },
  { name: "JSON", text: asJson, has: true },
  { name: "JSON with blanks before colons", text: asJson.replaceAll('":', '" : '), has: true },
  { name: "an object in a List", text: `{"kind": "List", "apiVersion": "v1", "items": [${asJson}]}`, has: true },
  { name: "an answer of the API", text: "kind: IPAddressPoolList\napiVersion: metallb.io/v1beta1\nitems: []\n", has: true },
  { name: "an object with an error of YAML", text: "apiVersion: metallb.io/v1beta1\nkind: '\n", has: true },
  { name: "a ConfigMap", text: configMap, has: false },
  { name: "a comment above a ConfigMap", text: `# apiVersion: metallb.io/v1beta1\n${configMap}`, has: false },
  { name: "a comment in a configuration", text: `${configMap}    # apiVersion: metallb.io/v1beta1\n`, has: false },
  { name: "a text beside a configuration", text: `${configMap}  old: |\n    apiVersion: metallb.io/v1beta1\n`, has: false },
];
for (const { name, text, has } of manifests)
  test(`MetalLB's custom resources ${has ? "are" : "are not"} in ${name}`, () => {
    assert.equal(hasCustomResources(text), has);
  });

test("any objects have an answer, and every error is in an object or about the whole", () => {
  const kinds = ["IPAddressPool", "L2Advertisement", "BGPAdvertisement", "BGPPeer", "BFDProfile", "Community", "Other"];
  const value = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom<unknown>("a", "192.0.2.0/24", "", null, true, 0, 24, -1, "1:2"),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          "addresses",
          "peers",
          "communities",
          "name",
          "value",
          "myASN",
          "peerASN",
          "peerAddress",
          "nodeSelectors",
          "matchLabels",
          "weight",
          "__proto__",
        ),
        tie("tree"),
        { maxKeys: 5, noNullPrototype: true },
      ),
    ),
  })).tree;
  const objects = fc.array(fc.record({ kind: fc.constantFrom(...kinds), name: fc.constantFrom("a", "b"), spec: value }), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(objects, (given) => {
      const text = liveText(
        given.map(({ kind, name, spec }) =>
          liveObjectText({
            apiVersion: "metallb.io/v1beta1",
            kind,
            metadata: { namespace: "n", name, labels: { a: "b" } },
            spec,
          }),
        ),
      );
      const { config, problems } = parseCustomResources(text);
      assert.equal(
        config === undefined,
        problems.some(({ severity }) => severity === "error"),
      );
      for (const { object } of problems) assert.ok(object === undefined || /^\w+ n\/[ab]$/.test(object), object);
    }),
    { numRuns: 1000 },
  );
});

test("a pool with more advertisements than are compared is refused", () => {
  const many = Array.from({ length: 101 }, (_, index) => metallb("BGPAdvertisement", `x${index}`, `{localPref: ${index}}`));
  assert.deepEqual(problemsOf(`${pool("a", "192.0.2.0/28")}${many.join("")}`), [
    "error: IPAddressPool metallb-system/a: : 101 BGPAdvertisements are for it, but at most 100 are taken together",
    "warning: IPAddressPool metallb-system/a: : nothing announces it. Its addresses are assigned, and no speaker announces them.",
  ]);
});

test("arbitrary text behind the first line has an answer", () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const { config, problems } = parseConfiguration(`${liveText([])}${text}`);
      assert.equal(
        config === undefined,
        problems.some(({ severity }) => severity === "error"),
      );
    }),
  );
});

test("more objects than can be kept on record are refused, with their size", slow, () => {
  const texts = Array.from({ length: 9_000 }, (_, index) =>
    liveObjectText((loadAll(pool(`pool-${index}`, `10.${index >> 8}.${index & 255}.0/24`)) as LiveObject[])[0] as LiveObject),
  );
  const { problems } = parseConfiguration(liveText(texts));
  assert.match(problems[0]?.message ?? "", /^the objects have \d+ characters, but at most 1048576 are read$/);
});

test("an object of any depth has a text, and is itself at fault, where its definition keeps unknown fields", () => {
  for (const depth of [60, 1_000, 5_000]) {
    const metadata = { namespace: "metallb-system", name: "deep" };
    const spec = JSON.parse(`{"addresses": ${"[".repeat(depth)}${"]".repeat(depth)}}`);
    const text = liveObjectText({ apiVersion: "metallb.io/v1beta1", kind: "IPAddressPool", metadata, spec });
    assert.ok(text.length < 200);
    const { problems } = parseConfiguration(liveText([text]));
    const errors = problems.filter(({ severity }) => severity === "error");
    assert.deepEqual(
      errors.map(({ object, path, message }) => `${object} ${path} ${message}`),
      ['IPAddressPool metallb-system/deep spec must be a mapping, but is "nested too deeply"'],
    );
  }
});

test("any spec that the API can hold stands in the text as it is", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (spec) => {
      const text = liveObjectText({
        apiVersion: "metallb.io/v1beta1",
        kind: "BGPPeer",
        metadata: { namespace: "n", name: "a" },
        spec,
      });
      assert.equal(
        JSON.stringify(sorted(loadAll(text))),
        JSON.stringify(
          sorted([{ apiVersion: "metallb.io/v1beta1", kind: "BGPPeer", metadata: { namespace: "n", name: "a" }, spec }]),
        ),
      );
    }),
  );
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, each]) => [name, sorted(each)]),
  );
}
