// Long: rings of 50 for minutes of simulated time.
// Scenario: many seeds.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { seededRandom } from "#pkg/clock/testing";
import { Keyring } from "../codec/keyring.ts";
import type { Effect } from "../ring/events.ts";
import { members } from "../ring/step.ts";
import type { TimingName } from "../ring/timing.ts";
import { encodedCarrier, valueCarrier } from "./carrier.ts";
import { nameOf } from "./simulated-addresses.ts";
import { type Observation, Simulation, type SimulationOptions } from "./simulation.ts";

// Each course of events is a subtest named by its seed; the seed alone is enough to run it again.

/** Runs one course of events for each seed. */
function forSeeds(name: string, seeds: number, run: (seed: number, t: TestContext) => void): void {
  test(name, async (t) => {
    for (let seed = 1; seed <= seeds; seed++) await t.test(`${name}, seed ${seed}`, (one) => run(seed, one));
  });
}

/** A ring of `count` that has formed, its observations forgotten. */
function ringOf(count: number, options: SimulationOptions, timing: TimingName | "auto" = "auto"): Simulation {
  const ring = new Simulation(options);
  ring.startAll(count, { timing });
  ring.observations.length = 0;
  return ring;
}

function seen(ring: Simulation, change: Observation["change"], about?: number): Observation[] {
  return ring.observations.filter((one) => one.change === change && (about === undefined || one.about === about));
}

/** All running nodes agree on the truth, within `limit`. */
function assertConverges(ring: Simulation, limit: number): void {
  assert.ok(
    ring.runUntil(() => ring.isConverged(), limit),
    ring.describe(),
  );
}

/** Kills a node. @returns how long it took until all others had declared it dead */
function timeToDetect(ring: Simulation, victim: number, limit: number): number {
  const killed = ring.now;
  ring.kill(victim);
  const others = ring.running.length;
  const all = () => seen(ring, "failed", victim).length >= others;
  assert.ok(ring.runUntil(all, limit), `${victim} is not dead to all after ${limit} ms, ${ring.describe()}`);
  return Math.max(...seen(ring, "failed", victim).map(({ at }) => at)) - killed;
}

for (const nodes of [2, 3, 4, 10, 50]) {
  forSeeds(
    `at the fast pace a dead node among ${nodes} is dead to all within 1 s, and nobody else is even suspected`,
    5,
    (seed) => {
      const ring = ringOf(nodes, { seed });
      ring.runFor(seed * 37);
      const time = timeToDetect(ring, nodes - 1, 10_000);
      assert.ok(time <= 1000, `${time} ms`);
      assert.deepEqual([...new Set(ring.observations.map(({ about }) => about))], [nodes - 1]);
      assertConverges(ring, 0);
    },
  );
}

for (const [nodes, victims, limit] of [
  [10, 5, 1500],
  [50, 10, 1000],
  [50, 25, 2000],
] as const)
  forSeeds(`at the fast pace ${victims} of ${nodes} that die together are dead to all others within ${limit} ms`, 5, (seed) => {
    const ring = ringOf(nodes, { seed });
    ring.runFor(seed * 37);
    for (let victim = 0; victim < victims; victim++) ring.kill(victim);
    const all = () => seen(ring, "failed").length >= victims * (nodes - victims);
    assert.ok(ring.runUntil(all, limit), `${seen(ring, "failed").length} after ${limit} ms`);
    assert.ok(ring.observations.every(({ about }) => about < victims));
  });

/** Until the first probe, the probe, the suspicion, the news. */
const lanBounds = [
  { nodes: 2, limit: 7000 },
  { nodes: 3, limit: 8000 },
  { nodes: 10, limit: 9000 },
  { nodes: 50, limit: 12_000 },
];
for (const { nodes, limit } of lanBounds) {
  forSeeds(`at HashiCorp's pace a dead node among ${nodes} is dead to all within ${limit} ms`, 5, (seed) => {
    const ring = ringOf(nodes, { seed }, "lan");
    ring.runFor(seed * 377);
    const time = timeToDetect(ring, nodes - 1, 60_000);
    assert.ok(time >= 4000 && time <= limit, `${time} ms`);
  });
}

