import assert from "node:assert/strict";
import { test } from "node:test";
import { limits, parseConfig } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { endpointSlice, node, service } from "#pkg/k8s/testing";
import type { Family } from "#pkg/net";
import { prefix } from "#pkg/net/testing";
import { drainLabel } from "#pkg/placement";
import { annotations } from "#pkg/service";
import { type ClusterState, configChange, nodeChange, withoutNodes } from "./index.ts";
import { placeAll } from "./place-all.ts";

const names = ["n1", "n2", "n3"];
const lan = "- {name: lan, protocol: layer2, addresses: [10.0.0.1-10.0.0.4]}\n";
const far = "- {name: far, protocol: bgp, auto-assign: false, addresses: [10.1.0.0/24]}\n";
const router = "{peer-address: 10.9.0.1, my-asn: 65000, peer-asn: 65001}";

function config(pools: string, peers = "") {
  const text = `peers: [${peers}]\naddress-pools:\n${pools}`;
  const { config, problems } = parseConfig(text);
  assert.ok(config, `${text}${JSON.stringify(problems)}`);
  return config;
}

/** Three nodes; each Service has a ready endpoint on all of them but for those in `on`. */
function cluster(
  given: ReturnType<typeof config>,
  services: Readonly<Record<string, Partial<Service>>>,
  on: Readonly<Record<string, readonly string[]>> = {},
): ClusterState {
  const ready = (name: string) => Object.fromEntries((on[name] ?? names).map((one) => [one, true]));
  return {
    config: given,
    mayRenumber: false,
    services: Object.entries(services).map(([name, fields]) => service(name, fields)),
    slices: Object.keys(services).map((name) => endpointSlice(`default/${name}`, ready(name))),
    nodes: names.map((name) => node(name)),
    active: names,
    central: [],
    nodesHaveBgp: true,
    reachability: new Map(names.map((name) => [name, { answers: true, hasKernelAccess: true, interfaces: new Map() }])),
    namespaces: new Map(),
    ignoreExcludeLabel: true,
    owners: new Map(),
    occupied: new Map(),
  };
}

const one = { one: { ingress: ["10.0.0.1"] } };
const inFar = (address: string) => ({ ingress: [address], annotations: { [annotations.pool]: "far" } });

test("configChange: the same configuration changes nothing", () => {
  const { stranded, services, kept, sessions, prefixes, owners } = configChange(cluster(config(lan), one), config(lan));
  assert.deepEqual(
    { stranded: stranded.size, services, kept, sessions, prefixes, owners },
    { stranded: 0, services: [], kept: 1, sessions: [], prefixes: [], owners: [] },
  );
});

test("configChange: an address that would have no pool is stranded, with the Service's name", () => {
  const other = "- {name: lan, protocol: layer2, addresses: [10.0.0.2-10.0.0.4]}\n";
  const { stranded, services } = configChange(cluster(config(lan), one), config(other));
  assert.deepEqual([...stranded], [["default/one", ["10.0.0.1"]]]);
  assert.equal(services[0]?.change, "changes");
});

test("configChange: where the ConfigMap allows it, stranded Services move", () => {
  const other = "- {name: lan, protocol: layer2, addresses: [10.0.0.2-10.0.0.4]}\n";
  const { isAccepted, services } = configChange({ ...cluster(config(lan), one), mayRenumber: true }, config(other));
  assert.ok(isAccepted);
  assert.deepEqual(
    services.map(({ service, after }) => [service, after.join()]),
    [["default/one", "10.0.0.2"]],
  );
});

