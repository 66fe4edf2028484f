import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Config, parseConfig } from "#pkg/config";
import { parseAddress } from "#pkg/net";
import { address } from "#pkg/net/testing";
import {
  eligibility,
  excludeLabel,
  type Holder,
  type Labels,
  nodePeers,
  peersFor,
  placeBgp,
  poolAdvertisements,
} from "#pkg/placement";

function configOf(text: string): Config {
  const { config, problems } = parseConfig(text);
  assert.ok(config, JSON.stringify(problems));
  return config;
}
const peer = (name: string, rest = "", address = "192.0.2.1") =>
  `{name: ${name}, my-asn: 64512, peer-asn: 64513, peer-address: '${address}'${rest}}`;
const rack = (name: string) => `, node-selectors: [{match-labels: {rack: ${name}}}]`;
const config = (peers: string[], advertisements: string[] = []) =>
  configOf(
    `{peers: [${peers}], address-pools: [{name: a, protocol: bgp, addresses: [198.51.100.0/24, '2001:db8::/64'], bgp-advertisements: [${advertisements}]}]}`,
  );

interface Given {
  readonly config?: Config;
  readonly labels?: Labels | undefined;
  readonly ignoreExcludeLabel?: boolean;
  readonly address?: string;
  readonly holders?: { service?: string; local?: boolean; endpoints?: string[] }[];
}
/** Advertisements of node1; `node` is a ready endpoint on it, `!node` one that is not ready. */
function placed(given: Given) {
  const { config: from = config([peer("x")]), ignoreExcludeLabel = false, holders = [{}] } = given;
  const labels = "labels" in given ? given.labels : {};
  const address = parseAddress(given.address ?? "198.51.100.7");
  const [pool] = from.pools;
  assert.ok(address && pool);
  const peers = nodePeers(from.peers, labels);
  const advertisements = poolAdvertisements({
    pool,
    order: 0,
    node: "node1",
    labels,
    eligibility: eligibility([], labels, ignoreExcludeLabel),
    peers,
  });
  const all = holders.map(
    ({ service = "default/web", local = false, endpoints = ["node2"] }): Holder => ({
      service,
      goesWith: address,
      isAllowed: true,
      created: 0,
      backendKey: "",
      externalTrafficPolicy: local ? "Local" : "Cluster",
      endpoints: endpoints.map((text) => ({
        nodeName: text.replace(/^[!~]/, ""),
        ready: Number(!/^[!~]/.test(text)),
        draining: Number(text.startsWith("~")),
      })),
    }),
  );
  return placeBgp(address, all, advertisements);
}
const reasons = (given: Given) => [...placed(given).verdicts.values()].map((one) => (one.announced ? true : one.reason));
const routes = (given: Given) =>
  placed(given).routes.map(({ prefix, via }) => `${prefix} ${via.advertisement.localPref} ${via.peers[prefix.family]}`);
const key = "192.0.2.1:179";
const excluded = { [excludeLabel]: "" };

const verdicts: { name: string; given: Given; want: (string | true)[] }[] = [
  { name: "under Cluster any ready endpoint is enough, wherever it is", given: {}, want: [true] },
  { name: "no endpoint", given: { holders: [{ endpoints: [] }] }, want: ["noReadyEndpoint"] },
  { name: "no ready endpoint", given: { holders: [{ endpoints: ["!node1"] }] }, want: ["noReadyEndpoint"] },
  {
    name: "one that drains counts when none is ready",
    given: { holders: [{ local: true, endpoints: ["~node1", "!node2"] }] },
    want: [true],
  },
  {
    name: "one that drains does not count while another is ready elsewhere",
    given: { holders: [{ local: true, endpoints: ["~node1", "node2"] }] },
    want: ["noReadyEndpointOnNode"],
  },
  { name: "under Local a ready endpoint here", given: { holders: [{ local: true, endpoints: ["node1"] }] }, want: [true] },
  {
    name: "under Local a ready endpoint elsewhere",
    given: { holders: [{ local: true, endpoints: ["node2", "!node1"] }] },
    want: ["noReadyEndpointOnNode"],
  },
  { name: "no peer in the configuration", given: { config: config([]) }, want: ["noPeer"] },
  { name: "a peer that is disabled", given: { config: config([peer("x", ", disabled: true")]) }, want: ["noPeer"] },
  { name: "a peer of other nodes", given: { config: config([peer("x", rack("b"))]), labels: { rack: "a" } }, want: ["noPeer"] },
  { name: "a peer of this node", given: { config: config([peer("x", rack("a"))]), labels: { rack: "a" } }, want: [true] },
  {
    name: "labels that are not known yet",
    given: { config: config([peer("x", rack("a"))]), labels: undefined },
    want: ["noPeer"],
  },
  { name: "a peer of all nodes before labels are known", given: { labels: undefined }, want: [true] },
  {
    name: "no advertisement for this node",
    given: { config: config([peer("x")], [`{${rack("b").slice(2)}}`]) },
    want: ["noPeer"],
  },
  {
    name: "no advertisement for a peer that this node has",
    given: { config: config([peer("x"), peer("y", rack("b"), "192.0.2.2")], ["{peers: [y]}"]) },
    want: ["noPeer"],
  },
  { name: "a node that is excluded from load balancers", given: { labels: excluded }, want: ["nodeExcluded"] },
  { name: "a node whose exclusion is ignored", given: { labels: excluded, ignoreExcludeLabel: true }, want: [true] },
  {
    name: "each Service on an address has its own",
    given: {
      holders: [
        { service: "a/a", local: true },
        { service: "a/b", local: true, endpoints: ["node1"] },
      ],
    },
    want: ["noReadyEndpointOnNode", true],
  },
];
for (const { name, given, want } of verdicts) {
  test(`placeBgp: ${name}`, () => {
    assert.deepEqual(reasons(given), want);
    assert.equal(routes(given).length > 0, want.includes(true));
  });
}

