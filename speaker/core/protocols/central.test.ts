import assert from "node:assert/strict";
import { test } from "node:test";
import { slow } from "#pkg/clock/testing";
import { PoolIndex, parseConfig } from "#pkg/config";
import { centralName } from "#pkg/gossip";
import { GossipNode } from "#pkg/gossip/testing";
import { address } from "#pkg/net/testing";
import type { Labels } from "#pkg/placement";
import { isByBgp } from "#pkg/placement";
import { drainLabel, excludeLabel } from "../../../pkg/placement/eligibility.ts";
import { DesiredRoutes, type Paths } from "../../bgp/routes/desired-routes.ts";
import { Bench, pools } from "../../testing/speaker-bench.ts";

const self = centralName("node1");
const nodes = ["node1", "node2", "node3"];
const ready = { node1: true, node2: true };
const pool = '{name: routed, protocol: bgp, addresses: [192.0.2.0/28, "2001:db8::/124"]}';
const router = "{name: x, my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.254}";
const other = router.replaceAll("x,", "y,").replace("254", "253");
const unreachable = "node.kubernetes.io/unreachable";

function ipsOf(node: string): readonly string[] {
  const number = node.slice(-1);
  return [`10.0.0.${number}`, `fd00::${number}`];
}

/** A central speaker that has all nodes and a Service. */
function central({ hasRing = true, text = pool, peers = router, active = nodes } = {}): Bench {
  const bench = new Bench(self, { hasRing, announceFor: "all", active: [...active, self] });
  for (const node of nodes) bench.setNode(node, {}, [], ipsOf(node));
  bench.setConfig(pools(text, peers));
  bench.serve("default/web", ["192.0.2.1"], {}, ready);
  bench.start();
  bench.settle();
  return bench;
}

/** The next hops that each peer gets for an address, as its paths. */
function paths(bench: Bench, ...of: readonly string[]): Record<string, readonly string[]> {
  const found: Record<string, readonly string[]> = {};
  const told = new DesiredRoutes({
    advertise: (peer) => {
      found[peer] = ["itself"];
    },
    advertisePaths: (peer, _prefix, { all }: Paths) => {
      found[peer] = [...all.values()].map(({ nextHop, linkBandwidth, isLastResort }) =>
        [nextHop, linkBandwidth, isLastResort && "last"].filter(Boolean).join(" "),
      );
    },
    withdraw: () => {},
  });
  for (const key of of.length > 0 ? of : ["192.0.2.1"]) {
    const [placement] = bench.state.placements.get(key) ?? [];
    if (placement !== undefined && isByBgp(placement)) told.set(placement.address, placement.routes);
  }
  return found;
}

/** The next hop that a router without ADD-PATH gets. */
function onlyPath(bench: Bench): string | undefined {
  let found: string | undefined;
  const told = new DesiredRoutes({
    advertise: () => {},
    advertisePaths: (_peer, _prefix, { only }: Paths) => {
      found = `${only?.nextHop}${only?.isLastResort === true ? " last" : ""}`;
    },
    withdraw: () => {},
  });
  const [placement] = bench.state.placements.get("192.0.2.1") ?? [];
  if (placement !== undefined && isByBgp(placement)) told.set(placement.address, placement.routes);
  return found;
}

const key = "10.0.0.254:179";
const label = (bench: Bench, node: string, labels: Labels, taints: readonly string[] = []) => {
  bench.setNode(node, labels, taints, ipsOf(node));
  bench.settle();
};

function withFailover(): ReturnType<typeof pools> {
  const { config } = parseConfig(`{peers: [${router}], address-pools: [${pool}], failover: {interval: 50ms}}`);
  assert.ok(config);
  return { config, pools: new PoolIndex(config.pools) };
}

/** A router of a rack. */
const rack = (name: string, address: string) =>
  `{name: ${name}, my-asn: 64512, peer-asn: 64513, peer-address: ${address}, node-selectors: [{match-labels: {rack: ${name}}}]}`;