const profile = (more: string) => `bfd-profiles: [{name: fast, receive-interval: 100${more}}]\n`;
const watched = (peer: string, profiles: string) => {
  const text = `${profiles}peers: [${peer}]\naddress-pools:\n${far}`;
  const { config, problems } = parseConfig(text);
  assert.ok(config, `${text}${JSON.stringify(problems)}`);
  return config;
};
const plain = watched(router, profile(""));
const fast = watched(router.replace("}", ", bfd-profile: fast}"), profile(""));
const slow = watched(router.replace("}", ", bfd-profile: fast}"), profile(", detect-multiplier: 7"));
const renamed = watched(router.replace("}", ", bfd-profile: quick}"), profile("").replace("name: fast", "name: quick"));
const bound = watched(router.replace("}", ", bfd-profile: fast, ebgp-multihop: true}"), profile(""));
const bfdCases = [
  { name: "a profile that is given starts it", from: plain, to: fast, want: ["starts"] },
  { name: "one that is taken away ends it", from: fast, to: plain, want: ["ends"] },
  { name: "another value in the profile changes it", from: fast, to: slow, want: ["changes", "detectMultiplier"] },
  { name: "a profile of another name with the same values changes nothing", from: fast, to: renamed, want: undefined },
  { name: "more than one hop restarts it", from: fast, to: bound, want: ["restarts", "ebgpMultihop"] },
];
for (const { name, from, to, want } of bfdCases)
  test(`configChange: of BFD sessions, ${name}`, () => {
    const { bfd } = configChange(cluster(from, {}), to);
    const [change = "", ...because] = want ?? [];
    assert.deepEqual(bfd, want === undefined ? [] : [{ peer: "10.9.0.1:179", change, because, nodes: names }]);
  });

test("configChange: a BGP session that has no BFD any more, or between other ends, may restart", () => {
  for (const [to, because] of [
    [plain, "bfdProfile"],
    [bound, "ebgpMultihop"],
  ] as const) {
    const { sessions } = configChange(cluster(fast, {}), to);
    assert.deepEqual(sessions, [{ peer: "10.9.0.1:179", change: "may restart", because: [because], nodes: names }]);
  }
});

test("configChange: who waits for an address gets one", () => {
  const small = "- {name: lan, protocol: layer2, addresses: [10.0.0.1/32]}\n";
  const { services, kept } = configChange(cluster(config(small), { ...one, two: {} }), config(lan));
  assert.deepEqual(
    services.map(({ service, change, before, after }) => ({ service, change, before, after })),
    [{ service: "default/two", change: "gains", before: [], after: ["10.0.0.2"] }],
  );
  assert.equal(kept, 1);
});

test("configChange: a pool that is renamed keeps its addresses, and refuses those who ask for it by its old name", () => {
  const renamed = lan.replace("name: lan", "name: office");
  const asking = { asks: { ingress: ["10.0.0.2"], annotations: { [annotations.pool]: "lan" } } };
  const { services } = configChange(cluster(config(lan), { ...one, ...asking }), config(renamed));
  assert.deepEqual(
    services.map(({ service, change, after, why }) => [service, change, after.join(), why]),
    [
      ["default/asks", "pool", "10.0.0.2", "from pool lan to pool office"],
      ["default/one", "pool", "10.0.0.1", "from pool lan to pool office"],
    ],
  );
});

test("configChange: pools that are added, removed, or have other addresses or protocols", () => {
  const changes = (before: string, after: string) =>
    configChange(cluster(config(before), {}), config(after)).pools.map(({ pool, change, before, after }) => [
      pool,
      change,
      before,
      after,
    ]);
  assert.deepEqual(changes(lan, lan), []);
  assert.deepEqual(changes(lan, lan + far), [["far", "added", "", "256 by bgp"]]);
  assert.deepEqual(changes(lan + far, lan), [["far", "removed", "256 by bgp", ""]]);
  assert.deepEqual(changes(lan, lan.replace("0.4]", "0.5]")), [["lan", "changed", "4 by layer2", "5 by layer2"]]);
});

test("configChange: a pool with other fields is another one, also where no Service notices now", () => {
  const changes = (from: string, to: string) =>
    configChange(cluster(config(from), {}), config(to)).pools.map(({ after }) => after);
  const pool = (fields: string) => `- {name: lan, addresses: [10.0.0.0/30], ${fields}}\n`;
  for (const [from, to, other] of [
    ["protocol: layer2", "protocol: layer2, closed: true", "closed"],
    [
      "protocol: layer2",
      "protocol: layer2, node-selectors: [{match-labels: {a: b}}], interfaces: [eth1]",
      "nodeSelectors, interfaces",
    ],
    [
      "protocol: layer2, node-selectors: [{match-labels: {a: b}}]",
      "protocol: layer2, node-selectors: [{match-labels: {a: c}}]",
      "nodeSelectors",
    ],
    ["protocol: interface", "protocol: interface, dummy-interface: lb1", "kernel"],
    ["protocol: layer2", "protocol: layer2, sharing: none", "sharing"],
  ] as const) {
    const protocol = from.split(" ")[1]?.replace(",", "");
    assert.deepEqual(changes(pool(from), pool(to)), [`4 by ${protocol}, other ${other}`]);
  }
  assert.deepEqual(changes(lan, lan.replace("10.0.0.1-10.0.0.4", "10.0.0.2-10.0.0.5")), ["4 by layer2, other ranges"]);
});

