import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatCommunity, formatProblem, parseConfig } from "../index.ts";
import {
  advertisementsFor,
  advertisesByNamespace,
  differByService,
  interfacesOfPool,
  layer2PoolFor,
  type ServiceTexts,
  textsOfServices,
} from "./service-policy.ts";

const text = (...entries: string[]) => `peers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1}]
bgp-communities: {gold: 1:2}
address-pools:
- {name: a, protocol: bgp, addresses: [198.51.100.0/24], bgp-advertisements: [${entries.join(", ")}]}
`;
function poolOf(...entries: string[]) {
  const { config, problems } = parseConfig(text(...entries));
  return config?.pools[0] ?? assert.fail(problems.map(formatProblem).join("\n"));
}
const asks = "communities-from: {annotation: x.y/c, allowed: [gold, no-export, 'large:1:2:3']}";
const labels = (key: string, value: string) => `service-selectors: [{match-labels: {${key}: ${value}}}]`;

const refused: { name: string; entry: string; says: RegExp }[] = [
  { name: "no text", entry: "{med-from: {min: 1, max: 2}}", says: /med-from: must name either a label or an annotation$/ },
  {
    name: "two texts",
    entry: "{med-from: {label: a, annotation: b, min: 1, max: 2}}",
    says: /must name either a label or an annotation$/,
  },
  { name: "no bounds", entry: "{med-from: {label: a}}", says: /med-from.*max/ },
  { name: "crossed bounds", entry: "{localpref-from: {label: a, min: 3, max: 2}}", says: /must not be below "min", which is 3$/ },
  { name: "no list", entry: "{communities-from: {label: a}}", says: /allowed/ },
  { name: "an empty list", entry: "{communities-from: {label: a, allowed: []}}", says: /allowed/ },
  {
    name: "no community",
    entry: "{communities-from: {label: a, allowed: [silver]}}",
    says: /allowed\[0\]: must be an alias from bgp-communities/,
  },
  { name: "a text that nothing can have", entry: "{med-from: {label: 'a b', min: 1, max: 2}}", says: /no label is named "a b"$/ },
  { name: "a namespace that cannot be", entry: "{namespaces: [A]}", says: /no namespace is named "A"/ },
  { name: "a selector without labels", entry: "{service-selectors: [{match-labels: {'/': x}}]}", says: /is not a label/ },
  {
    name: "more communities than an UPDATE has room for, together",
    entry: `{communities: [${list(0, 500)}], communities-from: {label: a, allowed: [${list(500, 1_000)}]}}`,
    says: /a BGP UPDATE has room for/,
  },
];
function list(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, i) => `'1:${from + i}'`).join(", ");
}
for (const { name, entry, says } of refused)
  test(`parseConfig: an advertisement by Service with ${name} is refused`, () => {
    const { config, problems } = parseConfig(text(entry));
    assert.equal(config, undefined);
    assert.match(problems.map(formatProblem).join("\n"), says);
  });

test("parseConfig: an entry for some Services takes the place of one for all, and one for all makes those before it useless", () => {
  assert.deepEqual(parseConfig(text("{}", `{med: 1, ${labels("a", "b")}}`)).problems, []);
  const [problem] = parseConfig(text(`{med: 1, ${labels("a", "b")}}`, "{}")).problems;
  assert.match(problem?.message ?? "", /the last one wins$/);
});

for (const [name, entries, want] of [
  ["loses what it asked for to a later entry", [`{aggregation-length: 24, ${asks}}`, "{}"], 1],
  [
    "has what it asked for in place of an earlier entry's",
    ["{communities: [no-advertise]}", `{aggregation-length: 24, ${asks}}`],
    1,
  ],
  ["has what it asked for from both entries", [`{aggregation-length: 24, ${asks}}`, `{${asks}}`], 0],
  ["meets no other entry", [`{aggregation-length: 24, ${asks}}`, "{aggregation-length: 26}"], 0],
] as const)
  test(`parseConfig: a Service of an aggregate ${name}, ${want === 0 ? "without" : "with"} a warning`, () => {
    const of = "announces the same IPv4 /32 prefixes as bgp-advertisements[0] of this pool for Services that ask for attributes";
    const all = parseConfig(text(...entries)).problems.map(({ path, message }) => `${path} ${message}`);
    const warning = `address-pools[0].bgp-advertisements[1] ${of}, with other attributes; the last one wins`;
    assert.deepEqual(all, want === 0 ? [] : [warning]);
  });

test("parseConfig: where an advertisement asks for labels of namespaces is known", () => {
  const { namespaceLabels } = parseConfig(text("{}", "{med: 1, namespace-selectors: [{match-labels: {a: b}}]}"));
  assert.equal(namespaceLabels?.path, "address-pools[0].bgp-advertisements[1].namespace-selectors");
});

