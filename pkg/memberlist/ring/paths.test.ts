import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, seeds } from "#pkg/clock/testing";
import { centralName } from "#pkg/gossip";
import { alive, at, LoneRing, suspect } from "../testing/lone-ring.ts";
import { nameOf } from "../testing/simulated-addresses.ts";
import { SimulatedPaths } from "../testing/simulated-paths.ts";
import { type Observation, Simulation, type SimulationOptions } from "../testing/simulation.ts";
import type { PathVerdict } from "./events.ts";
import { rankOf } from "./paths.ts";
import { members } from "./step.ts";

interface World {
  readonly ring: Simulation;
  readonly paths: SimulatedPaths;
}

/** A ring of `count` whose members keep paths, all of which are up. */
function ringOf(count: number, options: SimulationOptions, intervalMs = 10): World {
  let paths: SimulatedPaths | undefined;
  const ring = new Simulation({ ...options, onEffect: (node, effect) => paths?.onEffect(node, effect) });
  paths = new SimulatedPaths(ring, intervalMs, seededRandom(options.seed));
  ring.startAll(count, { timing: "auto" });
  for (const node of ring.running) ring.happen(node, { type: "keepPaths", areKept: true });
  assert.ok(
    ring.runUntil(() => areUp({ ring, paths }), 20_000),
    "the paths do not come up",
  );
  ring.observations.length = 0;
  return { ring, paths };
}

function areUp({ ring, paths }: World): boolean {
  const { running } = ring;
  const count = Math.min(running.length - 1, 6);
  return running.every((node) => {
    const watched = paths.watchedBy(node);
    return watched.length === count && watched.every((other) => paths.verdict(node, other) === "up");
  });
}

function failed({ ring }: World, about?: number): readonly Observation[] {
  return ring.observations.filter((one) => one.change === "failed" && (about === undefined || one.about === about));
}

/** @returns how long it took until all others had declared these dead */
function timeToDetect(world: World, victims: readonly number[], limit: number): number {
  const { ring } = world;
  const start = ring.now;
  for (const victim of victims) ring.kill(victim);
  const others = ring.running.length;
  const areDead = () => victims.every((victim) => failed(world, victim).length >= others);
  assert.ok(ring.runUntil(areDead, limit), `${victims} are not dead to all after ${limit} ms, ${ring.describe()}`);
  return Math.max(...failed(world).map(({ at }) => at)) - start;
}

for (const nodes of [2, 3, 4, 10, 50])
  test(`a node that dies among ${nodes} with paths of 10 ms is dead to all within 60 ms`, () => {
    for (const seed of seeds(10)) {
      const world = ringOf(nodes, { seed });
      world.ring.runFor(seed * 37);
      const time = timeToDetect(world, [nodes - 1], 1_000);
      assert.ok(time <= 60, `seed ${seed}: ${time} ms`);
      assert.deepEqual([...new Set(world.ring.observations.map(({ about }) => about))], [nodes - 1]);
      assert.deepEqual([...new Set(failed(world).map(({ isByPaths }) => isByPaths))], [true]);
    }
  });

for (const gap of [5, 20, 50, 100, 200, 400, 600])
  test(`a second node of ten that dies ${gap} ms after the first is dead to all within 60 ms, before and after others are watched`, () => {
    for (const seed of seeds(8)) {
      const world = ringOf(10, { seed });
      world.ring.runFor(seed * 37);
      world.ring.kill(1);
      world.ring.runFor(gap);
      const time = timeToDetect(world, [2 + (seed % 8)], 2_000);
      assert.ok(time <= 60, `seed ${seed}: ${time} ms`);
    }
  });

test("the members beside a node judge it one after the other, and those that are no longer beside it last", () => {
  const { ring } = ringOf(10, { seed: 1 });
  for (const about of ring.running) {
    const ranks = ring.running
      .filter((node) => node !== about)
      .map((node) => {
        const own = ring.ring(node);
        return rankOf(own, own.records.get(nameOf(about)) ?? assert.fail());
      });
    assert.deepEqual(ranks.sort(), [0, 1, 2, 3, 4, 5, 6, 6, 6]);
  }
});

test("whoever takes addresses over begins no sessions with others for half a second", () => {
  const world = ringOf(10, { seed: 1 });
  const { ring, paths } = world;
  const watched = () => ring.running.map((node) => [node, ...paths.watchedBy(node)].join());
  timeToDetect(world, [1], 1_000);
  const before = watched();
  ring.runFor(400);
  assert.deepEqual(watched(), before);
  ring.runFor(150);
  assert.ok(ring.running.every((node) => paths.watchedBy(node).length === 6 && !paths.watchedBy(node).includes(1)));
});