test("configChange: sessions start, end and restart by what the settings take, on the nodes that have them", () => {
  const selected = "{peer-address: 10.9.0.1, my-asn: 65000, peer-asn: 65001, node-selectors: [{match-labels: {rack: a}}]}";
  const state = { ...cluster(config(lan, router), {}), nodes: [node("n1", { labels: { rack: "a" } }), node("n2"), node("n3")] };
  const changes = (peers: string) =>
    configChange(state, config(lan, peers)).sessions.map(
      ({ peer, change, because, nodes }) => `${peer} ${change} ${because} on ${nodes}`,
    );
  assert.deepEqual(changes(router), []);
  assert.deepEqual(changes(router.replace("}", ", hold-time: 30s}")), ["10.9.0.1:179 restarts holdTimeSeconds on n1,n2,n3"]);
  assert.deepEqual(changes(router.replace("}", ", peer-port: 1179}")), [
    "10.9.0.1:1179 starts  on n1,n2,n3",
    "10.9.0.1:179 ends  on n1,n2,n3",
  ]);
  assert.deepEqual(changes(selected), ["10.9.0.1:179 ends  on n2,n3"]);
  assert.deepEqual(changes(router.replace("}", ", password-secret: {name: s, key: k}}")), [
    "10.9.0.1:179 may restart passwordSecret on n1,n2,n3",
  ]);
  assert.deepEqual(changes(router.replace("}", ", keepalive-time: 9s, drain-when-cordoned: true}")), [
    "10.9.0.1:179 changes keepaliveSeconds,drainWhenCordoned on n1,n2,n3",
  ]);
  assert.deepEqual(changes(router.replace("}", ", name: other, node-selectors: [{}]}")), []);
  const ofNodes = (label: string) =>
    config(lan, `{peer-address: 10.9.0.1, peer-asn: 65001, from-node: {my-asn: {label: ${label}}}}`);
  const [change, ...others] = configChange(cluster(ofNodes("asn"), {}), ofNodes("other")).sessions;
  assert.deepEqual([change?.change, change?.because, others], ["may restart", ["fromNode"], []], "by values of other labels");
  assert.deepEqual(configChange(cluster(ofNodes("asn"), {}), ofNodes("asn")).sessions, []);
});

test("configChange: prefixes that routers get, lose, or get with other attributes", () => {
  const state = cluster(config(lan + far, router), { web: inFar("10.1.0.7") });
  const changes = (pool: string) =>
    configChange(state, config(lan + pool, router)).prefixes.map(
      ({ prefix, change, before, after, nodes }) => `${prefix} ${change} (${before}) (${after}) ${nodes}`,
    );
  assert.deepEqual(changes(far), []);
  const more = (advertisement: string) => far.replace("}", `, bgp-advertisements: [{${advertisement}}]}`);
  assert.deepEqual(changes(more("aggregation-length: 24")), [
    "10.1.0.0/24 announced () () n1,n2,n3",
    "10.1.0.7/32 withdrawn () () n1,n2,n3",
  ]);
  assert.deepEqual(changes(more("communities: ['65000:1'], localpref: 50")), [
    "10.1.0.7/32 changed () (local-pref 50, communities 65000:1) n1,n2,n3",
  ]);
  assert.deepEqual(changes(more("service-selectors: [{match-labels: {a: b}}]")), ["10.1.0.7/32 withdrawn () () n1,n2,n3"]);
  const asking = { ...inFar("10.1.0.7"), labels: { med: "7" } };
  const more7 = config(lan + more("med: 1, med-from: {label: med, min: 5, max: 9}"), router);
  assert.deepEqual(
    configChange(cluster(config(lan + far, router), { web: asking }), more7).prefixes.map(({ after }) => after),
    ["med 7"],
  );
});

