import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import type { SpeakerEffect } from "./core/effects.ts";
import { createState } from "./core/state.ts";
import { step } from "./core/step.ts";
import { CoreRunner } from "./core-runner.ts";
import { ethernet, PlacementCluster } from "./testing/placement-cluster.ts";

const options = { node: "node1", ignoreExcludeLabel: false, hasRing: true };

function started() {
  const clock = new SimulatedClock();
  const runner = new CoreRunner(clock, () => 0.5);
  const effects: SpeakerEffect[] = [];
  const state = createState(options);
  return { clock, runner, effects, state, start: () => runner.start(state, (effect) => effects.push(effect)) };
}

test("what drivers deliver before the start waits for it, and what they deliver after the end is ignored", () => {
  const { runner, effects, start } = started();
  runner.dispatch({ type: "clusterSynced" });
  assert.deepEqual(effects, []);
  start();
  assert.deepEqual(
    effects.map(({ type }) => type),
    ["startMembers"],
  );
  runner[Symbol.dispose]();
  runner.dispatch({ type: "members", active: ["node1"], withoutGossip: [], isSynced: true });
  assert.equal(effects.length, 1);
});

test("an event that an effect sets off is handled after all effects of the one before", () => {
  const runner = new CoreRunner(new SimulatedClock(), () => 0.5);
  const order: string[] = [];
  runner.start(createState(options), (effect) => {
    order.push(effect.type);
    if (effect.type === "startConfig") runner.dispatch({ type: "start" });
  });
  runner.dispatch({ type: "members", active: ["node1"], withoutGossip: [], isSynced: true });
  order.length = 0;
  runner.dispatch({ type: "clusterSynced" });
  assert.deepEqual(order, ["startMembers", "log", "startConfig", "setGossip"]);
});

test("a timer comes when the next deadline is over", () => {
  const { clock, runner, state, start } = started();
  start();
  runner.recording = [];
  runner.dispatch({ type: "member", change: "failed", node: "node2", incarnation: 1, life: 1, macs: undefined });
  runner.dispatch({ type: "member", change: "joined", node: "node2", incarnation: 2, life: 2, macs: undefined });
  clock.advanceBy(9_999);
  assert.equal(state.members.lost.size, 1);
  clock.advanceBy(1);
  assert.equal(state.members.lost.size, 0);
  assert.ok(runner.recording.some(({ event, now }) => event.type === "timer" && now === 10_000));
});

test("recorded inputs give a fresh state the same effects, whatever happened", async () => {
  const services = Array.from({ length: 12 }, (_, i) => [[`192.0.2.${i}`], [`198.51.100.${i}`, `2001:db8::${i}`]][i % 2] ?? []);
  const pools = (placement: string) =>
    `- {name: lan, protocol: layer2, l2-placement: ${placement}, addresses: [192.0.2.0/24, "2001:db8::/112", 198.51.100.0/24]}\n`;
  for (const placement of ["sticky", "sticky-subnet", "hash"]) {
    const four = new PlacementCluster({ seed: 7, loss: 0.1, pools: pools(placement), services });
    four.record();
    for (const node of [0, 1, 2, 3]) four.setInterfaces(node, [ethernet("eth0", ["192.0.2.250/24", "198.51.100.250/24"])]);
    await four.start(0, 1, 2, 3);
    four.simulation.cutOff([1, 2]);
    await four.pass(8_000);
    four.simulation.heal();
    four.stall(3, 1_500);
    await four.pass(5_000);
    four.kill(0);
    await four.pass(1_000);
    four.setInterfaces(2, [ethernet("eth0", ["192.0.2.250/24"], false)]);
    await four.start(0);
    await four.stop(1);
    await four.pass(6 * 60_000);
    assert.equal(four.recordings.length, 5);
    for (const { node, inputs, effects } of four.recordings) {
      const state = createState({ ...options, node });
      const again = inputs.flatMap(({ event, now }) => step(state, event, now));
      assert.ok(inputs.length > 50 && effects.length > 20, `${inputs.length} inputs, ${effects.length} effects`);
      assert.deepEqual(again, effects);
    }
  }
});