test("each node of a large ring keeps six paths, and each path is kept at both ends", () => {
  const { paths, ring } = ringOf(30, { seed: 1 });
  for (const node of ring.running) {
    assert.equal(paths.watchedBy(node).length, 6);
    for (const other of paths.watchedBy(node)) assert.ok(paths.watchedBy(other).includes(node));
  }
});

test("a node whose path to one other fails, both ways or one way, takes nobody out of the ring", () => {
  for (const seed of seeds(10)) {
    const world = ringOf(5, { seed });
    const { ring } = world;
    ring.losePackets(0, 1);
    for (const [node, other] of [
      [0, 1],
      [1, 0],
    ] as const)
      ring.happen(node, { type: "path", node: nameOf(other), verdict: "down" });
    ring.runFor(500);
    assert.deepEqual(failed(world), []);
  }
});

test("forged packets that take all paths down at once take nobody out of the ring", () => {
  const world = ringOf(5, { seed: 1 });
  for (let round = 0; round < 100; round++) {
    for (const node of world.ring.running)
      for (const other of world.paths.watchedBy(node)) {
        world.ring.happen(node, { type: "path", node: nameOf(other), verdict: "down" });
        world.ring.happen(node, { type: "path", node: nameOf(other), verdict: "up" });
      }
    world.ring.runFor(10);
  }
  assert.deepEqual(failed(world), []);
});

test("a node that stands still for longer than paths allow is a member again within 100 ms, and the ring alone watches it then", () => {
  for (const nodes of [2, 3, 10])
    for (const seed of seeds(5)) {
      const world = ringOf(nodes, { seed });
      const { ring, paths } = world;
      ring.runFor(seed * 13);
      ring.stall(0, 90);
      ring.runFor(90);
      assert.ok(failed(world, 0).length > 0, "the stall was not noticed");
      assert.ok(
        ring.runUntil(() => ring.running.every((node) => members(ring.ring(node)).length === nodes), 100),
        ring.describe(),
      );
      assert.deepEqual([...new Set(failed(world).map(({ about }) => about))], [0]);
      const isWatched = () => ring.running.some((node) => node !== 0 && paths.watchedBy(node).includes(0));
      ring.runFor(1_000);
      assert.ok(!isWatched(), "it is still watched by those that it misled");
      assert.ok(ring.runUntil(isWatched, 70_000), "nobody watches it again");
    }
});

test("those that are behind a cut take one another for gone, and are one ring again afterwards", () => {
  for (const seed of seeds(5)) {
    const world = ringOf(7, { seed });
    const { ring } = world;
    ring.cutOff([0, 1]);
    ring.cutOff([2, 3, 4]);
    ring.runFor(seed * 700);
    ring.heal();
    assert.ok(
      ring.runUntil(() => ring.isConverged(), 20_000),
      ring.describe(),
    );
    assert.ok(
      ring.runUntil(() => areUp(world), 120_000),
      "the paths do not come back",
    );
  }
});

test("a node that is cut off for half a second distrusts nobody, and is watched again at once", () => {
  for (const seed of seeds(10)) {
    const world = ringOf(3 + (seed % 3), { seed });
    const { ring } = world;
    ring.cutOff([0]);
    ring.runFor(400 + seed * 20);
    ring.heal();
    assert.ok(
      ring.runUntil(() => ring.isConverged() && areUp(world), 5_000),
      `seed ${seed}: ${ring.describe()}`,
    );
  }
});

test("several that die together are dead to all, as soon as without paths at the latest", () => {
  for (const seed of seeds(10)) {
    const world = ringOf(10, { seed, loss: 0.02 });
    assert.ok(timeToDetect(world, [1, 4, 7, 8], 2_000) <= 1_500);
  }
});

test("there are no paths in a ring that is not fast, and none once nobody keeps them", () => {
  const { ring, paths } = ringOf(3, { seed: 1 });
  ring.start(3, { timing: "lan" });
  ring.join(3, [0]);
  ring.runFor(2_000);
  for (const node of [0, 1, 2]) assert.deepEqual(paths.watchedBy(node), []);
  ring.kill(3);
  assert.ok(ring.runUntil(() => areUp({ ring, paths }), 120_000));
  for (const node of ring.running) ring.happen(node, { type: "keepPaths", areKept: false });
  for (const node of ring.running) assert.deepEqual(paths.watchedBy(node), []);
});

