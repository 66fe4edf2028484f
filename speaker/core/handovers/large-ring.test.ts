import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { Bench, eth0, excluded, pools } from "../../testing/speaker-bench.ts";

const count = 300;
const names = Array.from({ length: 500 }, (_, index) => `node${String(index).padStart(3, "0")}`);
const [self = ""] = names;
const former = names.at(-1) ?? "";
const macOf = (index: number) =>
  `02:00:00:00:${(index >> 8).toString(16).padStart(2, "0")}:${(index & 255).toString(16).padStart(2, "0")}`;

/** One of two nodes that a pool which keeps connections chooses among hundreds; it hands packets of all addresses to the other one. */
function handingOver(): Bench {
  const bench = new Bench(self, { hasRing: true, active: names, isSynced: true });
  bench.setInterfaces({ ...eth0, addresses: ["10.0.255.101/16"] });
  const selectors = "node-selectors: [{match-labels: {disk: ssd}}]";
  bench.setConfig(pools(`{name: lan, protocol: layer2, keep-connections: true, ${selectors}, addresses: [10.0.0.0/16]}`));
  for (const node of [self, former]) bench.setNode(node, { disk: "ssd" });
  for (let index = 0; index < count; index++)
    bench.serve(`default/s${index}`, [`${address(`10.0.${index >> 8}.${index & 255}`)}`]);
  bench.start();
  bench.clock.advanceBy(40_000);
  bench.settle();
  bench.setNode(former, { disk: "ssd", ...excluded });
  bench.settle();
  assert.ok(bench.state.handovers.current.size > count / 4, `${bench.state.handovers.current.size}`);
  return bench;
}

test("a look at the handovers of hundreds of addresses does not go through the list of members for each of these", () => {
  const bench = handingOver();
  let searched = 0;
  const { active } = bench.state.members;
  Object.assign(active, { includes: (node: string) => ++searched > 0 && active.indexOf(node) >= 0 });
  bench.runner.dispatch({ type: "member", change: "suspected", node: former, incarnation: 0, life: 1, macs: undefined });
  bench.clock.advanceBy(0);
  assert.ok(searched < 10, `${searched}`);
});

test("hundreds of members to which something happens at once are looked at together, and their MAC addresses are told once", () => {
  const bench = handingOver();
  bench.clock.advanceBy(1_000);
  let told = 0;
  const { agenda } = bench.state.handovers;
  let looked = 0;
  Object.assign(agenda, { add: (key: string) => ++looked > 0 && Set.prototype.add.call(agenda, key) });
  Object.defineProperty(bench, "speakers", { set: () => told++ });
  const join = (index: number, macs: readonly string[]) =>
    bench.runner.dispatch({ type: "member", change: "updated", node: names[index] ?? "", incarnation: 0, life: 1, macs });
  for (let index = 1; index < names.length; index++) join(index, [macOf(index)]);
  bench.clock.advanceBy(0);
  assert.equal(told, 1);
  assert.ok(looked > 0 && looked <= count, `${looked}`);
  assert.deepEqual(bench.state.handovers.speakers.split(",").length, names.length - 1);
});