test("a central speaker has sessions with all routers, and announces a path to each node that lives", () => {
  const bench = central();
  assert.deepEqual(
    bench.state.bgp.peers.map((peer) => peer.key),
    [key],
  );
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] });
  bench.membersChanged(["node1", "node3", self]);
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.3"] });
});

test("a tenant that asks for other attributes all the time does not grow a central speaker that serves many nodes", slow, () => {
  const asking = pool.replace("}", ", bgp-advertisements: [{med-from: {annotation: med, min: 0, max: 9999}}]}");
  const bench = central({ text: asking });
  const many = Array.from({ length: 250 }, (_, index) => `node${index + 1}`);
  for (const [index, node] of many.entries()) bench.setNode(node, {}, [], [`10.0.1.${index + 1}`]);
  bench.membersChanged([...many, self]);
  bench.settle();
  for (let med = 0; med < 300; med++) {
    bench.serve("default/web", ["192.0.2.1"], { annotations: { med: `${med}` } }, ready);
    bench.settle();
  }
  const kept = bench.state.bgp.advertisements.values().reduce((sum, { size }) => sum + size, 0);
  assert.ok(kept > 50 && kept * many.length <= 50_000, `${kept}`);
});

test("a router of each node's own has no session, and is refused in words, after all that have one", () => {
  const gateway = "{my-asn: 64512, peer-asn: external, peer-address: gateway}";
  const found = "{name: tors, my-asn: 64512, peer-asn: external, interface: eth0}";
  const told = `{name: told, my-asn: 64512, peer-asn: 64513, password-secret: {name: router-passwords, key: a}, from-node: {peer-address: {label: tor}}}`;
  const twice = "{name: twice, my-asn: 64512, peer-address: 10.0.0.254, from-node: {peer-asn: {label: asn}}}";
  const { peers } = central({ peers: [gateway, found, told, twice, router].join(",\n") }).state.bgp;
  assert.deepEqual(
    peers.map(({ key, peer }) => [key, peer.refusal?.by, peer.discovery, peer.passwordSecret]),
    [
      [key, undefined, undefined, undefined],
      ["gateway:179", "central", undefined, undefined],
      ["router on eth0:179", "central", undefined, undefined],
      ["router by label tor:179", "central", undefined, undefined],
    ],
  );
});

test("both families have the nodes' addresses of that family", () => {
  const bench = central();
  bench.serve("default/six", ["2001:db8::1"], {}, ready);
  bench.settle();
  assert.deepEqual(paths(bench, "2001:db8::1"), { [key]: ["fd00::1", "fd00::2", "fd00::3"] });
  bench.setNode("node2", {}, [], ["10.0.0.2"]);
  bench.settle();
  assert.deepEqual(paths(bench, "2001:db8::1"), { [key]: ["fd00::1", "fd00::3"] });
  for (const node of nodes) bench.setNode(node, {}, [], ["10.0.0.2"]);
  bench.settle();
  assert.deepEqual(bench.state.placements.get("2001:db8::1")?.[0]?.verdicts.get("default/six"), {
    announced: false,
    reason: "noNextHop",
  });
});

test("a next-hop of an advertisement leads to nodes without an address of that family, too", () => {
  const fixed = pool.replace("}", ", bgp-advertisements: [{next-hop-v6: 'fd00::99'}]}");
  for (const externalTrafficPolicy of ["Cluster", "Local"] as const) {
    const bench = central({ text: fixed });
    for (const node of nodes) bench.setNode(node, {}, [], [`10.0.0.${node.slice(-1)}`]);
    bench.serve("default/six", ["2001:db8::1"], { externalTrafficPolicy }, ready);
    bench.settle();
    const [placement] = bench.state.placements.get("2001:db8::1") ?? [];
    assert.deepEqual(placement?.verdicts.get("default/six"), { announced: true }, externalTrafficPolicy);
    assert.deepEqual(paths(bench, "2001:db8::1"), { [key]: ["itself"] });
  }
});