test("placeBgp: one route for each advertisement that this node makes, to the peers that hear no later one for the same prefix", () => {
  const peers = [peer("x"), peer("y", "", "2001:db8:1::1"), peer("z", rack("b"), "192.0.2.3")];
  const advertisements = [
    "{localpref: 1}",
    "{localpref: 2, peers: [y, z], aggregation-length: 24, aggregation-length-v6: 64}",
    "{localpref: 3, peers: [z]}",
    `{localpref: 4${rack("b")}}`,
    `{localpref: 5, peers: [x]${rack("a")}}`,
  ];
  const given = { config: config(peers, advertisements), labels: { rack: "a" } };
  const y = "[2001:db8:1::1]:179";
  assert.deepEqual(routes(given), [`198.51.100.7/32 1 ${y}`, `198.51.100.0/24 2 ${y}`, `198.51.100.7/32 5 ${key}`]);
  assert.deepEqual(routes({ ...given, address: "2001:db8::7" }), [
    `2001:db8::7/128 1 ${y}`,
    `2001:db8::/64 2 ${y}`,
    `2001:db8::7/128 5 ${key}`,
  ]);
});

test("placeBgp: an address has no more routes than there are peers and lengths of prefixes, however many advertisements there are", () => {
  const peers = [peer("x"), peer("y", "", "192.0.2.2")];
  const advertisements = Array.from(
    { length: 5_000 },
    (_, i) => `{localpref: ${i}, aggregation-length: ${24 + (i % 2)}, peers: [${["x", "y", "x, y"][i % 3]}]}`,
  );
  const given = { config: config(peers, advertisements) };
  assert.deepEqual(routes(given), [
    "198.51.100.0/24 4996 192.0.2.2:179",
    `198.51.100.0/25 4997 ${key}`,
    `198.51.100.0/24 4998 ${key}`,
    "198.51.100.0/25 4999 192.0.2.2:179",
  ]);
});

test("poolAdvertisements: the advertisements of all pools to all peers of a node share one list of these, which thousands take no longer to compare", () => {
  const { pools, peers } = config([peer("x"), peer("y", "", "192.0.2.2")], ["{}", "{aggregation-length: 24}"]);
  const of = { order: 0, node: "node1", labels: {}, eligibility: "eligible", peers: nodePeers(peers, {}) } as const;
  const lists = pools
    .concat(pools)
    .flatMap((pool) => poolAdvertisements({ ...of, pool }).advertised.map((one) => one.peers.IPv4));
  assert.deepEqual(lists[0], [key, "192.0.2.2:179"]);
  assert.equal(new Set(lists).size, 1);
});

test("placeBgp: a peer gets routes of its families alone, and a Service whose family no peer takes is told so", () => {
  const peers = [peer("x", ", families: [ipv4]"), peer("y", "", "192.0.2.2"), peer("z", ", families: [ipv6]", "192.0.2.3")];
  const given = { config: config(peers, ["{localpref: 1}"]) };
  assert.deepEqual(routes(given), [`198.51.100.7/32 1 ${key},192.0.2.2:179`]);
  assert.deepEqual(routes({ ...given, address: "2001:db8::7" }), ["2001:db8::7/128 1 192.0.2.2:179,192.0.2.3:179"]);
  const only = { config: config([peer("x", ", families: [ipv4]")]), address: "2001:db8::7" };
  assert.deepEqual([routes(only), reasons(only)], [[], ["noPeer"]]);
});