/** A cluster whose nodes have addresses, and leave BGP to two central speakers. */
function centralCluster(
  given: ReturnType<typeof config>,
  ...more: [Parameters<typeof cluster>[1], Parameters<typeof cluster>[2]?]
) {
  const nodes = names.map((name) => node(name, { internalIPs: [`10.5.0.${name.slice(1)}`], labels: { name } }));
  return { ...cluster(given, ...more), nodes, central: ["central/n1", "central/n2"], nodesHaveBgp: false };
}

test("configChange: with central speakers, these have the sessions, and the nodes are next hops", () => {
  const both = router.replace("}", ", add-path: true}");
  const state = centralCluster(config(lan + far, both), { web: inFar("10.1.0.7") });
  const changes = (pool: string, peers = both) => {
    const { prefixes, sessions } = configChange(state, config(lan + pool, peers));
    return [...prefixes, ...sessions].map((one) =>
      "prefix" in one ? `${one.prefix} ${one.change} ${one.nodes}` : `${one.peer} ${one.change} ${one.nodes}`,
    );
  };
  assert.deepEqual(changes(far), []);
  const more = (advertisement: string) => far.replace("}", `, bgp-advertisements: [{${advertisement}}]}`);
  assert.deepEqual(changes(more("node-selectors: [{match-labels: {name: n2}}]")), ["10.1.0.7/32 changed n2"]);
  assert.deepEqual(changes(more("next-hop: 10.5.0.9")), ["10.1.0.7/32 changed central/n1,central/n2"]);
  assert.deepEqual(changes(far, both.replace("10.9.0.1", "gateway")), [
    "10.1.0.7/32 withdrawn n1,n2,n3",
    "10.9.0.1:179 ends central/n1,central/n2",
  ]);
  const second = both.replace("10.9.0.1", "10.9.0.2").replace("}", ", node-selectors: [{match-labels: {name: n3}}]}");
  assert.deepEqual(changes(far, `${both}, ${second}`), ["10.1.0.7/32 announced n3", "10.9.0.2:179 starts central/n1,central/n2"]);
});

test("nodeChange: a lost node is no next hop any more, and routes stay while one central speaker does", () => {
  const services = { web: inFar("10.1.0.7"), near: { ...inFar("10.1.0.8"), externalTrafficPolicy: "Local" as const } };
  const state = centralCluster(config(lan + far, router), services, { near: ["n1", "n3"] });
  const lose = (...lost: readonly string[]) => {
    const { moved, lost: gone, prefixes } = nodeChange(state, withoutNodes(state, new Set(lost)));
    return [
      ...moved.map(({ address, before, after }) => `${address} ${before} ${after}`),
      ...gone.map(({ address, why }) => `${address} ${why}`),
      ...prefixes.map(({ prefix, before, after }) => `${prefix} ${before} ${after}`),
    ];
  };
  assert.deepEqual(lose("central/n1"), []);
  assert.deepEqual(lose("n1"), ["10.1.0.8 n1,n3 n3", "10.1.0.7 n1,n2,n3 n2,n3", "10.1.0.8/32 2 1", "10.1.0.7/32 3 2"]);
  assert.deepEqual(lose("central/n1", "central/n2"), [
    "10.1.0.8 noActiveSpeaker",
    "10.1.0.7 noActiveSpeaker",
    "10.1.0.8/32 2 0",
    "10.1.0.7/32 3 0",
  ]);
});

test("nodeChange: without speakers of nodes, those that the API hears of are next hops", () => {
  const state = { ...centralCluster(config(lan + far, router), { web: inFar("10.1.0.7") }), active: [] };
  const [n1, n2, n3] = state.nodes;
  const nodes = [n1, n2, { ...n3, taints: ["node.kubernetes.io/unreachable"] }] as typeof state.nodes;
  const { moved } = nodeChange({ ...state, nodes }, withoutNodes({ ...state, nodes }, new Set(["n2"])));
  assert.deepEqual(
    moved.map(({ before, after }) => [before, after]),
    [[["n1", "n2"], ["n1"]]],
  );
});

