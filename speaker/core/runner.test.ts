import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { type CoreInput, CoreRunner } from "#pkg/core";
import type { SpeakerEffect } from "./effects.ts";
import type { SpeakerEvent } from "./events.ts";
import { speakerCore } from "./replay.ts";
import { createState } from "./state.ts";

const options = { node: "node1", ignoreExcludeLabel: false, hasRing: true };

function started() {
  const clock = new SimulatedClock();
  const runner = new CoreRunner(speakerCore, clock, () => 0.5);
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
    ["setGossip", "startMembers"],
  );
  runner[Symbol.dispose]();
  runner.dispatch({ type: "members", active: ["node1"], withoutGossip: [], isSynced: true });
  assert.equal(effects.length, 2);
});

test("an event that an effect sets off is handled after all effects of the one before", () => {
  const runner = new CoreRunner(speakerCore, new SimulatedClock(), () => 0.5);
  const order: string[] = [];
  runner.start(createState(options), (effect) => {
    order.push(effect.type);
    if (effect.type === "startConfig") runner.dispatch({ type: "start" });
  });
  runner.dispatch({ type: "members", active: ["node1"], withoutGossip: [], isSynced: true });
  order.length = 0;
  runner.dispatch({ type: "clusterSynced" });
  assert.deepEqual(order, ["setGossip", "startMembers", "log", "startConfig", "setGossip"]);
});

test("a timer comes when the next deadline is over", () => {
  const { clock, runner, state, start } = started();
  start();
  const inputs: CoreInput<SpeakerEvent>[] = [];
  runner.onStep = (input) => inputs.push(input);
  runner.dispatch({ type: "member", change: "failed", node: "node2", incarnation: 1, life: 1, macs: undefined });
  runner.dispatch({ type: "member", change: "joined", node: "node2", incarnation: 2, life: 2, macs: undefined });
  clock.advanceBy(9_999);
  assert.equal(state.members.lost.size, 1);
  clock.advanceBy(1);
  assert.equal(state.members.lost.size, 0);
  assert.ok(inputs.some(({ event, now }) => event.type === "timer" && now === 10_000));
});

test("a speaker that does not see changes in the API takes its first decision when it sees them, and after seven seconds at the latest", () => {
  for (const isReachedInTime of [true, false]) {
    const { clock, runner, effects, start } = started();
    const begins = () => effects.filter(({ type }) => type === "startConfig").length;
    start();
    runner.dispatch({ type: "members", active: ["node1", "node2"], withoutGossip: [], isSynced: true });
    clock.advanceBy(2_000);
    runner.dispatch({ type: "apiLost", since: 0 }); // A watch was not answered.
    runner.dispatch({ type: "clusterSynced" });
    clock.advanceBy(4_999);
    assert.equal(begins(), 0);
    if (isReachedInTime) runner.dispatch({ type: "apiLost", since: Infinity });
    else clock.advanceBy(1);
    assert.equal(begins(), 1);
  }
});