const weights: { name: string; holders: Given["holders"] & {}; want: number[] }[] = [
  {
    name: "under Local the ready endpoints of this node",
    holders: [{ local: true, endpoints: ["node1", "node1", "!node1", "node2"] }],
    want: [2],
  },
  { name: "under Cluster every node is the same", holders: [{ endpoints: ["node1", "node1", "node2"] }], want: [1] },
  {
    name: "of all Services that are announced",
    holders: [
      { service: "a/a", local: true, endpoints: ["node1"] },
      { service: "a/b", local: true, endpoints: ["node1", "node1"] },
      { service: "a/c", endpoints: [] },
    ],
    want: [3],
  },
  { name: "no route without a Service", holders: [], want: [] },
];
for (const { name, holders, want } of weights)
  test(`placeBgp: weight: ${name}`, () =>
    assert.deepEqual(
      placed({ holders }).routes.map(({ weight }) => weight),
      want,
    ));

test("nodePeers: each has a key of its own, in the order of the file", () => {
  const peers = [
    peer("x"),
    peer("again", ", hold-time: 30s"),
    peer("port", ", peer-port: 1179"),
    peer("source", ", source-address: 192.0.2.9"),
    peer("from", ", source-interface: eth1"),
    peer("v6", "", "2001:db8::1"),
    peer("link", ", interface: eth1", "fe80::1"),
    peer("other", ", interface: eth2", "fe80::1"),
  ];
  assert.deepEqual(
    nodePeers(config(peers).peers, {}).map((one) => `${one.peer.name} ${one.key}`),
    [
      "x 192.0.2.1:179",
      "port 192.0.2.1:1179",
      "source 192.0.2.1:179 from 192.0.2.9",
      "from 192.0.2.1:179 from eth1",
      "v6 [2001:db8::1]:179",
      "link [fe80::1%eth1]:179",
      "other [fe80::1%eth2]:179",
    ],
  );
});

test("nodePeers: of more peers than a node has sessions with the first 256 that it is selected by", () => {
  const many = Array.from({ length: 600 }, (_, i) => peer(`p${i}`, rack(i % 2 === 0 ? "a" : "b"), `192.0.${i >> 8}.${i & 255}`));
  const { peers } = config(many);
  const found = nodePeers(peers, { rack: "a" });
  assert.deepEqual([found.length, found[0]?.peer.name, found.at(-1)?.peer.name], [256, "p0", "p510"]);
  assert.equal(peersFor(peers, { rack: "a" }).length, 300);
});

test("a peer without an address is a peer for each interface that its names mean, and one where nobody knows the node's interfaces", () => {
  const { peers } =
    parseConfig(
      "peers: [{name: tors, my-asn: 1, peer-asn: external, interface: [eth0, 'ens*']}, {my-asn: 1, peer-asn: 2, interface: ens1}]",
    ).config ?? assert.fail();
  const keys = (around?: readonly string[]) =>
    nodePeers(peers, {}, around && { node: "n", annotations: {}, interfaces: around, gateways: { IPv4: [], IPv6: [] } }).map(
      ({ key, peer }) => `${key} ${peer.interface} ${peer.peerAsn}`,
    );
  assert.deepEqual(keys(["lo0", "ens2", "ens1"]), ["eth0:179 eth0 external", "ens1:179 ens1 external", "ens2:179 ens2 external"]);
  assert.deepEqual(keys([]), ["eth0:179 eth0 external", "ens1:179 ens1 2"]);
  assert.deepEqual(
    nodePeers(
      parseConfig("peers: [{my-asn: 1, peer-asn: 2, interface: 'ens*'}]").config?.peers ?? [],
      {},
      {
        node: "n",
        annotations: {},
        interfaces: ["eth0"],
        gateways: { IPv4: [], IPv6: [] },
      },
    ).map(({ key }) => key),
    ["router on ens*:179"],
    "so that a verdict can say what is missing",
  );
  assert.deepEqual(keys(), ["router on eth0, ens*:179 undefined external", "router on ens1:179 undefined 2"]);
});

