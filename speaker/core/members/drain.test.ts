import assert from "node:assert/strict";
import { test } from "node:test";
import { drainLabel, type Labels } from "#pkg/placement";
import { amongOthers, type Bench, excluded, loser, nodes, owner, x } from "../../testing/speaker-bench.ts";

const drained: Labels = { [drainLabel]: "" };
const cordonTaint = "node.kubernetes.io/unschedulable";
const layer2 = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";
const sticky = layer2.replace("}", ", l2-placement: sticky}");
const byBgp = "{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}";
const router = "{my-asn: 64512, peer-asn: 64513, peer-address: 203.0.113.1, graceful-shutdown-time: 5s}";

function label(bench: Bench, node: string, labels: Labels, taints: string[] = []): void {
  bench.setNode(node, labels, taints);
  bench.settle();
}

test("a drained node gives its addresses to others, and takes them back afterwards", () => {
  const { bench } = amongOthers(owner, layer2);
  label(bench, owner, drained);
  assert.deepEqual(bench.onWire, []);
  label(bench, owner, {});
  assert.deepEqual(bench.onWire, [x]);
});

test("sticky addresses leave a drained node, and stay where they went", () => {
  const rings = nodes.map((node) => amongOthers(node, sticky));
  const { bench } = rings.find((ring) => ring.bench.onWire.includes(x)) ?? assert.fail();
  const { node } = bench.state;
  label(bench, node, drained);
  assert.deepEqual(bench.onWire, []);
  const next = rings.find(
    (ring) => ring.bench.state.node !== node && bench.state.placements.get(x)?.[0]?.owner === ring.bench.state.node,
  );
  assert.notEqual(next, undefined);
});

test("drained nodes keep what no other node can have", () => {
  const { bench } = amongOthers(owner, layer2);
  for (const node of nodes) label(bench, node, drained);
  assert.deepEqual(bench.onWire, [x]);
  for (const node of nodes) if (node !== owner) label(bench, node, excluded);
  assert.deepEqual(bench.onWire, [x]);
  label(bench, loser, {});
  assert.deepEqual(bench.onWire, []);
});

test("a Local Service stays at its only endpoint, and goes with it", () => {
  const { bench } = amongOthers(owner, layer2);
  bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [owner]: true });
  label(bench, owner, drained);
  assert.deepEqual(bench.onWire, [x]);
  bench.endpoints("default/web", { [owner]: true, [loser]: true });
  bench.settle();
  assert.deepEqual(bench.onWire, []);
});

const meanings: { labels: Labels; taints: string[]; isDrained: boolean }[] = [
  { labels: { [drainLabel]: "true" }, taints: [], isDrained: true },
  { labels: { [drainLabel]: "false" }, taints: [cordonTaint], isDrained: false },
  { labels: { [drainLabel]: "when-cordoned" }, taints: [], isDrained: false },
  { labels: { [drainLabel]: "when-cordoned" }, taints: [cordonTaint], isDrained: true },
  { labels: {}, taints: [cordonTaint], isDrained: false },
];
for (const { labels, taints, isDrained } of meanings)
  test(`${JSON.stringify(labels)} and taints ${taints}: ${isDrained ? "drained" : "in use"}`, () => {
    const { bench } = amongOthers(owner, layer2);
    label(bench, owner, labels, taints);
    assert.deepEqual(bench.onWire, isDrained ? [] : [x]);
  });

