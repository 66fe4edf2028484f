import assert from "node:assert/strict";
import { test } from "node:test";
import { amongOthers, Bench, loser, owner, pools, x } from "../../testing/speaker-bench.ts";
import { serviceView } from "../verdicts/address-verdict.ts";

const preferring = (more = "") =>
  `{name: lan, protocol: layer2, addresses: [192.0.2.0/28], preferred-nodes: [{weight: 100, match-labels: {edge: "true"}}, {weight: 30, match-labels: {ssd: "true"}}]${more}}`;

function evidence(bench: Bench): string[] {
  const view = serviceView(bench.state, "default/web", new Map());
  return view?.addresses[0]?.verdict.evidence.map(({ name, value }) => `${name}: ${value}`) ?? [];
}

test("an address goes to the node with the highest sum, and back to the hash when no label tells nodes apart", () => {
  const bench = Bench.announcing(owner);
  bench.setConfig(pools(preferring()));
  bench.settle();
  assert.deepEqual(bench.onWire, [x]);
  bench.setNode(owner, { ssd: "true" });
  bench.setNode(loser, { edge: "true" });
  bench.settle();
  assert.deepEqual(bench.onWire, []);
  assert.match(bench.reported.at(-1) ?? "", /"serviceWithdrawn".*"reason":"nodeNotPreferred"/);
  assert.deepEqual(evidence(bench), [
    `owner: ${loser}`,
    "candidates: node1, node2, node3",
    `preferred: ${loser}`,
    `${owner}: it could announce the address, and the pool prefers its owner`,
  ]);
  bench.membersChanged(bench.active.filter((node) => node !== loser));
  bench.settle();
  assert.deepEqual(bench.onWire, [x], "the next one");
  bench.membersChanged(["node1", "node2", "node3"]);
  bench.setNode(owner, {});
  bench.setNode(loser, {});
  bench.settle();
  assert.deepEqual(bench.onWire, [x]);
});

test("a label that no preference asks for, or one of a node without a speaker, is no work", () => {
  const bench = Bench.announcing(owner);
  bench.setConfig(pools(preferring()));
  bench.settle();
  const { wakes } = bench;
  bench.setNode(owner, { zone: "b" });
  bench.setNode("node9", { edge: "true" });
  assert.equal(bench.wakes, wakes);
});

test("sticky: an address stays at its owner when another node becomes preferred, until the nodes have been the same for long", () => {
  const { bench, others, hear } = amongOthers(owner, preferring(", l2-placement: sticky"));
  bench.state.members.active = bench.active;
  for (const { name } of others)
    bench.runner.dispatch({ type: "member", change: "failed", node: name, incarnation: 0, life: 1, macs: undefined });
  bench.membersChanged([owner]);
  bench.settle();
  assert.deepEqual(bench.onWire, [x]);
  for (const { name } of others)
    bench.runner.dispatch({ type: "member", change: "joined", node: name, incarnation: 1, life: 1, macs: undefined });
  bench.membersChanged(["node1", "node2", "node3"]);
  hear();
  bench.setNode(loser, { edge: "true" });
  bench.settle();
  bench.clock.advanceBy(4 * 60_000);
  bench.runner.dispatch({ type: "timer", chance: 0.5 });
  bench.settle();
  assert.ok(bench.gossip.owners(x).includes(owner));
  assert.deepEqual(bench.onWire, [x]);
});