for (const [timing, packets] of [
  ["auto", 16],
  ["lan", 2],
] as const) {
  test(`a quiet ring at ${timing} timing sends ${packets} packets a second and node, and suspects nobody`, () => {
    const ring = ringOf(20, { seed: 1 }, timing);
    ring.runFor(5000); // The join is still being broadcast.
    const before = ring.packets;
    ring.runFor(60_000);
    const rate = (ring.packets - before) / 60 / 20;
    assert.ok(Math.abs(rate - packets) < packets / 10, `${rate} packets`);
    assert.deepEqual(ring.observations, []);
  });
}

forSeeds("a process that stalls for less than 60 ms is not even suspected at the fast pace", 3, (seed) => {
  const ring = ringOf(20, { seed }, "fast");
  const random = seededRandom(seed);
  for (let i = 0; i < 200; i++) {
    ring.stall(Math.floor(random() * 20), 60);
    ring.runFor(100);
  }
  assert.deepEqual(ring.observations, []);
  assert.ok(Math.max(...ring.running.map((index) => ring.ring(index).counters.stalls)) > 0, "no stall was noticed");
});

for (const nodes of [3, 10, 30])
  forSeeds(
    `among ${nodes} with 5 % of the packets lost, a process that stalls for 200 ms is not declared dead at the fast pace`,
    3,
    (seed) => {
      const ring = ringOf(nodes, { seed }, "fast");
      ring.conditions = { ...ring.conditions, loss: 0.05 };
      const random = seededRandom(seed);
      for (let i = 0; i < 100; i++) {
        ring.stall(Math.floor(random() * nodes), 200);
        ring.runFor(300 + random() * 700);
      }
      assert.deepEqual(seen(ring, "failed"), []);
      assert.ok(seen(ring, "suspected").length > 0, "the stalls were not noticed: nothing was tested");
      assertConverges(ring, 10_000);
    },
  );

for (const [nodes, median, worst] of [
  [3, 300, 350],
  [10, 310, 370],
  [50, 320, 400],
] as const)
  test(`all of ${nodes} know of a death within ${median} ms in the median and ${worst} ms at worst, for 17 packets a second each`, () => {
    const ring = ringOf(nodes, { seed: nodes }, "fast");
    const [packets, from] = [ring.packets, ring.now];
    ring.runFor(10_000);
    const rate = ((ring.packets - packets) / (ring.now - from) / nodes) * 1000;
    const times: number[] = [];
    for (let death = 0; death < 20; death++) {
      const victim = 1 + (death % (nodes - 1));
      ring.observations.length = 0;
      const killedAt = ring.now;
      ring.kill(victim);
      assert.ok(ring.runUntil(() => seen(ring, "failed").length === nodes - 1, 5000));
      times.push(Math.max(...ring.observations.filter(({ change }) => change === "failed").map(({ at }) => at)) - killedAt);
      ring.start(victim, { timing: "fast" });
      ring.join(victim, [0]);
      assertConverges(ring, 10_000);
      ring.runFor(1000 + 7 * death);
    }
    times.sort((a, b) => a - b);
    const [middle = Infinity, last = Infinity] = [times[10], times.at(-1)];
    assert.ok(middle <= median && last <= worst && rate <= 17, `${middle} ms, ${last} ms, ${rate} packets/s`);
  });

