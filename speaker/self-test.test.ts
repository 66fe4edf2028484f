import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { PoolIndex, parseConfig } from "#pkg/config";
import type { InterfaceState, WireAnswer, WireQuestion } from "#pkg/layer2";
import { silentLog } from "#pkg/log/testing";
import { type Prefix, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { SpeakerEvent } from "./core/events.ts";
import { createState } from "./core/state.ts";
import { step } from "./core/step.ts";
import { SpeakerView } from "./core/view.ts";
import { SelfTest } from "./self-test.ts";

const link: InterfaceState = {
  index: 1,
  name: "eth0",
  mac: "02:00:00:00:00:02",
  status: "answering",
  running: true,
  addresses: ["10.0.0.2/8"],
};

/** A node beside the one that announces all addresses. @returns how often each address is asked for in a minute */
async function minute(count: number, answer: WireAnswer, selfTest = "self-test: 30s", others = ""): Promise<number[]> {
  const clock = new SimulatedClock();
  const state = createState({ node: "node2", ignoreExcludeLabel: false, hasRing: true });
  const { config } = parseConfig(
    `address-pools: [{name: lan, protocol: layer2, addresses: [10.1.0.0/16], ${selfTest}}${others}]`,
  );
  assert.ok(config);
  state.config = { config, pools: new PoolIndex(config.pools) };
  state.carriers.routes = new Map([["203.0.113.9", "eth0"]]);
  state.members.active = ["node1", "node2"];
  const interfaces = new Map([["eth0", [parsePrefix("10.0.0.0/8") as Prefix]]]);
  Object.assign(state.members.gossip as object, { reachability: () => ({ answers: true, interfaces }) });
  const asked = new Map<string, number>(); // address -> how often
  for (let i = 0; i < count; i++) {
    const ip = address(`10.1.${i >> 8}.${i & 255}`);
    const common = {
      address: ip,
      isOwned: true,
      electionAddress: ip,
      pool: "lan",
      protocol: "layer2",
      candidates: ["node1"],
      contenders: ["node1"],
    } as const;
    state.placements.set(ip.toString(), [{ ...common, owner: "node1", verdicts: new Map() }]);
    asked.set(ip.toString(), 0);
  }
  let most = 0;
  const asker = {
    async ask(_link: InterfaceState, questions: readonly WireQuestion[]) {
      most = Math.max(most, questions.length);
      for (const { address } of questions) asked.set(address.toString(), (asked.get(address.toString()) ?? 0) + 1);
      return new Map(questions.map((question) => [question, answer]));
    },
  };
  const emit = (event: SpeakerEvent) => void step(state, event, clock.now());
  using trying = new SelfTest({
    view: new SpeakerView(state),
    layer2: { interfaces: () => [link] },
    asker,
    emit,
    clock,
    log: silentLog,
  });
  trying.start();
  for (let i = 0; i < 60; i++) {
    clock.advanceBy(1_000);
    await setImmediate();
  }
  assert.ok(most <= 100, `${most} at once`);
  return [...asked.values()];
}

const well: WireAnswer = { macs: ["02:00:00:00:00:01"], connection: undefined };

test("each address has its turn about once in the interval, few as well as many", async () => {
  for (const count of [1, 10, 1_000]) {
    const times = await minute(count, well);
    assert.ok(
      times.every((time) => time >= 1 && time <= 2),
      `${count}: ${new Set(times)}`,
    );
  }
});

test("an address has its turn in the interval of its own pool, also beside a pool with a shorter one", async () => {
  const often = ", {name: often, protocol: layer2, addresses: [10.2.0.0/24], self-test: 10s}";
  const times = await minute(60, well, "self-test: 60s", often);
  assert.ok(
    times.every((time) => time <= 2),
    `${new Set(times)}`,
  );
  assert.ok(times.filter((time) => time > 0).length > 45, `${times}`);
});

test("of more than 100 a second each has its turn less often", async () => {
  const times = await minute(10_000, well);
  const all = times.reduce((sum, time) => sum + time, 0);
  assert.ok(all > 5_000 && all <= 6_000, `${all} questions`);
  assert.ok(times.every((time) => time <= 1));
});

test("what fails is tried again in the next turn, and without self-test nothing is tried", async () => {
  assert.ok(((await minute(1, { macs: [], connection: undefined }))[0] ?? 0) > 25);
  assert.deepEqual(await minute(3, well, "auto-assign: true"), [0, 0, 0]);
});

test("an interface that the pool names by what it leads to is tried on", async () => {
  assert.ok((await minute(3, well, 'self-test: 30s, interfaces: ["can_reach:203.0.113.9"]')).every((times) => times > 0));
  assert.deepEqual(await minute(3, well, 'self-test: 30s, interfaces: ["can_reach:203.0.113.10"]'), [0, 0, 0]);
});
