import assert from "node:assert/strict";
import { test } from "node:test";
import { GossipStore } from "#pkg/gossip";
import { GossipNode } from "#pkg/gossip/testing";
import { drainLabel, nodeTerms } from "#pkg/placement";
import { Bench, eth0, pools } from "../../testing/speaker-bench.ts";

const names = Array.from({ length: 40 }, (_, index) => `node${String(index).padStart(2, "0")}`);
const [self = ""] = names;
const many = Array.from({ length: 50 }, (_, index) => `{name: p${index}, protocol: layer2, addresses: [10.0.${index}.0/24]}`);

/** A speaker among forty, with fifty pools that are alike, and an address of each. */
function amongMany() {
  const bench = new Bench(self, { hasRing: true, active: names, isSynced: true });
  const store = new GossipStore(self, 1);
  const others = names.slice(1).map((name) => new GossipNode(name));
  for (const { name, state } of others) {
    store.joined(name, 1);
    bench.runner.dispatch({ type: "member", change: "joined", node: name, incarnation: 0, life: 1, macs: undefined });
    state.participate();
    state.setReachability({ answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", []]]) });
  }
  const hear = () => {
    for (const other of others) bench.runner.dispatch({ type: "gossip", entries: store.merge(other.payload(), 0) });
  };
  hear();
  bench.setInterfaces(eth0);
  bench.setConfig(pools(many.join()));
  for (const index of many.keys()) bench.serve(`default/s${index}`, [`10.0.${index}.1`]);
  bench.start();
  bench.settle();
  let looked = 0;
  const { labels } = bench.state.nodes;
  const get = labels.get.bind(labels);
  labels.get = (node) => {
    looked++;
    return get(node);
  };
  const lookedBy = (act: () => void): number => {
    looked = 0;
    act();
    bench.settle();
    return looked;
  };
  return { bench, others, hear, lookedBy };
}

test("another address of this node's, in no other subnet, has no node looked at again", () => {
  const { bench, lookedBy } = amongMany();
  const interfaces = { ...eth0, addresses: [...eth0.addresses, "fe80::77/64"] };
  assert.equal(
    lookedBy(() => bench.setInterfaces(interfaces)),
    0,
  );
});

test("one node's other interface has each node looked at a few times, and not once for each of many pools that are alike", () => {
  const { bench, others, hear, lookedBy } = amongMany();
  const [other] = others;
  assert.equal(bench.state.nodes.pools.size, many.length);
  const looked = lookedBy(() => {
    other?.state.setReachability({ answers: false, hasKernelAccess: true, interfaces: new Map() });
    hear();
  });
  assert.ok(looked > 0 && looked < 10 * names.length, `${looked}`);
  assert.ok(bench.state.nodes.pools.values().every(({ eligible }) => !eligible.includes(other?.name ?? "")));
  assert.equal(new Set(bench.state.nodes.pools.values().map(({ pool }) => pool)).size, many.length);
});

test("each node is asked a few times whether it knows of drained nodes, however many are drained, and however many pools there are", () => {
  const { bench, others } = amongMany();
  const { gossip } = bench.state.members;
  assert.ok(gossip);
  const knowsDrain = gossip.knowsDrain.bind(gossip);
  let asked = 0;
  gossip.knowsDrain = (node) => {
    asked++;
    return knowsDrain(node);
  };
  for (const { name } of others.slice(0, 20)) {
    asked = 0;
    bench.setNode(name, { [drainLabel]: "" });
    bench.settle();
    assert.ok(asked > 0 && asked < 10 * names.length, `${asked}`);
  }
  assert.ok(bench.state.nodes.pools.values().every(({ drained }) => drained.length === 20));
});

test("of pools that differ in what they ask of nodes a turn looks at few, in a large ring", () => {
  const active = Array.from({ length: 800 }, (_, index) => `node${index}`);
  const bench = new Bench("node0", { active, isSynced: true });
  for (const name of active) bench.setNode(name, { "kubernetes.io/hostname": name });
  bench.setInterfaces(eth0);
  const differing = many.map((text, index) => text.replace("}", `, node-selectors: [{match-labels: {n: "${index}"}}, {}]}`));
  bench.setConfig(pools(differing.join()));
  for (const index of many.keys()) bench.serve(`default/s${index}`, [`10.0.${index}.1`]);
  const { pools: known } = bench.state.nodes;
  bench.start();
  let most = 0;
  for (bench.wakes = 1; bench.wakes > 0; ) {
    bench.wakes = 0;
    const before = known.size;
    bench.proceed();
    most = Math.max(most, known.size - before);
  }
  assert.equal(known.size, many.length);
  assert.ok(most > 0 && most * active.length <= 25_000, `${most} pools in one turn`);
});

test("pools are alike where their addresses differ, and not where anything does by which nodes are chosen", () => {
  const variants = [
    "",
    "node-selectors: [{match-labels: {a: b}}]",
    "node-selectors: [{match-labels: {a: c}}]",
    "node-selectors: [{match-labels: {a: b}}, {match-labels: {a: c}}]",
    "node-selectors: [{match-expressions: [{key: a, operator: Exists}]}]",
    "node-selectors: [{match-expressions: [{key: a, operator: In, values: [b]}]}]",
    "preferred-nodes: [{weight: 1, match-labels: {a: b}}]",
    "preferred-nodes: [{weight: 2, match-labels: {a: b}}]",
    "interfaces: [eth0]",
    "interfaces: [eth1]",
    "l2-placement: sticky",
    "l2-placement: subnet",
    "keep-connections: true",
    "announce-when: alive",
  ];
  const termsOf = (fields: string, addresses: string) => {
    const [pool] = pools(`{name: p${addresses}, protocol: layer2, addresses: [${addresses}]${fields && `, ${fields}`}}`).config
      .pools;
    assert.ok(pool);
    return nodeTerms(pool);
  };
  const terms = variants.map((fields) => termsOf(fields, "10.0.0.0/24"));
  assert.equal(new Set(terms).size, variants.length);
  assert.deepEqual(
    variants.map((fields) => termsOf(fields, "10.0.1.0/24")),
    terms,
  );
});