test("under Local the nodes with a ready endpoint are next hops", () => {
  const bench = central();
  bench.serve("default/web", ["192.0.2.1"], { externalTrafficPolicy: "Local" }, { node1: true, node2: false, node3: true });
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.3"] });
  label(bench, "node1", { [excludeLabel]: "" });
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.3"] });
  bench.membersChanged(["node1", "node2", self]);
  bench.settle();
  assert.deepEqual(bench.state.placements.get("192.0.2.1")?.[0]?.verdicts.get("default/web"), {
    announced: false,
    reason: "noReadyEndpointOnActiveNode",
  });
});

test("drained nodes go while others are left, excluded and shut down ones go at once", () => {
  const bench = central({ hasRing: false });
  label(bench, "node1", { [drainLabel]: "" });
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.2", "10.0.0.3"] });
  label(bench, "node2", { [excludeLabel]: "" });
  label(bench, "node3", {}, ["node.kubernetes.io/out-of-service"]);
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1"] });
});

/** Each node says which packets it does not deliver. */
function hear(bench: Bench, say: (node: string, state: GossipNode["state"]) => void): void {
  const own = new GossipNode(self);
  for (const name of nodes) {
    const other = new GossipNode(name);
    other.state.participate();
    say(name, other.state);
    bench.runner.dispatch({ type: "member", change: "joined", node: name, incarnation: 0, life: 1, macs: [] });
    own.join({ name });
    bench.runner.dispatch({ type: "gossip", entries: own.store.merge(other.payload(), 0) });
  }
  bench.settle();
}

const marking = router.replace("}", ", drain-when-cordoned: true}");
const cordon = (bench: Bench, node: string, isCordoned = true) => {
  bench.setNode(node, {}, [], ipsOf(node), isCordoned);
  bench.settle();
};

test("paths to a cordoned node are the last resort of peers with drain-when-cordoned, until it is uncordoned", () => {
  const bench = central({ peers: [marking, other].join() });
  const all = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
  const sorted = () => Object.fromEntries(Object.entries(paths(bench)).map(([peer, hops]) => [peer, [...hops].sort()]));
  cordon(bench, "node2");
  assert.deepEqual(sorted(), { [key]: ["10.0.0.1", "10.0.0.2 last", "10.0.0.3"], "10.0.0.253:179": all });
  cordon(bench, "node1");
  cordon(bench, "node3");
  assert.deepEqual(sorted(), { [key]: all.map((hop) => `${hop} last`), "10.0.0.253:179": all }, "nobody else is left");
  for (const node of nodes) cordon(bench, node, false);
  assert.deepEqual(sorted(), { [key]: all, "10.0.0.253:179": all });
});

test("a central speaker that has lost the API knows a cordoned node by the word of the node's speaker", () => {
  const bench = central({ peers: marking });
  cordon(bench, "node2");
  const before = paths(bench);
  assert.deepEqual(before[key]?.toSorted(), ["10.0.0.1", "10.0.0.2 last", "10.0.0.3"]);
  const untainted = { exists: true, isOutOfService: false, isNotReady: false, isWithoutNetwork: false, labels: new Map() };
  hear(bench, (name, state) => state.setTraits({ ...untainted, isCordoned: name === "node2" }));
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(3_000);
  bench.settle();
  assert.deepEqual([paths(bench), bench.state.apiView.view], [before, "behind"]);
});

test("a router without ADD-PATH is led to a cordoned node where all are", () => {
  const bench = central({ peers: marking });
  const only = () => onlyPath(bench);
  const first = only();
  const node = nodes.find((name) => `${ipsOf(name)[0]}` === first) ?? assert.fail();
  cordon(bench, node);
  assert.notEqual(only(), first);
  for (const each of nodes) cordon(bench, each);
  assert.equal(only(), `${first} last`);
});

test("what does not lead to nodes is as good while one is cordoned, and so is a node of weight", () => {
  const advertised = (fields: string) => pool.replace("}", `, bgp-advertisements: [{${fields}}]}`);
  const fixed = central({ text: advertised("next-hop: 10.0.0.99"), peers: marking });
  cordon(fixed, "node2");
  assert.deepEqual(paths(fixed), { [key]: ["itself"] });
  const weighed = central({ text: advertised("weight: endpoints"), peers: marking });
  cordon(weighed, "node2");
  assert.deepEqual(paths(weighed)[key]?.toSorted(), ["10.0.0.1 125000000", "10.0.0.2 125000000 last", "10.0.0.3 125000000"]);
});