for (const [what, limit] of [
  ["hears nobody, while all hear it", 600],
  ["nobody hears, while it hears all", 400],
] as const)
  for (const nodes of [3, 10, 50])
    forSeeds(`one of ${nodes} that ${what}, is dead to all others within ${limit} ms, and none of them is`, 5, (seed) => {
      const ring = ringOf(nodes, { seed });
      ring.runFor(2000 + seed * 37);
      ring.observations.length = 0;
      const others = ring.running.filter((index) => index !== 1);
      if (limit === 600) ring.cutOneWay(others, [1]);
      else ring.cutOneWay([1], others);
      const failures = () => seen(ring, "failed").filter(({ observer }) => observer !== 1);
      assert.ok(
        ring.runUntil(() => failures().length === nodes - 1, limit),
        ring.describe(),
      );
      assert.ok(failures().every(({ about }) => about === 1));
    });

for (const timing of ["auto", "lan"] as const) {
  forSeeds(`with 10 % of the packets lost, doubled and reordered, nobody dies at ${timing} timing`, 3, (seed) => {
    const ring = ringOf(15, { seed }, timing);
    ring.conditions = { latency: 0.1, jitter: 8, loss: 0.1, duplication: 0.1, lateness: 2 };
    ring.runFor(timing === "lan" ? 120_000 : 20_000);
    assert.deepEqual(seen(ring, "failed"), []);
    assertConverges(ring, 10_000);
  });

  forSeeds(
    `a process that stalls for less than ${timing === "lan" ? "4 s" : "200 ms"} is not declared dead at ${timing} timing`,
    3,
    (seed) => {
      const [maxStall, pause] = timing === "lan" ? [4000, 10_000] : [200, 1000];
      const ring = ringOf(20, { seed }, timing);
      const random = seededRandom(seed);
      for (let i = 0; i < 20; i++) {
        ring.stall(Math.floor(random() * 20), maxStall * (0.5 + random() / 2));
        ring.runFor(pause);
      }
      assert.deepEqual(seen(ring, "failed"), []);
      assert.equal(seen(ring, "suspected").length > 0, true, "the stalls were not noticed: nothing was tested");
      assertConverges(ring, 10_000);
    },
  );

  // Nodes that a long cut made forgotten need a join, which speakers try every minute.
  forSeeds(`whatever happens, no live node stays dead once the network is well, at ${timing} timing`, 10, (seed) => {
    const random = seededRandom(seed * 7919);
    const nodes = 3 + Math.floor(random() * 10);
    const pace = timing === "lan" ? 20 : 1;
    const anyNode = () => Math.floor(random() * nodes);
    const ring = ringOf(nodes, { seed }, timing);
    ring.conditions = { latency: 0.1, jitter: 5, loss: random() * 0.3, duplication: 0.1, lateness: 5 };
    for (let i = 0; i < 20; i++) {
      if (random() < 0.5) ring.stall(anyNode(), random() * 1500 * pace);
      if (random() < 0.1) ring.cutOff([anyNode(), anyNode()]);
      if (random() < 0.3) ring.heal();
      ring.runFor(random() * 500 * pace);
    }
    ring.heal();
    ring.conditions = { latency: 0.1, jitter: 0.2, loss: 0, duplication: 0, lateness: 1 };
    ring.runFor(1500 * pace);
    for (const index of ring.running) ring.join(index, ring.running);
    assertConverges(ring, 70_000);
    ring.observations.length = 0;
    ring.runFor(10_000 * pace);
    assert.deepEqual(seen(ring, "failed"), []);
    assertConverges(ring, 1000); // News may be on its way: the pace of a member that was slow changes back.
  });
}