test("configChange: with next-hop slots Local Services are not announced any more, and others as before", () => {
  const slots = config(lan + far.replace("}", ", next-hop-slots: 10.9.0.224/28}"), router);
  const services = { web: inFar("10.1.0.7"), near: { ...inFar("10.1.0.8"), externalTrafficPolicy: "Local" as const } };
  for (const state of [cluster(config(lan + far, router), services), centralCluster(config(lan + far, router), services)]) {
    const { owners, prefixes } = configChange(state, slots);
    assert.deepEqual(owners, [{ address: "10.1.0.8", services: ["default/near"], before: names, after: [] }]);
    assert.deepEqual(
      prefixes.map(({ prefix, change }) => `${prefix} ${change}`),
      ["10.1.0.8/32 withdrawn"],
    );
    const refused = placeAll({ ...state, config: slots })
      .addresses.get("10.1.0.8 0")
      ?.refusals.get("default/near");
    assert.equal(refused?.reason, "localBySlots");
  }
});

test("configChange: a router's limit of prefixes is seen before it is reached", () => {
  const limited = router.replace("}", ", maximum-prefix: 1}");
  const state = cluster(config(lan + far, router), { web: inFar("10.1.0.7"), two: inFar("10.1.0.8") });
  const over = (given: string, peers = limited) => configChange(state, config(lan + given, peers)).overLimits;
  const sentence = "10.9.0.1:179 would get 2 IPv4 prefixes and takes 1 (maximum-prefix): it would end the session";
  assert.deepEqual(over(far), [sentence]);
  assert.deepEqual(over(far.replace("}", ", bgp-advertisements: [{aggregation-length: 24}]}")), []);
  assert.deepEqual(over(far, limited.replace("prefix: 1", "prefix: 2")), []);
  assert.deepEqual(over(far, router), []);
  const led = centralCluster(config(lan + far, router), { web: inFar("10.1.0.7"), two: inFar("10.1.0.8") });
  assert.deepEqual(configChange(led, config(lan + far, limited)).overLimits, [sentence]);
});

test("configChange: a path to each node counts against the limit of a router with ADD-PATH, and a next hop in their place once", () => {
  const led = centralCluster(config(lan + far, router), { web: inFar("10.1.0.7"), two: inFar("10.1.0.8") });
  const over = (limit: number, pool = far) =>
    configChange(led, config(lan + pool, router.replace("}", `, add-path: true, maximum-prefix: ${limit}}`))).overLimits;
  assert.deepEqual(over(5), ["10.9.0.1:179 would get 6 IPv4 paths and takes 5 (maximum-prefix): it would end the session"]);
  assert.deepEqual(over(6), []);
  assert.deepEqual(over(2, far.replace("}", ", bgp-advertisements: [{next-hop: 10.5.0.9}]}")), []);
});

test("configChange: next-hop slots count against the limit of a router with ADD-PATH: each is a path of two nodes, or of a central speaker", () => {
  const slotted = far.replace("}", ", next-hop-slots: 10.9.0.64/28}");
  const over = (state: ClusterState, fields: string) =>
    configChange(state, config(lan + slotted, router.replace("}", `, ${fields}}`))).overLimits;
  const state = cluster(config(lan + far, router), { web: inFar("10.1.0.7") });
  const says = (count: number, limit: number) => [
    `10.9.0.1:179 would get ${count} IPv4 paths and takes ${limit} (maximum-prefix): it would end the session`,
  ];
  assert.deepEqual(over(state, "add-path: true, maximum-prefix: 10"), says(11, 10), "32 of three nodes");
  assert.deepEqual(over(state, "add-path: true, maximum-prefix: 11"), []);
  assert.deepEqual(over(state, "maximum-prefix: 1"), []);
  const plain = "- {name: plain, protocol: bgp, addresses: [10.3.0.0/24]}\n";
  const both = cluster(config(lan + far + plain, router), { web: inFar("10.1.0.7"), other: { ingress: ["10.3.0.1"] } });
  const limited = router.replace("}", ", add-path: true, maximum-prefix: 11}");
  assert.deepEqual(configChange(both, config(lan + slotted + plain, limited)).overLimits, says(12, 11), "one of all others");
  assert.deepEqual(
    over(withoutNodes(state, new Set(["n1", "n2"])), "add-path: true, maximum-prefix: 15"),
    says(16, 15),
    "of the only node",
  );
  const led = centralCluster(config(lan + far, router), { web: inFar("10.1.0.7") });
  assert.deepEqual(over(led, "add-path: true, maximum-prefix: 15"), says(16, 15));
});