test("a node that cannot deliver goes while another can", () => {
  const bench = central();
  hear(bench, (name, state) => state.setUndelivered(name === "node2" ? ["IPv4"] : []));
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.3"] });
});

test("a drained node is a next hop where no other one delivers, and not where it does not either", () => {
  const bench = central();
  label(bench, "node1", { [drainLabel]: "" });
  hear(bench, (name, state) => state.setUndelivered(name === "node1" ? [] : ["IPv4"]));
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1"] });
  hear(bench, (_, state) => state.setUndelivered(["IPv4"]));
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.2", "10.0.0.3"] });
});

test("a node whose kube-proxy does not serve a Local Service is no next hop for it, where another one with a Pod is", () => {
  const bench = central();
  for (const [of, left] of [
    [{ node1: true, node2: true }, ["10.0.0.1"]],
    [{ node1: false, node2: true }, ["10.0.0.2"]],
  ] as const) {
    bench.serve("default/web", ["192.0.2.1"], { externalTrafficPolicy: "Local" }, of);
    hear(bench, (name, state) => state.setUndeliveredAt(address("192.0.2.1"), name === "node2"));
    assert.deepEqual(paths(bench), { [key]: left });
  }
});

test("peers with node-selectors get paths to these nodes, and advertisements with them lead to theirs", () => {
  const bench = central({ peers: [router, rack("a", "10.0.1.1"), rack("b", "10.0.2.1")].join() });
  label(bench, "node1", { rack: "a" });
  label(bench, "node2", { rack: "b" });
  assert.deepEqual(paths(bench), {
    [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
    "10.0.1.1:179": ["10.0.0.1"],
    "10.0.2.1:179": ["10.0.0.2"],
  });
  const advertisements = "[{node-selectors: [{match-labels: {rack: a}}]}]";
  bench.setConfig(pools(pool.replace("}", `, bgp-advertisements: ${advertisements}}`), router));
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1"] });
});

test("only nodes that an advertisement leads to count as others that serve, and as nodes with an endpoint", () => {
  const edge = pool.replace("}", ", bgp-advertisements: [{node-selectors: [{match-labels: {edge: yes}}]}]}");
  const bench = central({ text: edge });
  label(bench, "node1", { edge: "yes" });
  hear(bench, (name, state) => state.setUndelivered(name === "node1" ? ["IPv4"] : []));
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1"] }, "no other one delivers");
  hear(bench, (_, state) => state.setUndelivered([]));
  label(bench, "node1", { edge: "yes", [drainLabel]: "" });
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1"] }, "no other one is left");
  const says = () => bench.state.placements.get("192.0.2.1")?.[0]?.verdicts.get("default/web");
  assert.deepEqual(says(), { announced: true });
  bench.serve("default/web", ["192.0.2.1"], { externalTrafficPolicy: "Local" }, { node2: true });
  bench.settle();
  assert.deepEqual([paths(bench), says()], [{}, { announced: false, reason: "noPeer" }]);
});

test("with weight: endpoints each path has the endpoints of its node", () => {
  const bench = central({ text: pool.replace("}", ", bgp-advertisements: [{weight: endpoints}]}") });
  bench.serve("default/web", ["192.0.2.1"], { externalTrafficPolicy: "Local" }, { node1: true, node3: true });
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1 125000000", "10.0.0.3 125000000"] });
});

test("an aggregated prefix has the paths of all addresses in it", () => {
  const bench = central({ text: pool.replace("}", ", bgp-advertisements: [{aggregation-length: 28}]}") });
  const local = { externalTrafficPolicy: "Local" } as const;
  bench.serve("default/web", ["192.0.2.1"], local, { node1: true });
  bench.serve("default/other", ["192.0.2.2"], local, { node3: true });
  bench.settle();
  assert.deepEqual(paths(bench, "192.0.2.1", "192.0.2.2"), { [key]: ["10.0.0.1", "10.0.0.3"] });
});

test("without the ring, and without a member in it, nodes live that the API hears of", () => {
  for (const bench of [central({ hasRing: false }), central({ active: [] })]) {
    label(bench, "node2", {}, [unreachable]);
    assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.3"] });
    for (const node of nodes) label(bench, node, {}, [unreachable]);
    assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] }, "the API is cut off from all of them");
  }
});

