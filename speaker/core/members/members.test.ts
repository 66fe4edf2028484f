import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { amongOthers, Bench, eth0, excluded, loser, nodes, owner, pools, x } from "../../testing/speaker-bench.ts";
import type { MemberEvents } from "../events.ts";
import type { MacTable } from "../state.ts";
import { learnMacs, nodeOfMac, viewUncertainty } from "./members.ts";

type Change = Extract<MemberEvents, { readonly type: "member" }>["change"];

/** The view of node `self`, of whose members something happens. */
function bench() {
  const one = new Bench("self", { hasRing: true });
  one.membersChanged([]);
  const happen = (change: Change, node: string) =>
    one.runner.dispatch({ type: "member", change, node, incarnation: 1, life: 1, macs: undefined });
  return { clock: one.clock, happen, forget: (node: string) => one.setNode(node, undefined), state: one.state };
}

test("each member that fails makes the view less certain, until some time after it is back", () => {
  const { clock, happen, state } = bench();
  for (const node of ["a", "b"]) happen("failed", node);
  happen("joined", "a");
  clock.advanceBy(9_000);
  happen("joined", "b"); // The wait begins again: the cut may heal in parts.
  clock.advanceBy(9_000);
  assert.equal(viewUncertainty(state.members), 2);
  clock.advanceBy(1_000);
  assert.deepEqual([viewUncertainty(state.members), state.members.settledAt], [0, Infinity]);
});

test("one that is back, and does not report, is asked for its gossip less and less often", () => {
  const { bench, others } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/24]}");
  const [{ name: node } = assert.fail()] = others;
  for (const change of ["failed", "joined"] as const)
    bench.runner.dispatch({ type: "member", change, node, incarnation: 1, life: 1, macs: undefined });
  const since = bench.clock.now();
  const asked: number[] = [];
  const { onStep } = bench.runner;
  bench.runner.onStep = (input, effects) => {
    onStep?.(input, effects);
    for (const effect of effects) if (effect.type === "pullGossip") asked.push(bench.clock.now() - since);
  };
  for (let passed = 0; passed < 900_000; passed += 500) {
    bench.clock.advanceBy(500);
    bench.settle();
  }
  assert.deepEqual(asked, [500, 2_500, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 620_000]);
});

test("one that fails again while it is waited for is lost", () => {
  const { clock, happen, state } = bench();
  for (const change of ["failed", "joined", "failed"] as const) happen(change, "a");
  clock.advanceBy(10_000);
  assert.equal(viewUncertainty(state.members), 1);
});

test("one that leaves, or whose Node is deleted, is not missed", () => {
  const { happen, forget, state } = bench();
  for (const node of ["a", "b"]) happen("failed", node);
  happen("left", "a");
  forget("b");
  assert.equal(viewUncertainty(state.members), 0);
  happen("suspected", "c");
  happen("refuted", "c");
  forget("c");
  assert.deepEqual([viewUncertainty(state.members), state.members.settledAt], [0, Infinity]);
});

test("one whose Node was deleted while it was a member is forgotten when it dies", () => {
  const { bench, others } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  const [gone, kept] = others.map(({ name }) => name);
  assert.ok(gone !== undefined && kept !== undefined);
  const happen = (change: Change, node: string) =>
    bench.runner.dispatch({ type: "member", change, node, incarnation: 1, life: 1, macs: undefined });
  for (const node of [gone, kept]) bench.setNode(node, undefined);
  bench.setNode(kept, {}); // It is there again.
  for (const node of [gone, kept]) happen("failed", node);
  assert.equal(viewUncertainty(bench.state.members), 1);
  for (const node of [gone, kept]) happen("joined", node);
  assert.deepEqual([bench.gossip.isAwaited(gone), bench.gossip.isAwaited(kept)], [false, true]);
});