test("textsOfServices: only texts that some entry asks for", () => {
  const { config } = parseConfig(text(`{${labels("a", "b")}}`, `{${asks}, med-from: {label: m, min: 0, max: 1}}`));
  const { label, annotation } = textsOfServices(config ?? assert.fail());
  assert.deepEqual([[...label], [...annotation]], [["a", "m"], ["x.y/c"]]);
  assert.deepEqual([differByService(poolOf("{}", "{peers: []}")), differByService(poolOf(`{${asks}}`))], [false, true]);
});

/** Attributes that each entry grants the Service, and those that it refuses. */
function granted(entries: readonly string[], service: Partial<ServiceTexts>): unknown[] {
  const namespaces = new Map([["team", { tier: "gold" }]]);
  const all = { namespace: "team", labels: {}, annotations: {}, ...service };
  const { advertisements, notGranted } = advertisementsFor(poolOf(...entries), all, namespaces);
  const texts = advertisements.map(
    (one) => one && [one.communities.map(formatCommunity).join(" "), one.med ?? "", one.localPref ?? ""].join("/"),
  );
  return [...texts, ...notGranted];
}

const cases: { name: string; entries: string[]; service: Partial<ServiceTexts>; want: unknown[] }[] = [
  { name: "asks for nothing", entries: [`{${asks}, med: 5}`], service: {}, want: ["/5/"] },
  {
    name: "asks by name and by number, with spaces and twice",
    entries: [`{${asks}, communities: ['7:7']}`],
    service: { annotations: { "x.y/c": " gold ,1:2,, 65535:65281" } },
    want: ["7:7 1:2 65535:65281//"],
  },
  {
    name: "asks for more than is allowed",
    entries: [`{${asks}}`],
    service: { annotations: { "x.y/c": "gold,9:9,__proto__" } },
    want: [
      "1:2//",
      'its annotation x.y/c asks for "9:9", "__proto__", and the pool allows the communities gold, no-export, large:1:2:3',
    ],
  },
  {
    name: "asks by a label in place of an annotation",
    entries: [`{${asks}}`],
    service: { labels: { "x.y/c": "gold" } },
    want: ["//"],
  },
  {
    name: "asks for numbers at the bounds",
    entries: ["{med: 9, med-from: {label: m, min: 0, max: 5}, localpref-from: {label: l, min: 7, max: 7}}"],
    service: { labels: { m: "0", l: "7" } },
    want: ["/0/7"],
  },
  {
    name: "asks for numbers beyond them, or none",
    entries: ["{med: 9, med-from: {label: m, min: 0, max: 5}, localpref-from: {label: l, min: 7, max: 7}}"],
    service: { labels: { m: "6", l: "0x7" } },
    want: [
      "/9/",
      'its label m asks for "6", and the pool allows a MED from 0 to 5',
      'its label l asks for "0x7", and the pool allows a LOCAL_PREF from 7 to 7',
    ],
  },
  {
    name: "is selected by its labels, its namespace's name and the namespace's labels",
    entries: [
      `{${labels("a", "b")}}`,
      "{med: 1, namespaces: [team]}",
      "{med: 2, namespaces: [other]}",
      "{med: 3, namespace-selectors: [{match-labels: {tier: gold}}]}",
      `{med: 4, namespaces: [team], ${labels("a", "c")}}`,
    ],
    service: { labels: { a: "b" } },
    want: ["//", "/1/", undefined, "/3/", undefined],
  },
  {
    name: "is selected by nothing where its labels and namespace are not known",
    entries: [
      "{service-selectors: [{match-expressions: [{key: a, operator: DoesNotExist}]}]}",
      "{namespace-selectors: [{match-expressions: [{key: a, operator: DoesNotExist}]}]}",
      "{med: 1}",
    ],
    service: { labels: undefined, namespace: "new" },
    want: [undefined, undefined, "/1/"],
  },
];
for (const { name, entries, service, want } of cases)
  test(`advertisementsFor: a Service that ${name}`, () => assert.deepEqual(granted(entries, service), want));

test("advertisementsFor: a Service that got what it asked for has routes of its own, and the others in the aggregate are without", () => {
  const pool = poolOf(`{${asks}, aggregation-length: 28, aggregation-length-v6: 124}`);
  const lengths = (annotations: Record<string, string>) =>
    advertisementsFor(pool, { namespace: "team", labels: {}, annotations }, new Map()).advertisements.map(
      (one) => one && [one.aggregationLength, one.aggregationLengthV6],
    );
  assert.deepEqual(lengths({ "x.y/c": "gold" }), [[32, 128]]);
  assert.deepEqual([lengths({}), lengths({ "x.y/c": "9:9" })], [[[28, 124]], [[28, 124]]]);
});