test("with failover, nodes without a speaker are watched by BFD, and one that was reached and is no more is no next hop", () => {
  for (const bench of [central({ hasRing: false }), central({ active: [] })]) {
    bench.setConfig(withFailover());
    bench.clock.advanceBy(90_000); // Until then a node's speaker may be met, which has BFD's port on this node.
    bench.settle();
    const failed = (...names: readonly string[]) => {
      bench.runner.dispatch({ type: "nodePaths", failed: names });
      bench.settle();
    };
    assert.deepEqual(bench.watched, ["node2 10.0.0.2,node3 10.0.0.3"], "each node but its own");
    failed("node3");
    assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2"] });
    failed("node2", "node3");
    assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] }, "this speaker is the one that is cut off");
    failed("node3");
    label(bench, "node2", {}, [unreachable]);
    assert.deepEqual(paths(bench), { [key]: ["10.0.0.1"] });
    failed();
    assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.3"] });
    bench.setConfig(pools(pool, router));
    assert.deepEqual(bench.watched.slice(1), [""]);
  }
  const bench = central();
  bench.setConfig(withFailover());
  bench.clock.advanceBy(90_000);
  bench.settle();
  assert.deepEqual(bench.watched, [], "the ring knows who lives");
});

test("a speaker on the smaller side of a cut keeps the nodes that the API hears of", () => {
  const bench = central();
  const lose = (node: string) =>
    bench.runner.dispatch({ type: "member", change: "failed", node, incarnation: 0, life: 1, macs: undefined });
  lose("node1");
  bench.membersChanged(["node2", "node3", self]);
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.2", "10.0.0.3"] }, "one of three died");
  lose("node2");
  bench.membersChanged(["node3", self]);
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] });
  label(bench, "node2", {}, [unreachable]);
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.3"] });
});

/** A central speaker that has met some nodes. The API has more, and each has a speaker's Pod. */
function meeting(active: readonly string[], pods: readonly string[] = nodes): Bench {
  const bench = central({ active: [...active] });
  bench.runner.dispatch({ type: "speakerPods", nodes: pods });
  bench.settle();
  return bench;
}

test("after a start, nodes that the ring has not met yet live for a while, if the API hears of them", () => {
  const bench = meeting([]);
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] });
  for (const met of [["node1"], ["node1", "node2"]]) {
    bench.membersChanged([...met, self]);
    bench.settle();
    assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] }, `met: ${met}`);
  }
  label(bench, "node3", {}, [unreachable]);
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2"] }, "one that was dead before the start");
  label(bench, "node3", {});
  bench.clock.advanceBy(80_000);
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] });
  bench.clock.advanceBy(20_000);
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2"] }, "the ring has most of them, and not this one");
});

test("a ring that has met the fewest nodes is cut, and does not say who lives", () => {
  const bench = meeting(["node1"]);
  bench.clock.advanceBy(100_000);
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] });
  bench.membersChanged(["node1", "node2", self]);
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2"] });
  bench.membersChanged(["node2", self]);
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.2"] }, "one that was met and left is gone");
});

test("nodes without a speaker's Pod are none that the ring may still meet", () => {
  const bench = meeting(["node1"], ["node1", "node2"]);
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2"] });
  bench.runner.dispatch({ type: "speakerPods", nodes });
  bench.settle();
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] });
});

test("a node that was never met is better than no path at all", () => {
  const bench = meeting(["node1", "node2"]);
  bench.clock.advanceBy(100_000);
  label(bench, "node1", { [excludeLabel]: "" });
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.2"] });
  label(bench, "node2", { [excludeLabel]: "" });
  assert.deepEqual(paths(bench), { [key]: ["10.0.0.3"] });
});