for (const { timing, nodes, limit } of [
  ...[3, 10, 20, 50].map((nodes) => ({ timing: "auto" as const, nodes, limit: 1000 })),
  ...[3, 10, 20, 50].map((nodes) => ({ timing: "lan" as const, nodes, limit: 15_000 })),
]) {
  const name = `a cut ring of ${nodes} is one again within ${limit} ms, and nobody else fails, at ${timing} timing`;
  forSeeds(name, 6, (seed, t) => {
    const cutOff = Array.from({ length: seed % 2 ? 1 : Math.floor(nodes / 2) }, (_, i) => i);
    const ring = ringOf(nodes, { seed }, timing);
    ring.runFor(1000); // The join is still being broadcast.
    ring.cutOff(cutOff);
    // Long enough that the others are dead to all; in the end, that they are forgotten.
    ring.runFor(timing === "lan" ? 60_000 : seed % 3 === 0 ? 55_000 : 2000 * seed);
    assert.ok(seen(ring, "failed").length >= nodes - 1, "the cut was not noticed: nothing was tested");
    const before = ring.packets;
    ring.runFor(10_000);
    const rate = (ring.packets - before) / 10 / nodes;
    assert.ok(rate < (timing === "lan" ? 3 : 45), `${rate} packets a second and node while it was cut`);
    ring.observations.length = 0;
    const healed = ring.now;
    ring.heal();
    assert.ok(
      ring.runUntil(() => ring.running.every((index) => members(ring.ring(index)).length === nodes), limit),
      ring.describe(),
    );
    t.diagnostic(`${ring.now - healed} ms`);
    assertConverges(ring, 60_000); // Also on who refuted how often.
    assert.deepEqual(seen(ring, "failed"), []);
  });
}

for (const [shape, from, to] of [
  ["from one to the others", [1], [0, 2, 3, 4]],
  ["from the others to one", [0, 2, 3, 4], [1]],
  ["between two halves", [0, 1], [2, 3, 4]],
] as const)
  forSeeds(
    `a ring that was cut in one direction, ${shape}, for longer than the dead are remembered, agrees within 2 s`,
    10,
    (seed) => {
      const ring = ringOf(5, { seed, loss: 0.1 });
      ring.runFor(1000);
      ring.cutOneWay(from, to);
      ring.runFor(35_000);
      ring.kill(3); // It knows nobody that it does not hear of now.
      ring.runFor(1000);
      ring.start(3);
      ring.join(3, [0, 1, 2, 4]);
      ring.runFor(5000);
      ring.heal();
      assertConverges(ring, 2000);
    },
  );

test("who missed all that was sent of a member learns of it within a second and a half, by the digest in heartbeats", () => {
  const ring = ringOf(5, { seed: 1 });
  ring.runFor(5000);
  const { records, order, places, heartbeats } = ring.ring(4);
  const [missed] = order.filter(({ node }) => node !== nameOf(4) && node !== heartbeats.awaited?.node);
  assert.ok(missed);
  records.delete(missed.node);
  order.splice(order.indexOf(missed), 1);
  missed.status = "dead";
  places.update(missed);
  ring.setMetadata(4, new Map([[9, Uint8Array.of(1)]])); // So that it looks at what there is.
  assert.ok(!ring.isConverged());
  for (const index of ring.running) ring.ring(index).pushPullAt = Infinity;
  assertConverges(ring, 1500);
});

for (const timing of ["lan", "fast"] as const)
  test(`a large ring at ${timing} exchanges no views at rest, but for a member that missed gossip, within 30 s`, () => {
    const digests = Array.from({ length: 64 }, () => 7);
    const exchanges: number[] = [];
    const note = (node: number, effect: Effect): void => {
      if (effect.type === "exchange" && effect.message.type === "pushPull") exchanges.push(node);
    };
    const ring = new Simulation({ seed: 1, loss: 0.01, onEffect: note });
    for (const node of digests.keys()) ring.start(node, { timing, userDigest: () => digests[node] ?? 0 });
    for (const node of digests.keys()) ring.join(node, [0]);
    assertConverges(ring, 60_000);
    ring.runFor(240_000);
    exchanges.length = 0;
    ring.runFor(timing === "lan" ? 180_000 : 60_000);
    assert.deepEqual(exchanges.splice(0), []);
    digests[5] = 8;
    ring.runFor(30_000);
    assert.ok(exchanges.includes(5));
    assert.ok(exchanges.length < 10, `${exchanges}`);
  });