test("advertisementsFor: whatever tenants write, they get what is allowed alone, and equal keys are equal routes", () => {
  const pool = poolOf(`{${asks}, med-from: {label: m, min: 3, max: 9}}`, `{med: 1, ${labels("a", "b")}}`);
  const word = fc.oneof(fc.constantFrom("gold", "1:2", "no-export", "large:1:2:3", "9:9", "b", "3", "9", "10"), fc.string());
  const service = fc.record({
    namespace: fc.constantFrom("team", "other"),
    labels: fc.option(fc.dictionary(fc.constantFrom("a", "m", "x.y/c"), word), { nil: undefined }),
    annotations: fc.dictionary(
      fc.constantFrom("x.y/c", "m"),
      fc.array(word).map((words) => words.join()),
    ),
  });
  const allowed = new Set(["1:2", "65535:65281", "large:1:2:3"]);
  const keys = new Map<string, unknown>(); // key -> attributes
  fc.assert(
    fc.property(service, (texts) => {
      const { key, advertisements } = advertisementsFor(pool, texts, new Map());
      const attributes = advertisements.map((one) => one && [one.communities.map(formatCommunity).sort(), one.med]);
      for (const community of advertisements.flatMap((one) => one?.communities ?? []))
        assert.ok(allowed.has(formatCommunity(community)));
      const med = advertisements[0]?.med;
      assert.ok(med === undefined || (med >= 3 && med <= 9));
      assert.deepEqual(attributes, keys.get(key) ?? attributes);
      keys.set(key, attributes);
    }),
  );
});

function layer2(entries: string, more = "protocol: layer2, interfaces: [eth0], node-selectors: [{match-labels: {rack: a}}]") {
  return parseConfig(`address-pools: [{name: a, addresses: [192.0.2.0/24], ${more}, layer2-advertisements: [${entries}]}]`);
}

test("parseConfig: layer2-advertisements are for layer 2, where no pool has other owners", () => {
  const elsewhere = [
    "protocol: bgp",
    "protocol: none",
    "protocol: interface, dummy-interface: d0",
    "protocol: [layer2, interface]",
  ];
  for (const more of [...elsewhere, "protocol: [layer2, bgp], next-hop-slots: 198.51.100.0/28"])
    assert.match(
      layer2("{}", more).problems.map(formatProblem).join("\n"),
      /layer2-advertisements.*: only a pool with "protocol: layer2" can have these, without "interface" and next-hop-slots/,
    );
  const wrong = layer2("{interfaces: ['/'], preferred-nodes: [{weight: 101}], service-selectors: [{match-labels: {'/': x}}]}");
  const found = wrong.problems.map(({ path }) => path).sort();
  const at = "address-pools[0].layer2-advertisements[0]";
  const paths = ["interfaces[0]", "preferred-nodes[0]", "preferred-nodes[0].weight", 'service-selectors[0].match-labels["/"]'];
  assert.deepEqual(
    found,
    paths.map((path) => `${at}.${path}`),
  );
});

test("layer2PoolFor: the last entry that is for the Service counts, with lists of the pool that it does not have", () => {
  const gold = "namespace-selectors: [{match-labels: {tier: gold}}]";
  const entries = `{}, {interfaces: [], ${labels("a", "b")}}, {node-selectors: [], preferred-nodes: [{weight: 3, match-labels: {ssd: y}}], namespaces: [x], ${gold}}`;
  const { config, namespaceLabels } = layer2(entries);
  const [pool = assert.fail()] = config?.pools ?? [];
  const of = (service: Partial<ServiceTexts>) => {
    const all = { namespace: "team", labels: {}, annotations: {}, ...service };
    const found = layer2PoolFor(pool, all, new Map([["golden", { tier: "gold" }]]));
    const { nodeSelectors = [], preferredNodes = [], interfaces = [] } = found?.pool ?? {};
    return [found?.entry, nodeSelectors.length, preferredNodes.length, interfaces.join()];
  };
  assert.deepEqual(of({}), [0, 1, 0, "eth0"]);
  assert.deepEqual(of({ labels: undefined }), [0, 1, 0, "eth0"], "no selector matches labels that are not known");
  assert.deepEqual(of({ labels: { a: "b" } }), [1, 1, 0, ""]);
  assert.deepEqual(of({ labels: { a: "b" }, namespace: "golden" }), [2, 0, 1, "eth0"]);
  assert.deepEqual(of({ namespace: "x" }), [2, 0, 1, "eth0"]);
  assert.deepEqual([...textsOfServices(config ?? assert.fail()).label], ["a"]);
  assert.equal(advertisesByNamespace(config ?? assert.fail()), true);
  assert.equal(namespaceLabels?.path, "address-pools[0].layer2-advertisements[2].namespace-selectors");
  assert.deepEqual(interfacesOfPool(pool), [], "the second entry is for all");
  const two = layer2("{interfaces: [eth1]}, {interfaces: [eth1, eth2]}, {}").config?.pools[0] ?? assert.fail();
  assert.deepEqual(interfacesOfPool(two), ["eth1", "eth2", "eth0"]);
  const some = layer2(`{${labels("a", "b")}}`).config?.pools[0] ?? assert.fail();
  assert.equal(layer2PoolFor(some, { namespace: "x", labels: {}, annotations: {} }, new Map()), undefined);
  assert.equal(layer2PoolFor(some, undefined, new Map()), undefined);
});