test("a Node that is deleted before the list of members follows the ring is forgotten where its member has failed, and kept where it has joined", () => {
  const { bench, others } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  const [gone = assert.fail(), kept = assert.fail()] = others.map(({ name }) => name);
  const happen = (change: Change, node: string) =>
    bench.runner.dispatch({ type: "member", change, node, incarnation: 1, life: 1, macs: undefined });
  happen("joined", gone);
  happen("failed", gone);
  bench.setNode(gone, undefined);
  assert.equal(viewUncertainty(bench.state.members), 0);
  happen("joined", gone);
  assert.equal(bench.gossip.isAwaited(gone), false);
  bench.membersChanged([]);
  happen("failed", kept);
  happen("joined", kept);
  bench.setNode(kept, undefined);
  assert.equal(bench.gossip.isAwaited(kept), true);
});

test("to have been suspected outweighs any number of lost members, for some time", () => {
  const { clock, happen, state } = bench();
  happen("failed", "a");
  happen("refuted", "self");
  assert.equal(viewUncertainty(state.members), 0x8001);
  clock.advanceBy(10_000);
  assert.equal(viewUncertainty(state.members), 1);
});

/** The addresses that the loser announces while the owner is away, starts, has started, and starts once more. */
function whileOneStarts(pool: string, labels: Readonly<Record<string, string>> = {}) {
  const { bench } = amongOthers(loser, `{name: lan, protocol: layer2, addresses: [192.0.2.0/28], ${pool}}`);
  const see = (active: readonly string[], starting: readonly string[] = []) => {
    bench.membersChanged(active, [], starting);
    bench.clock.advanceBy(60_000);
    bench.settle();
    return bench.onWire.join();
  };
  bench.setNode(owner, labels);
  const both = [loser, owner].sort();
  return [see([loser]), see(both, [owner]), see(both), see(both, [owner])];
}

test("a node leaves its address to a speaker that joins when that one announces what it is to, and takes over from one that starts again", () => {
  assert.deepEqual(whileOneStarts("conflict-probe: off"), [x, x, "", x]);
});

test("speakers that start together each take what they are to have, and nothing of one another's", () => {
  const { bench } = amongOthers(loser, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}", "", (one) =>
    one.membersChanged([loser, owner].sort(), [], [owner]),
  );
  const both = [loser, owner].sort();
  assert.deepEqual(bench.onWire, []);
  const see = (starting: readonly string[]) => {
    bench.membersChanged(both, [], starting);
    bench.settle();
    return bench.onWire.join();
  };
  assert.deepEqual([see([owner]), see([]), see([owner])], ["", "", x], "until it starts once more");
});

test("a speaker tells the others that it announces what it is to when it has placed all, or a second later", () => {
  for (const passed of [0, 999, 1_000]) {
    const bench = new Bench("node1", { hasRing: true });
    bench.setInterfaces(eth0);
    bench.setConfig(pools("{name: lan, protocol: layer2, addresses: [10.0.0.0/16]}"));
    for (let i = 0; i < 500; i++) bench.serve(`default/s${i}`, [`10.0.${i >> 8}.${i & 255}`]);
    bench.start();
    bench.proceed();
    assert.equal(bench.state.isTold, false);
    bench.clock.advanceBy(passed);
    bench.proceed();
    assert.equal(bench.state.isTold, passed === 1_000);
    bench.settle();
    assert.equal(bench.state.isTold, true);
  }
});

test("a node leaves its address at once to a speaker that starts where that one alone may have it, or connections are passed on to it", () => {
  assert.deepEqual(whileOneStarts("node-selectors: [{match-labels: {disk: ssd}}]", { disk: "ssd" }), ["", "", "", ""]);
  assert.deepEqual(whileOneStarts("keep-connections: true"), [x, "", "", ""]);
});