test("in a large ring of both kinds, a member that is told no digests exchanges views as before, and none is suspected", () => {
  const exchanges: number[] = [];
  const ring = new Simulation({
    seed: 1,
    carrier: {
      ...valueCarrier,
      packet: ({ to, messages }) =>
        messages.map((one) => (one.type === "ack" && (to.address.at(-1) ?? 0) % 2 === 0 ? { ...one, payload: undefined } : one)),
    },
    onEffect: (node, effect) => effect.type === "exchange" && effect.message.type === "pushPull" && exchanges.push(node),
  });
  ring.startAll(64, { timing: "lan" });
  ring.runFor(240_000);
  ring.observations.length = 0;
  exchanges.length = 0;
  ring.runFor(120_000);
  const perMember = Map.groupBy(exchanges, (node) => node);
  assert.deepEqual(
    [...perMember.values()].map(({ length }) => length).sort(),
    Array.from({ length: 32 }, () => 2),
  );
  assert.deepEqual(ring.observations, []);
});

test("where a tenth of a large ring failed before a cut, the sides find one another within 30 s at HashiCorp's pace", () => {
  const ring = ringOf(100, { seed: 1 }, "lan");
  for (let node = 0; node < 100; node += 10) ring.kill(node);
  ring.runFor(30_000);
  ring.cutOff(ring.running.slice(0, 45));
  ring.runFor(60_000);
  ring.heal();
  assertConverges(ring, 30_000);
});

test("a network that was cut for so long that the dead are forgotten comes together by a join", () => {
  const ring = ringOf(6, { seed: 1 });
  ring.cutOff([0, 1, 2]);
  ring.runFor(60_000);
  ring.heal();
  ring.join(0, [5]);
  assertConverges(ring, 2000);
});

for (const [name, pause] of [
  ["at once, before anybody noticed", 0],
  ["when it is suspected", 200],
  ["when it is dead", 2000],
  ["when it is forgotten", 60_000],
] as const) {
  forSeeds(`a node that restarts under its name ${name} is a member again`, 3, (seed) => {
    const ring = ringOf(6, { seed });
    ring.kill(3);
    ring.runFor(pause);
    ring.start(3);
    ring.join(3, [0]);
    assertConverges(ring, 2000);
    ring.observations.length = 0;
    ring.runFor(5000);
    assert.deepEqual(seen(ring, "failed"), []);
  });
}

for (const [timing, pause, limit] of [
  ["auto", 0, 3000],
  ["lan", 0, 10_000],
  ["lan", 3000, 12_000],
] as const)
  forSeeds(
    `a node that is at another address after ${pause} ms is a member again within ${limit} ms, at ${timing} timing`,
    5,
    (seed) => {
      const ring = ringOf(5, { seed }, timing);
      ring.runFor(10_000 + 777 * seed);
      ring.kill(1);
      ring.runFor(pause);
      ring.setHost(1, 100);
      ring.start(1, { timing, firstIncarnation: 1000 });
      ring.join(1, [0, 2, 3, 4]);
      assertConverges(ring, limit);
    },
  );

for (const timing of ["auto", "lan"] as const) {
  forSeeds(
    `a leave is final at once: all know within ten gossip intervals, and nobody takes it for a failure, at ${timing} timing`,
    5,
    (seed) => {
      const nodes = 12;
      const ring = ringOf(nodes, { seed }, timing);
      const before = ring.now;
      ring.leave(4);
      ring.runFor(timing === "lan" ? 2000 : 200);
      ring.kill(4);
      assert.deepEqual(
        seen(ring, "left", 4)
          .map(({ observer }) => observer)
          .toSorted((a, b) => a - b),
        Array.from({ length: nodes }, (_, i) => i),
      );
      assert.ok(seen(ring, "left", 4).every(({ at }) => at > before - 1));
      ring.runFor(20_000);
      assert.deepEqual([seen(ring, "failed"), seen(ring, "suspected")], [[], []]);
      ring.start(4, { timing });
      ring.join(4, [0]);
      assertConverges(ring, 30_000);
    },
  );
}