test("configChange: an address that is kept may be announced by another node", () => {
  const selected = lan.replace("]}", "], node-selectors: [{match-labels: {rack: a}}]}");
  const state = cluster(config(lan), one);
  const [owner] = configChange(state, config(lan)).owners;
  assert.equal(owner, undefined);
  const nodes = names.map((name) => node(name, { labels: { rack: name === "n3" ? "a" : "b" } }));
  const { owners } = configChange({ ...state, nodes }, config(selected));
  const before = nodeChange(state, withoutNodes(state, new Set())).load.find(({ before }) => before === 1)?.node;
  assert.deepEqual(
    owners,
    before === "n3" ? [] : [{ address: "10.0.0.1", services: ["default/one"], before: [before], after: ["n3"] }],
  );
});

const many = Object.fromEntries(Array.from({ length: 4 }, (_, index) => [`s${index}`, { ingress: [`10.0.0.${index + 1}`] }]));

const kernels: { name: string; fields: string; want: [protocol: string, nodes: number][] }[] = [
  {
    name: "routes beside layer 2",
    fields: "protocol: [layer2, interface], carrier: route",
    want: [
      ["layer2", 1],
      ["interface", 3],
    ],
  },
  { name: "routed", fields: "protocol: interface", want: [["interface", 3]] },
  { name: "on a NIC", fields: "protocol: interface, placement: lan", want: [["interface", 1]] },
];
for (const { name, fields, want } of kernels)
  test(`placeAll: an address in kernels, ${name}`, () => {
    const subnets = new Map([["eth0", [prefix("10.0.0.0/16")]]]);
    const reachability = new Map(names.map((node) => [node, { answers: true, hasKernelAccess: true, interfaces: subnets }]));
    const state = { ...cluster(config(`- {name: lan, ${fields}, addresses: [10.0.0.0/24]}\n`), one), reachability };
    const { addresses } = placeAll(state);
    assert.deepEqual(
      [...addresses.values()].map(({ protocol, nodes }) => [protocol, nodes.length]),
      want,
    );
  });

test("configChange: with other layer2-advertisements an address moves to the nodes that they select for its Service, or to none", () => {
  const by = (label: string, rack: string) =>
    `{service-selectors: [{match-labels: {for: ${label}}}], node-selectors: [{match-labels: {rack: ${rack}}}]}`;
  const sorted = (entries: string) => config(lan.replace("}", `, layer2-advertisements: [${entries}]}`));
  const before = { ...cluster(sorted(by("us", "a")), { one: { ingress: ["10.0.0.1"], labels: { for: "us" } } }) };
  const nodes = [node("n1", { labels: { rack: "a" } }), node("n2", { labels: { rack: "b" } }), node("n3")];
  const { owners } = configChange({ ...before, nodes }, sorted(`${by("us", "a")}, ${by("us", "b")}`));
  assert.deepEqual(
    owners.map(({ address, before: [from] = [], after: [to] = [] }) => `${address} ${from} ${to}`),
    ["10.0.0.1 n1 n2"],
  );
  const gone = configChange({ ...before, nodes }, sorted(by("them", "a"))).owners;
  assert.deepEqual(
    gone.map(({ before: from, after: to }) => [from, to]),
    [[["n1"], []]],
  );
});