test("of 100 nodes each address has 64, all nodes have some, and one that dies takes one path of those that led to it", () => {
  const many = Array.from({ length: 100 }, (_, index) => `n${index}`);
  const bench = new Bench(self, { hasRing: true, announceFor: "all", active: [...many, self] });
  for (const [index, node] of many.entries()) bench.setNode(node, {}, [], [`10.0.1.${index}`]);
  bench.setConfig(pools("{name: routed, protocol: bgp, addresses: [192.0.2.0/25]}", router));
  for (let i = 1; i < 100; i++) bench.serve(`default/s${i}`, [`192.0.2.${i}`], {}, { n0: true });
  bench.start();
  bench.settle();
  const all = () => Array.from({ length: 99 }, (_, i) => new Set(paths(bench, `192.0.2.${i + 1}`)[key]));
  const before = all();
  assert.ok(before.every(({ size }) => size === 64));
  assert.equal(before.reduce((union, one) => union.union(one)).size, 100);
  bench.membersChanged([...many.slice(0, 99), self]);
  bench.settle();
  const after = all();
  bench.setConfig(pools("{name: routed, protocol: bgp, addresses: [192.0.2.0/25]}", [router, rack("a", "10.0.1.1")].join()));
  label(bench, "n3", { rack: "a" });
  assert.ok(
    Array.from({ length: 99 }, (_, i) => paths(bench, `192.0.2.${i + 1}`)["10.0.1.1:179"]).every((hops) => hops?.length === 1),
    "a rack has the path to its node, whatever others have",
  );
  for (const [index, now] of after.entries()) {
    const went = before[index]?.difference(now) ?? new Set();
    assert.ok([...went].every((hop) => hop === "10.0.1.99") && now.size === 64, `${[...went]}`);
  }
  bench.setConfig(pools("{name: routed, protocol: bgp, addresses: [192.0.2.0/25]}", marking));
  for (const [index, node] of many.entries()) bench.setNode(node, {}, [], [`10.0.1.${index}`], index >= 20);
  bench.settle();
  const hops = paths(bench, "192.0.2.1")[key] ?? [];
  const preferred = hops.filter((hop) => !hop.endsWith("last"));
  assert.deepEqual([hops.length, preferred.length], [64, 20], "cordoned nodes come after all others");
});

test("a turn places as many addresses as have 2,000 paths to routers together", () => {
  const many = Array.from({ length: 64 }, (_, index) => `n${index}`);
  const bench = new Bench(self, { hasRing: true, announceFor: "all", active: [...many, self] });
  for (const [index, node] of many.entries()) bench.setNode(node, {}, [], [`10.0.1.${index}`]);
  bench.setConfig(pools("{name: routed, protocol: bgp, addresses: [192.0.2.0/25]}", [router, other].join()));
  for (let i = 1; i < 100; i++) bench.serve(`default/s${i}`, [`192.0.2.${i}`], {}, { n0: true });
  bench.start();
  bench.proceed();
  assert.equal(bench.state.placements.size, 16, "128 paths each: the last one may go beyond");
  bench.settle();
  assert.equal(bench.state.placements.size, 99);
});

test("it owns nothing on layer 2, puts nothing into the kernel, and is no node to the others", () => {
  const more = [
    "{name: lan, protocol: layer2, addresses: [10.0.9.0/28]}",
    "{name: kernel, protocol: interface, addresses: [10.0.8.0/28]}",
  ];
  const bench = central({ text: [pool, ...more].join() });
  bench.serve("default/lan", ["10.0.9.1"], {}, ready);
  bench.serve("default/kernel", ["10.0.8.1"], {}, ready);
  bench.settle();
  assert.deepEqual([bench.onWire, bench.kernel.get("10.0.8.1") ?? []], [[], []]);
  const node = new Bench("node1", { hasRing: true, announceFor: "node-without-bgp", active: ["node1", self] });
  node.setConfig(pools(pool, router));
  node.serve("default/web", ["192.0.2.1"], {}, ready);
  node.start();
  node.settle();
  assert.deepEqual([node.state.members.active, node.state.members.central], [["node1"], [self]]);
  assert.deepEqual([node.state.bgp.peers, paths(node)], [[], {}]);
});