forSeeds(
  "one that leaves 0.1 s after it joined is no member for anybody when it is gone a second later, with 10 % of the packets lost",
  10,
  (seed) => {
    const ring = ringOf(5, { seed }, "lan");
    ring.runFor(10_000 + 777 * seed);
    ring.conditions = { ...ring.conditions, loss: 0.1 };
    ring.start(5, { timing: "lan" });
    ring.join(5, [seed % 5]);
    ring.runFor(100);
    ring.leave(5);
    ring.runFor(1000);
    ring.kill(5);
    assertConverges(ring, 0);
  },
);

test("a member of HashiCorp's pace slows the ring down while it is there, without a false alarm", () => {
  const ring = ringOf(6, { seed: 1 });
  const paces = () => [...new Set(ring.running.map((index) => ring.ring(index).timing.name))];
  assert.deepEqual(paces(), ["fast"]);
  ring.start(6, { timing: "lan" });
  ring.join(6, [0]);
  ring.runFor(1000);
  assert.deepEqual(paces(), ["lan"]);
  const before = ring.packets;
  ring.runFor(60_000);
  assert.ok((ring.packets - before) / 60 / 7 < 3);
  ring.leave(6);
  ring.runFor(1500);
  ring.kill(6);
  assert.deepEqual(paces(), ["fast"]);
  ring.runFor(10_000);
  assert.deepEqual([seen(ring, "failed"), seen(ring, "suspected")], [[], []]);
  assert.ok(timeToDetect(ring, 2, 10_000) <= 1000);
});

test("a network that is too slow for the fast pace gets HashiCorp's, and the fast one when it is quick again", () => {
  const ring = ringOf(8, { seed: 1 });
  const paces = () => [...new Set(ring.running.map((index) => ring.ring(index).timing.name))];
  ring.conditions = { latency: 30, jitter: 5, loss: 0, duplication: 0, lateness: 1 };
  ring.runFor(10_000);
  assert.deepEqual(paces(), ["lan"]);
  const [before, from] = [ring.packets, ring.observations.length];
  ring.runFor(60_000);
  assert.ok((ring.packets - before) / 60 / 8 < 3);
  assert.ok(ring.observations.slice(from).every(({ change }) => change === "updated")); // Others announce that they are slow too.
  ring.conditions = { latency: 0.1, jitter: 0.2, loss: 0, duplication: 0, lateness: 1 };
  ring.runFor(60_000);
  assert.deepEqual(paces(), ["fast"]);
  assert.deepEqual(seen(ring, "failed"), []);
});

for (const { nodes, latency } of [
  { nodes: 2, latency: 100 },
  { nodes: 3, latency: 150 },
  { nodes: 5, latency: 250 },
  { nodes: 3, latency: 362 },
])
  forSeeds(
    `a network so slow that all ${nodes} members fail at the fast pace, ${latency} ms each way, gets HashiCorp's within 4 s, and they fail no more`,
    3,
    (seed) => {
      const ring = new Simulation({ seed });
      ring.startAll(nodes);
      ring.runFor(1_000);
      ring.conditions = { ...ring.conditions, latency };
      ring.runFor(4_000);
      assert.ok(ring.running.every((index) => ring.ring(index).timing.name === "lan"));
      ring.runFor(4_000);
      assert.ok(ring.observations.some(({ change }) => change === "failed"));
      const from = ring.observations.length;
      ring.runFor(120_000);
      assert.deepEqual(
        ring.observations.slice(from).filter(({ change }) => change === "failed"),
        [],
      );
      ring.conditions = { ...ring.conditions, latency: 0.1 };
      ring.runFor(60_000);
      assert.ok(ring.running.every((index) => ring.ring(index).timing.name === "fast"));
    },
  );