const byProtocols: readonly { before: string; after: string; want: string[] }[] = [
  { before: "[layer2, bgp]", after: "bgp", want: [] },
  { before: "bgp", after: "[layer2, bgp]", want: [] },
  { before: "[layer2, bgp]", after: "layer2", want: [] },
  { before: "layer2", after: "bgp", want: ["10.0.0.1: n2 -> n1,n2,n3"] },
  { before: "bgp", after: "none", want: ["10.0.0.1: n1,n2,n3 -> "] },
  { before: "none", after: "layer2", want: ["10.0.0.1:  -> n2"] },
];
for (const { before, after, want } of byProtocols)
  test(`configChange: owners of an address whose pool has ${before}, then ${after}`, () => {
    const by = (protocol: string) => config(lan.replace("layer2", protocol), router);
    const { owners } = configChange(cluster(by(before), one), by(after));
    assert.deepEqual(
      owners.map(({ address, before, after }) => `${address}: ${before} -> ${after}`),
      want,
    );
  });

test("nodeChange: a lost node's addresses go to others, and none else moves", () => {
  const state = cluster(config(lan), many);
  for (const lost of names) {
    const { moved, lost: gone, stay, load } = nodeChange(state, withoutNodes(state, new Set([lost])));
    assert.deepEqual(gone, []);
    assert.equal(moved.length + stay, 4);
    for (const { before, after } of moved) assert.deepEqual([before, after.includes(lost), after.length], [[lost], false, 1]);
    assert.deepEqual(load.find(({ node }) => node === lost)?.after, 0);
    assert.equal(
      load.reduce((sum, { after }) => sum + after, 0),
      4,
    );
  }
});

test("nodeChange: sticky addresses stay at the nodes that own them, and are shared out when one is lost", () => {
  const sticky = lan.replace("]}", "], l2-placement: sticky}");
  const owners = new Map(Array.from({ length: 4 }, (_, index) => [`10.0.0.${index + 1}`, "n2"]));
  const state = { ...cluster(config(sticky), many), owners };
  assert.deepEqual(nodeChange(state, withoutNodes(state, new Set(["n1"]))).moved, []);
  const { load } = nodeChange(state, withoutNodes(state, new Set(["n2"])));
  assert.deepEqual(
    load.map(({ after }) => after),
    [2, 0, 2],
  );
});

test("nodeChange: a Service whose endpoints are all on lost nodes is lost, and says why", () => {
  const services = { ...one, two: { ingress: ["10.0.0.2"], externalTrafficPolicy: "Local" as const } };
  const state = cluster(config(lan), services, { one: ["n1"], two: ["n1", "n2"] });
  const { lost, moved } = nodeChange(state, withoutNodes(state, new Set(["n1"])));
  assert.deepEqual(lost, [{ address: "10.0.0.1", service: "default/one", why: "noReadyEndpoint" }]);
  assert.ok(moved.every(({ address, after }) => address === "10.0.0.2" && after.join() === "n2"));
  const all = nodeChange(state, withoutNodes(state, new Set(names)));
  assert.deepEqual(
    all.lost.map(({ service, why }) => `${service} ${why}`),
    ["default/one noReadyEndpoint", "default/two noReadyEndpoint"],
  );
});

test("placeAll: a Local address is where its family has endpoints, and where the other one has them if it has none", () => {
  const pool = config(lan.replace("]}", ', "fd00::/124"]}'));
  const services = { web: { ingress: ["10.0.0.1", "fd00::1"], externalTrafficPolicy: "Local" as const } };
  const slice = (on: readonly string[], family: Family) =>
    endpointSlice("default/web", Object.fromEntries(on.map((each) => [each, true])), family);
  const at = (onV6: readonly string[]) => {
    const slices = [slice(["n1", "n2"], "IPv4"), slice(onV6, "IPv6")];
    const { addresses } = placeAll({ ...cluster(pool, services), slices });
    return addresses.get("fd00::1 0")?.nodes.join();
  };
  for (const node of names) assert.equal(at([node]), node);
  assert.match(`${at([])}`, /^n[12]$/);
});