test("a node that stands still for 50 to 500 ms is a member of all again within 100 ms of its return, and no other is taken for gone", () => {
  for (const seed of seeds(30)) {
    const random = seededRandom(seed);
    const nodes = 2 + Math.floor(random() * 9);
    const world = ringOf(nodes, { seed, loss: seed % 3 === 0 ? 0.02 : 0 }, seed % 2 === 0 ? 10 : 50);
    const { ring } = world;
    ring.runFor(random() * 300);
    const length = 50 + random() * 450;
    ring.stall(0, length);
    ring.runFor(length);
    const areAll = () => ring.running.every((node) => members(ring.ring(node)).length === nodes);
    const isBack = ring.runUntil(areAll, 100 + (ring.conditions.loss > 0 ? 400 : 0));
    assert.ok(isBack, `seed ${seed}, ${nodes} nodes, ${length} ms: ${ring.describe()}`);
    if (ring.conditions.loss === 0)
      assert.ok(
        failed(world).every(({ about }) => about === 0),
        `seed ${seed}`,
      );
  }
});

test("loss in one direction, stalls and cuts that overlap end in one ring whose members all count on one another", () => {
  for (const seed of seeds(20)) {
    const random = seededRandom(seed);
    const pick = (limit: number) => Math.floor(random() * limit);
    const nodes = 3 + pick(6);
    const { ring } = ringOf(nodes, { seed, loss: 0.02 });
    for (let count = 0; count < 12; count++) {
      const node = pick(nodes);
      const other = (node + 1 + pick(nodes - 1)) % nodes;
      const what = pick(4);
      if (what === 0) ring.stall(node, 50 + pick(450));
      else if (what === 1) ring.cutOneWay([node], [other]);
      else if (what === 2) ring.losePackets(node, other);
      else ring.heal();
      ring.runFor(pick(600));
    }
    ring.heal();
    const areAll = () => ring.isConverged() && ring.running.every((node) => members(ring.ring(node)).length === nodes);
    assert.ok(ring.runUntil(areAll, 60_000), `seed ${seed}: ${ring.describe()}`);
  }
});

for (const nodes of [2, 5, 10])
  test(`a path that goes down a hundred times a second among ${nodes} nodes takes nobody out, and costs the ring one accusation a second`, () => {
    const world = ringOf(nodes, { seed: 1 });
    const { ring, paths } = world;
    const [other = 0] = paths.watchedBy(0);
    const rounds = 500;
    const packetsDuring = (verdicts: readonly PathVerdict[]): number => {
      const before = ring.packets;
      for (let round = 0; round < rounds; round++) {
        for (const verdict of verdicts) ring.happen(0, { type: "path", node: nameOf(other), verdict });
        ring.runFor(10);
      }
      return ring.packets - before;
    };
    const incarnation = ring.ring(other).self.incarnation;
    const usual = packetsDuring([]);
    const flapping = packetsDuring(["down", "up"]);
    assert.deepEqual(failed(world), []);
    const accusations = ring.ring(other).self.incarnation - incarnation;
    assert.ok(accusations >= 1 && accusations <= 6, `${accusations} accusations`);
    assert.ok(flapping <= usual + 6 * 10 * nodes, `${flapping} packets rather than ${usual}`);
  });

for (const nodes of ["a", "ab"])
  test(`a node that dies among ${nodes.length + 1} is dead in time by their paths also where a central speaker, which keeps none, is a member`, () => {
    const lone = LoneRing.among(nodes, { timing: "fast" });
    const central = centralName("a");
    lone.packet(alive(central, 1, { endpoint: at(97, 7947) }));
    lone.answerAs(central);
    lone.step({ type: "keepPaths", areKept: true });
    const watched = lone
      .take("watchPaths")
      .at(-1)
      ?.members.map(({ node }) => node);
    assert.deepEqual(watched?.sort(), [...nodes]);
    for (const node of [...nodes, central]) lone.step({ type: "path", node, verdict: "up" });
    const victim = nodes.at(-1) ?? "";
    lone.step({ type: "path", node: victim, verdict: "down" });
    for (const from of nodes.slice(0, -1)) lone.packet(suspect(victim, 1, from));
    lone.advanceTo(lone.now + 30);
    assert.equal(lone.view(victim), "dead 1");
  });