test("while another node asks about an address, this one reports whether it announces it", () => {
  const { bench, others, hear } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  const [asker] = others;
  assert.ok(asker);
  const announcers = () => bench.gossip.announcers(x);
  for (const isAsked of [true, false, true]) {
    asker.state.ask(address(x), isAsked);
    hear();
    assert.deepEqual(announcers(), isAsked ? [owner] : []);
  }
  bench.endpoints("default/web", {});
  bench.proceed();
  assert.deepEqual([bench.onWire, announcers()], [[], []]);
  bench.endpoints("default/web", { node1: true });
  bench.proceed();
  assert.deepEqual([bench.onWire, announcers()], [[x], [owner]]);
});

const [two, three] = ["02:00:00:00:00:02", "02:00:00:00:00:03"];

test("a MAC address is the node's that said so last, also after that failed, and nobody else's", () => {
  const table: MacTable = { macs: new Map(), nodes: new Map() };
  const nodes = () => [nodeOfMac(table, two), nodeOfMac(table, three)];
  learnMacs(table, "node2", [two, three]);
  assert.deepEqual(nodes(), ["node2", "node2"]);
  learnMacs(table, "node2", [three]);
  assert.deepEqual(nodes(), [undefined, "node2"]);
  learnMacs(table, "node3", [three]);
  learnMacs(table, "node2", []);
  assert.deepEqual(nodes(), [undefined, "node3"]);
});

test("of nodes that come and go the last 5,000 are known", () => {
  const table: MacTable = { macs: new Map(), nodes: new Map() };
  for (let i = 0; i <= 5_000; i++) learnMacs(table, `node${i}`, [`mac${i}`]);
  assert.deepEqual([nodeOfMac(table, "mac0"), nodeOfMac(table, "mac1"), table.macs.size], [undefined, "node1", 5_000]);
});

test("of nodes that come and go for years five thousand are known as gone, with their labels", () => {
  const { happen, state } = bench();
  const { followed, labels } = state.nodes;
  followed.names = ["self"];
  for (let index = 0; index < 6_000; index++) labels.set(`node${index}`, { size: "large" }); // As their speakers tell.
  for (let index = 0; index < 6_000; index++)
    for (const change of ["joined", index % 2 === 0 ? "left" : "failed"] as const) happen(change, `node${index}`);
  const { missing, lost } = state.members;
  assert.deepEqual([missing.size, lost.size, missing.has("node999"), missing.has("node1000")], [5_000, 3_000, false, true]);
  assert.deepEqual([labels.has("node999"), labels.has("node1000")], [false, true]);
  for (let index = 6_000; index < 12_000; index++)
    for (const change of ["joined", "failed"] as const) happen(change, `node${index}`);
  assert.deepEqual([missing.size, lost.size, missing.has("node11999")], [5_000, 5_000, true]);
});

test("in a large ring, where nobody tells that a Node was deleted, a member that failed a day ago is lost no longer, unless frames tell of it", () => {
  for (const isLarge of [true, false]) {
    const { clock, happen, state } = bench();
    if (isLarge) state.nodes.followed.names = ["self"];
    for (let day = 0; day < 30; day++) {
      happen("failed", `node${day}`);
      if (day === 3) state.nodes.followed.asked.add("node3");
      clock.advanceBy(24 * 60 * 60_000);
    }
    assert.deepEqual([...state.members.lost].length, isLarge ? 2 : 30);
    assert.equal(viewUncertainty(state.members), state.members.lost.size);
    assert.ok(state.members.lost.has("node3"));
  }
});

test("after a crash each day the nodes of a large ring still say that no node may announce a Service", () => {
  const said = nodes.flatMap((node) => {
    const { bench } = amongOthers(node, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
    bench.state.nodes.followed.names = [node];
    for (let day = 0; day < 5; day++) {
      const crashed = { change: "failed", node: `crashed${day}`, incarnation: 1, life: 1, macs: undefined } as const;
      bench.runner.dispatch({ type: "member", ...crashed });
      bench.clock.advanceBy(24 * 60 * 60_000);
    }
    for (const each of nodes) bench.setNode(each, excluded);
    bench.settle();
    return bench.reported.filter((line) => line.startsWith("nodeExcluded default/web"));
  });
  assert.equal(said.length, 1, said.join());
});