test("nodeChange: by BGP the prefix is left with fewer nodes, or with none", () => {
  const state = cluster(config(lan + far, router), { web: inFar("10.1.0.7") });
  const { prefixes, lost, moved } = nodeChange(state, withoutNodes(state, new Set(["n1"])));
  assert.deepEqual(prefixes, [{ prefix: "10.1.0.7/32", peer: "10.9.0.1:179", before: 3, after: 2 }]);
  assert.deepEqual([lost.length, moved[0]?.after], [0, ["n2", "n3"]]);
  const local = cluster(state.config, { web: { ...inFar("10.1.0.7"), externalTrafficPolicy: "Local" } }, { web: ["n1"] });
  assert.deepEqual(
    nodeChange(local, withoutNodes(local, new Set(["n1"]))).lost.map(({ why }) => why),
    ["noReadyEndpoint"],
  );
});

test("placeAll: of more Services on an address than may share it the oldest count, on layer 2 and by BGP", () => {
  const count = limits.holdersOfAddress + 1;
  for (const [pool, ip] of [
    [lan, "10.0.0.1"],
    [far, "10.1.0.1"],
  ] as const) {
    const shared = {
      ingress: [ip],
      annotations: { [annotations.sharing]: "k", [annotations.pool]: pool === far ? "far" : "lan" },
    };
    // The first by name is the youngest.
    const services = Array.from({ length: count }, (_, i) => [`s${1000 + i}`, { ...shared, created: count - i }] as const);
    const { addresses } = placeAll(cluster(config(pool, router), Object.fromEntries(services)));
    const [placed] = [...addresses.values()];
    assert.equal(placed?.services.length, count);
    assert.deepEqual([...(placed?.refusals ?? [])], [["default/s1000", { announced: false, reason: "sharedByTooMany" }]]);
  }
});

test("nodeChange: a Service that one of its pool's protocols announces is not lost, and its address counts once", () => {
  const both = lan.replace("layer2", "[layer2, bgp]");
  const nodes = [node("n1", { labels: { rack: "a" } }), node("n2"), node("n3")];
  const peer = router.replace("}", ", node-selectors: [{match-labels: {rack: a}}]}");
  const state = { ...cluster(config(both, peer), one), nodes };
  const { lost, moved, stay, prefixes } = nodeChange(state, withoutNodes(state, new Set(["n1"])));
  assert.deepEqual([lost, stay, prefixes.map(({ after }) => after)], [[], 0, [0]]);
  assert.deepEqual(
    moved.map(({ protocol, before, after }) => [protocol, before, after]),
    [["bgp", ["n1"], []]],
  );
  assert.equal(nodeChange(state, state).stay, 1);
  assert.equal(nodeChange(state, withoutNodes(state, new Set(names))).lost.length, 1);
});

test("nodeChange: a drained node's routes go where other nodes have them, and stay under Local or where all are drained", () => {
  const drained = (...those: readonly string[]) =>
    names.map((name) => node(name, { labels: those.includes(name) ? { [drainLabel]: "" } : {} }));
  for (const [externalTrafficPolicy, those, want] of [
    ["Cluster", ["n1"], "n2,n3"],
    ["Cluster", names, "n1,n2,n3"],
    ["Local", ["n1"], "n1,n2,n3"],
  ] as const) {
    const state = cluster(config(lan + far, router), { web: { ...inFar("10.1.0.7"), externalTrafficPolicy } });
    const [placed] = placeAll({ ...state, nodes: drained(...those) }).addresses.values();
    assert.equal(placed?.nodes.join(), want);
    assert.equal(placed?.refusals.size, 0);
  }
});

test("nodeChange: a Local Service is lost for the reason of the nodes that have its endpoints", () => {
  const peer = router.replace("}", ", node-selectors: [{match-labels: {rack: a}}]}");
  const nodes = ["a", "a", "b"].map((rack, index) => node(`n${index + 1}`, { labels: { rack } }));
  const web = { web: { ...inFar("10.1.0.7"), externalTrafficPolicy: "Local" as const } };
  for (const [on, why] of [
    [["n2", "n3"], "noPeer"],
    [["n2"], "noReadyEndpoint"],
    [["n2", "n4"], "noReadyEndpointOnActiveNode"],
  ] as const) {
    const state = { ...cluster(config(lan + far, peer), web, { web: on }), nodes };
    const { lost } = nodeChange(state, withoutNodes(state, new Set(["n2"])));
    assert.deepEqual(lost, [{ address: "10.1.0.7", service: "default/web", why }]);
  }
});