test("gateways are the next hops of the best default route of each family, several where it has several, and by the interfaces that are meant", () => {
  const via = (text: string, name: string, metric: number) => ({ address: address(text), interface: name, metric });
  const gateways = {
    IPv4: [
      via("10.0.1.1", "eth1", 100),
      via("10.0.0.1", "eth0", 100),
      via("10.9.0.1", "wlan0", 50),
      via("10.0.2.1", "eth2", 200),
    ],
    IPv6: [via("fe80::1", "eth0", 1024)],
  };
  const found = (fields: string, around = { node: "n", annotations: {}, interfaces: [], gateways }) => {
    const { config, problems } = parseConfig(`peers: [{my-asn: 1, peer-asn: 2, ${fields}}]`);
    return nodePeers(config?.peers ?? assert.fail(JSON.stringify(problems)), {}, around).map(
      ({ key, peer }) => `${key} ${peer.families}`,
    );
  };
  assert.deepEqual(found("peer-address: gateway"), ["10.9.0.1:179 IPv4", "[fe80::1%eth0]:179 IPv6"]);
  assert.deepEqual(found("peer-address: gateway, families: [ipv4, ipv6]"), [
    "10.9.0.1:179 IPv4,IPv6",
    "[fe80::1%eth0]:179 IPv4,IPv6",
  ]);
  const [both = assert.fail()] = gateways.IPv6;
  const shared = { node: "n", annotations: {}, interfaces: [], gateways: { IPv4: [both], IPv6: gateways.IPv6 } };
  assert.deepEqual(found("peer-address: gateway", shared), ["[fe80::1%eth0]:179 IPv4,IPv6"], "IPv4 by way of an IPv6 next hop");
  assert.deepEqual(found("peer-address: gateway-v6", shared), ["[fe80::1%eth0]:179 IPv4,IPv6"]);
  assert.deepEqual(found("peer-address: gateway-v4, interface: 'eth*'"), ["10.0.0.1:179 IPv4,IPv6", "10.0.1.1:179 IPv4,IPv6"]);
  assert.deepEqual(found("peer-address: gateway-v4, interface: [eth2], peer-port: 1179"), ["10.0.2.1:1179 IPv4,IPv6"]);
  assert.deepEqual(found("peer-address: gateway-v6, interface: eth1"), ["gateway-v6 on eth1:179 IPv4,IPv6"]);
  assert.deepEqual(
    found("peer-address: gateway", { node: "n", annotations: {}, interfaces: [], gateways: { IPv4: [], IPv6: [] } }),
    ["gateway:179 IPv4,IPv6"],
  );
});

const ofNodes = `peers: [{name: tors, my-asn: 64512, interface: eth0, families: [ipv6], password-secret: {name: s}, from-node: {
  peer-address: {annotation: example.com/tor}, peer-asn: {label: tor-asn}, router-id: {annotation: id}, password-secret-key: {label: rack}}},
  {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.9}]`;

function ofRack(labels: Labels, annotations: Readonly<Record<string, string>>) {
  const around = { node: "node7", annotations, interfaces: [], gateways: { IPv4: [], IPv6: [] } };
  const [first, other, ...more] = nodePeers(configOf(ofNodes).peers, labels, around);
  assert.ok(first && other?.key === "192.0.2.9:179" && more.length === 0, "other peers are untouched");
  return first;
}

test("a peer has the values of its node's labels and annotations", () => {
  const { key, peer } = ofRack({ "tor-asn": "4200000001", rack: "r1" }, { "example.com/tor": " fe80::1 ", id: "10.0.0.7" });
  assert.equal(key, "[fe80::1%eth0]:179");
  assert.deepEqual(
    [peer.name, peer.myAsn, peer.peerAsn, `${peer.routerId}`, peer.families, peer.passwordSecret, peer.fromNode],
    ["tors", 64512, 4_200_000_001, "10.0.0.7", ["IPv6"], { name: "s", key: "r1" }, undefined],
  );
});

const inOne = [
  "{my-asn: 64512, from-node: {peer-address: {annotation: example.com/tor}, peer-asn: {annotation: example.com/tor-asn}}}",
];
const inThree = [1, 2, 3].map(
  (tor) => `{my-asn: 64512, peer-asn: external, from-node: {peer-address: {annotation: example.com/tor${tor}}}}`,
);
for (const entries of [inOne, inThree])
  test(`${entries.length} entries are for three routers of each of a thousand nodes, and a wrong value concerns its peer alone`, () => {
    const { peers } = configOf(`peers: [${entries}]`);
    for (let node = 0; node < 1_000; node++) {
      const [first, second, third] = [1, 2, 3].map((tor) => `10.${tor}.${node >> 8}.${node & 255}`);
      const texts = [first, node === 500 ? "10.0.0.0.1" : second, third];
      const asns = [1, 2, 3].map((tor) => 65_000 + 10 * node + tor);
      const ofEach = texts.map((value, index) => [`example.com/tor${index + 1}`, `${value}`] as const);
      const annotations = Object.fromEntries([
        ...ofEach,
        ["example.com/tor", texts.join(", ")],
        ["example.com/tor-asn", node === 501 ? "65000" : asns.join()],
      ]);
      const found = nodePeers(peers, {}, { node: `node${node}`, annotations, interfaces: [], gateways: { IPv4: [], IPv6: [] } });
      const usable = found.flatMap(({ key, peer }) => (peer.refusal === undefined ? [`${key} ${peer.peerAsn}`] : []));
      const wanted = [first, second, third].map((address, index) => {
        const asn = entries === inThree ? "external" : node === 501 ? 65_000 : asns[index];
        return `${address}:179 ${asn}`;
      });
      assert.deepEqual(usable, node === 500 ? wanted.toSpliced(1, 1) : wanted);
      assert.equal(found.length, 3, "the one with the wrong value says so");
    }
  });