test("beside a speaker that knows nothing of it a node is not drained: nobody would announce its addresses", () => {
  const { bench } = amongOthers(owner, layer2);
  label(bench, owner, drained);
  bench.membersChanged([...nodes], [loser]);
  bench.settle();
  assert.deepEqual(bench.onWire, [x]);
  bench.membersChanged([...nodes]);
  bench.settle();
  assert.deepEqual(bench.onWire, []);
  const withoutTheBit = Uint8Array.of(1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  bench.runner.dispatch({ type: "gossip", entries: [{ node: loser, life: 1, key: "h", version: 9, value: withoutTheBit }] });
  bench.settle();
  assert.deepEqual(bench.onWire, [x]);
});

/** A speaker with a session whose routes others deliver too, and whether its peers are to prefer others. */
function advertising(delivery: "carried" | "noSession") {
  const ring = amongOthers(owner, byBgp, router);
  for (const { state } of ring.others) state.setDeliveries(new Map([["lan", { IPv4: delivery, IPv6: delivery }]]));
  ring.hear();
  ring.bench.settle();
  return ring;
}

test("routes of a drained node are marked for as long as peers ask for, and go then, where another node delivers them", () => {
  const { bench } = advertising("carried");
  label(bench, owner, drained);
  assert.deepEqual([[...bench.routes.keys()], bench.isLeaving], [[x], true]);
  bench.clock.advanceBy(4_999);
  bench.settle();
  assert.deepEqual([...bench.routes.keys()], [x]);
  bench.clock.advanceBy(1);
  bench.settle();
  assert.deepEqual([...bench.routes.keys()], []);
  label(bench, owner, {});
  assert.deepEqual([[...bench.routes.keys()], bench.isLeaving], [[x], false]);
});

test("where no other node delivers them they stay, marked, until one does", () => {
  const { bench, others, hear } = advertising("noSession");
  label(bench, owner, drained);
  bench.clock.advanceBy(10_000);
  bench.settle();
  assert.deepEqual([[...bench.routes.keys()], bench.isLeaving], [[x], true]);
  for (const { state } of others) state.setDeliveries(new Map([["lan", { IPv4: "carried", IPv6: "carried" }]]));
  hear();
  bench.settle();
  assert.deepEqual([...bench.routes.keys()], []);
});

test("routes of a Local Service go with the node's last endpoint", () => {
  const { bench } = advertising("carried");
  bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [owner]: true, [loser]: true });
  label(bench, owner, drained);
  bench.clock.advanceBy(10_000);
  bench.settle();
  assert.deepEqual([...bench.routes.keys()], [x]);
  bench.endpoints("default/web", { [loser]: true });
  bench.settle();
  assert.deepEqual([...bench.routes.keys()], []);
});

test("a Local Service that may not have the address keeps no route of a drained node", () => {
  const { bench } = advertising("carried");
  bench.serve("default/late", [x], { externalTrafficPolicy: "Local", created: 1 }, { [owner]: true, [loser]: true });
  label(bench, owner, drained);
  bench.clock.advanceBy(10_000);
  bench.settle();
  assert.deepEqual([...bench.routes.keys()], []);
});

test("routes of a node that is excluded from load balancers are marked first too, and others keep theirs when they have gone", () => {
  const { bench } = advertising("noSession");
  bench.runner.dispatch({ type: "sessions", carried: new Map([["203.0.113.1:179", ["IPv4"]]]) });
  const told = () => bench.gossip.deliveries(owner, "lan")?.IPv4;
  label(bench, owner, excluded);
  assert.deepEqual([[...bench.routes.keys()], bench.isLeaving, told()], [[x], true, "carried"]);
  bench.clock.advanceBy(5_000);
  bench.settle();
  assert.deepEqual([[...bench.routes.keys()], told()], [[], "noPeer"]);
});

test("routes of a drained node are there before the last other node that delivers them is excluded from load balancers, and has no more", () => {
  const { bench } = advertising("carried");
  for (const node of nodes.filter((other) => other !== owner && other !== loser)) label(bench, node, excluded);
  label(bench, owner, drained);
  bench.clock.advanceBy(5_000);
  bench.settle();
  assert.deepEqual([...bench.routes.keys()], []);
  label(bench, loser, excluded);
  assert.deepEqual([...bench.routes.keys()], [x]);
  label(bench, loser, {});
  assert.deepEqual([...bench.routes.keys()], []);
});