for (const [name, nodes, starved] of [
  ["one of ten starves", 10, 1],
  ["three of ten starve", 10, 3],
  ["all of ten starve", 10, 10],
  ["all of thirty starve", 30, 30],
] as const)
  forSeeds(
    `when ${name} of processor time, the ring slows down, nobody fails then, and it is fast again some minutes after`,
    3,
    (seed, t) => {
      const ring = ringOf(nodes, { seed });
      const random = seededRandom(seed);
      const changes: string[] = [];
      let pace = "fast";
      /** Each of the starved loses up to 200 ms, three times a second. */
      const starve = (duration: number) => {
        for (const end = ring.now + duration; ring.now < end; ring.runFor(33)) {
          for (let index = 0; index < starved; index++) if (random() < 0.1) ring.stall(index, 75 + random() * 125);
          watch();
        }
      };
      const watch = () => {
        const paces = [...new Set(ring.running.map((index) => ring.ring(index).timing.name))];
        if (paces.length > 1 || paces[0] === pace) return; // News of it is on its way.
        [pace = ""] = paces;
        changes.push(pace);
      };
      starve(20_000);
      assert.deepEqual(changes, ["lan"]);
      t.diagnostic(`${seen(ring, "suspected").length} suspicions until then`);
      ring.observations.length = 0;
      starve(240_000);
      assert.deepEqual(changes, ["lan"]);
      assert.deepEqual(seen(ring, "failed"), []);
      for (const end = ring.now + 200_000; ring.now < end; ring.runFor(1000)) watch();
      assert.deepEqual(changes, ["lan", "fast"]);
    },
  );

test("metadata reaches all", () => {
  const ring = ringOf(10, { seed: 1 });
  ring.setMetadata(3, new Map([[9, Uint8Array.of(1)]]));
  ring.runFor(300);
  assert.equal(seen(ring, "updated", 3).length, 10);
  assertConverges(ring, 0);
});

test("messages pass as octets, encrypted and compressed, what happens to a ring besides", () => {
  const keyring = new Keyring([new Uint8Array(16).fill(7)]);
  const ring = ringOf(12, { seed: 1, carrier: encodedCarrier(keyring) });
  assert.ok(timeToDetect(ring, 5, 10_000) <= 1000);
  ring.start(5);
  ring.join(5, [0]);
  ring.stall(7, 900);
  ring.leave(8);
  ring.runFor(3000);
  ring.kill(8);
  assertConverges(ring, 10_000);
});

test("one seed always gives the same course of events", () => {
  const course = () => {
    const ring = ringOf(10, { seed: 5, loss: 0.1 });
    ring.stall(3, 800);
    ring.kill(4);
    ring.runFor(3000);
    return [ring.packets, ring.observations];
  };
  assert.deepEqual(course(), course());
});

for (const timing of ["auto", "lan"] as const)
  for (const nodes of [2, 3, 6])
    forSeeds(
      `where UDP between two of ${nodes} (${timing}) is lost, both tell so within 15 s, no other does, and nobody fails`,
      3,
      (seed) => {
        const lost = new Set<string>();
        const onEffect = (node: number, effect: Effect): void => {
          if (effect.type === "packetsLost") lost.add(`${node} ${effect.node}`);
          if (effect.type === "packetsArrive") lost.delete(`${node} ${effect.node}`);
        };
        const ring = ringOf(nodes, { seed, onEffect }, timing);
        ring.runFor(seed * 137);
        assert.equal(lost.size, 0);
        ring.losePackets(0, 1);
        const both = [`0 ${nameOf(1)}`, `1 ${nameOf(0)}`];
        assert.ok(
          ring.runUntil(() => both.every((one) => lost.has(one)), 15_000),
          [...lost].join(),
        );
        ring.runFor(30_000);
        assert.deepEqual([...lost].sort(), both);
        assert.deepEqual(seen(ring, "failed"), []);
        ring.heal();
        assert.ok(
          ring.runUntil(() => lost.size === 0, 30_000),
          [...lost].join(),
        );
      },
    );