const good = { labels: { "tor-asn": "1", rack: "r1" }, annotations: { "example.com/tor": "fe80::1", id: "10.0.0.7" } };
const refusedValues: { name: string; labels?: Labels; annotations?: Readonly<Record<string, string>>; why: RegExp }[] = [
  {
    name: "no annotation",
    annotations: { "example.com/tor": "fe80::1" },
    why: /it has no annotation "id", from which router-id/,
  },
  { name: "no label", labels: {}, why: /it has no label "tor-asn"/ },
  { name: "an inherited name", labels: Object.create({ "tor-asn": "1", rack: "r1" }), why: /it has no label "tor-asn"/ },
  {
    name: "an AS number that is none",
    labels: { "tor-asn": "65.1", rack: "r" },
    why: /its label "tor-asn" cannot be peer-asn: "65.1"/,
  },
  { name: "an AS number of 0", labels: { "tor-asn": "0", rack: "r" }, why: /cannot be peer-asn: "0"/ },
  { name: "an AS number beyond all", labels: { "tor-asn": "4294967296", rack: "r" }, why: /cannot be peer-asn/ },
  {
    name: "fewer AS numbers than routers",
    labels: { "tor-asn": "1,2", rack: "r" },
    annotations: { "example.com/tor": "fe80::1,fe80::2,fe80::3", id: "10.0.0.7" },
    why: /its label "tor-asn" has 2 values for peer-asn, and there are 3 of peer-address/,
  },
  {
    name: "an annotation without end",
    annotations: { "example.com/tor": "fe80::1,".repeat(1_000), id: "10.0.0.7" },
    why: /its annotation "example.com\/tor" is longer than 1024 characters/,
  },
  { name: "an empty annotation", annotations: { "example.com/tor": "", id: "10.0.0.7" }, why: /cannot be peer-address: ""/ },
  {
    name: "no address",
    annotations: { "example.com/tor": "tor1", id: "10.0.0.7" },
    why: /peer-address: must be .*an IP address, but is "tor1"/,
  },
  {
    name: "a router-id of IPv6",
    annotations: { "example.com/tor": "fe80::1", id: "::1" },
    why: /router-id: must be an IPv4 address/,
  },
  {
    name: "a key that no Secret has",
    labels: { "tor-asn": "1", rack: "a/b" },
    why: /password-secret.key: no Secret has a key "a\/b"/,
  },
  {
    name: "an address that the interface forbids",
    annotations: { "example.com/tor": "192.0.2.1", id: "1.1.1.1" },
    why: /interface: only for a link-local/,
  },
];
for (const { name, labels = good.labels, annotations = good.annotations, why } of refusedValues)
  test(`a peer whose node has ${name} is refused, with the node's name`, () => {
    const { key, peer } = ofRack(labels, annotations);
    assert.equal(key, "router by annotation example.com/tor:179");
    assert.match(peer.refusal?.what ?? "", /^Node node7 gives this peer no values: /);
    assert.match(peer.refusal?.what ?? "", why);
    assert.deepEqual([peer.address, peer.passwordSecret], [undefined, undefined]);
  });

test("whatever a node's labels and annotations are, a peer is whole, or refused in one short line", () => {
  const texts = fc.oneof(fc.string({ maxLength: 300 }), fc.constantFrom("1", "fe80::1", "external", "10.0.0.1", "gateway"));
  fc.assert(
    fc.property(texts, texts, texts, texts, (asn, tor, id, key) => {
      const { peer } = ofRack({ "tor-asn": asn, rack: key }, { "example.com/tor": tor, id });
      const refusal = peer.refusal?.what;
      if (refusal === undefined)
        assert.ok((peer.address ?? peer.discovery) !== undefined && peer.myAsn === 64512 && peer.fromNode === undefined);
      else assert.ok(refusal.length < 500 && !/[\n\r]/.test(refusal), refusal);
    }),
  );
});
