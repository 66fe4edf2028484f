// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { entryLine, type Plain, recordStep } from "#pkg/core";
import { assertReplays } from "#pkg/core/testing";
import { nameOf } from "#pkg/memberlist/testing";
import { speakerCore } from "../../speaker/core/replay.ts";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawHistory } from "./cluster/draw.ts";
import { drawSticky } from "./cluster/draw-sticky.ts";
import { bfdConfig, firstConfig, type History, movedConfig } from "./cluster/history.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";
import type { SimulatedCluster } from "./cluster/simulated-cluster.ts";

/** `make scenarios` has time for this many, and a hundred minutes in the life of a cluster; `make nightly` has 2,000 others. */
const count = Number(process.env.CLUSTER_SEEDS ?? 40);
const from = Number(process.env.CLUSTER_FROM ?? 1);
const parts = 4;
const recordedSeeds = Math.ceil(0.06 * count);
const longAbsence = 50; // The sticky history in which a node is away for minutes.
const bySubnet = 51; // A sticky history by subnet.

for (let part = 0; part < parts; part++) {
  const seeds = Array.from({ length: count }, (_, i) => from + i).filter((seed) => seed % parts === part);
  test(`a cluster keeps its promises, whatever happens to it (${seeds.length} seeds from ${seeds[0]})`, async (t) => {
    let simulated = 0;
    for (const seed of seeds) {
      const { problem, duration } = await run(drawHistory(seed));
      simulated += duration;
      if (problem !== undefined) await explain(drawHistory(seed));
    }
    t.diagnostic(`${Math.round(simulated / 60_000)} minutes in the life of clusters`);
  });
}

test("what speakers recorded of what happened to them is decided again alike, from any checkpoint", async () => {
  const drawn = Array.from({ length: recordedSeeds }, (_, i) => drawHistory(from + i));
  for (const history of [...drawn, drawSticky(longAbsence), drawSticky(bySubnet)]) {
    const recordings: { readonly options: Plain; readonly lines: string[] }[] = [];
    await run(history, {
      watchCore: (node, ownNode) => {
        const lines: string[] = [];
        recordings.push({ options: { node, ignoreExcludeLabel: false, hasRing: true, ownNode: { ...ownNode } }, lines });
        return ({ event, now }, effects) => lines.push(entryLine(recordStep(speakerCore, { event, now }, effects, String)));
      },
    });
    assert.ok(recordings.length > 1);
    for (const { options, lines } of recordings) assertReplays(speakerCore, options, lines, seededRandom(history.seed));
  }
});

/** Fails with the shortest history that goes wrong, which can be kept below as a test, and with its events. */
async function explain(history: History): Promise<never> {
  const shortest = await shrink(history);
  const { problem, transcript } = await run(shortest);
  assert.fail(`seed ${history.seed}: ${problem}\n${JSON.stringify(shortest)}\n${transcript.join("\n")}`);
}

const spec = { isDual: false, wanted: undefined, sharing: undefined, port: 80, endpoints: [0, 1], isLocal: false };

/** Histories that went wrong once. */
const regressions: Record<string, Omit<History, "seed"> & { readonly seeds?: readonly number[] }> = {
  "after the API was restored from a backup, what is written is seen although its version is not new": {
    nodes: 2,
    loss: 0,
    config: firstConfig,
    services: { a: { ...spec, pool: "sticky" }, b: { ...spec, pool: "lan", port: 81 } },
    acts: [
      { at: 9_000, act: { type: "service", name: "b", spec: undefined } },
      { at: 10_000, act: { type: "restore", age: 1_900 } },
      { at: 11_000, act: { type: "config", text: firstConfig } },
      { at: 12_500, act: { type: "service", name: "a", spec: { ...spec, pool: "lan" } } },
    ],
  },
  "a router that a node told to do without BFD finds by its hold time that the way to it is cut": {
    nodes: 3,
    loss: 0,
    config: bfdConfig,
    services: { a: { ...spec, pool: "routed" } },
    acts: [
      { at: 1_000, act: { type: "cutRouter", node: 0, cut: "toNode", length: 27_000 } },
      { at: 1_100, act: { type: "config", text: firstConfig } },
    ],
  },
  "a peer that is removed and added again has its next session once the router knows the end of the former one": {
    nodes: 3,
    loss: 0,
    config: bfdConfig,
    services: { a: { ...spec, pool: "routed" } },
    acts: [1_000, 11_000, 21_000].map((at) => ({ at, act: { type: "removePeers", length: 5 } as const })),
  },
  "a peer that gets other settings has its next session once the router knows the end of the former one": {
    nodes: 3,
    loss: 0,
    config: bfdConfig,
    services: { a: { ...spec, pool: "routed" } },
    acts: [1_000, 6_000, 11_000, 16_000].map((at) => ({ at, act: { type: "changePeers", length: 2_500 } as const })),
  },
  "a speaker that learns after a stall that it is to do without BFD ends it before BGP is up again": {
    seeds: [1, 4, 5],
    nodes: 2,
    loss: 0,
    config: bfdConfig,
    services: { a: { ...spec, pool: "routed" } },
    acts: [
      { at: 1_000, act: { type: "config", text: firstConfig } },
      { at: 1_011, act: { type: "stallSpeaker", node: 0, length: 14_000 } },
    ],
  },
  "a speaker that is killed while it ends in order ends BFD no more": {
    seeds: [905030],
    nodes: 4,
    loss: 0.1,
    withoutNetAdmin: [3],
    config: bfdConfig,
    services: { s8: { ...spec, pool: "routed", wanted: "198.51.100.3" } },
    acts: [
      { at: 1_356, act: { type: "rollOut", length: 40_000 } },
      { at: 3_470, act: { type: "killSpeaker", node: 0, length: 35_329 } },
    ],
  },
  "a Service that a restore brings back at once is gone for speakers all the same, which hear of both late": {
    nodes: 2,
    loss: 0,
    config: firstConfig,
    services: { a: { ...spec, pool: "lan" } },
    acts: [
      {
        at: 776,
        act: {
          type: "weather",
          weather: { latencyMs: 200, watchLagMs: 1_000, refusals: 0.6, lostAnswers: 0.2 },
          length: 14_955,
        },
      },
      { at: 9_043, act: { type: "service", name: "a", spec: undefined } },
      { at: 9_055, act: { type: "restore", age: 1_215 } },
    ],
  },
  "after the API was restored from a backup, speakers and controllers tell anew what it lacks": {
    seeds: [4],
    nodes: 2,
    loss: 0,
    config: firstConfig,
    services: { a: { ...spec, pool: "lan", endpoints: [] }, b: { ...spec, pool: "sticky" } },
    acts: [{ at: 25_000, act: { type: "restore", age: 5_000 } }],
  },
  "a peer that was removed and added again while its router restarts is tried more and more seldom": {
    seeds: [700004],
    nodes: 4,
    loss: 0,
    config: bfdConfig,
    services: { a: { ...spec, pool: "routed", endpoints: [2], isLocal: true } },
    acts: [
      { at: 8_075, act: { type: "removePeers", length: 2_812 } },
      { at: 9_893, act: { type: "restartRouter", how: "graceful", length: 27_354 } },
    ],
  },
  "a new address is announced by a node that cannot deliver where the one that can has lost the API": {
    nodes: 2,
    loss: 0,
    config: firstConfig,
    services: {},
    acts: [
      { at: 3_000, act: { type: "cutApi", node: 1, length: 70_000 } },
      { at: 11_000, act: { type: "breakPath", node: 0, length: 36_000 } },
      { at: 17_000, act: { type: "service", name: "a", spec: { ...spec, pool: "both", endpoints: [0] } } },
      { at: 19_000, act: { type: "cutOneWay", from: [0, 1], to: [0], length: 6_000 } },
    ],
  },
  "a speaker of the version before names an owner that has lost the API, and the others name another one": {
    seeds: [123],
    nodes: 5,
    loss: 0.05,
    config: bfdConfig,
    services: {},
    acts: [
      { at: 6_047, act: { type: "cutApi", node: 1, length: 16_788 } },
      { at: 26_441, act: { type: "otherVersion", node: 3, length: 15_434 } },
      {
        at: 27_180,
        act: { type: "service", name: "s1", spec: { ...spec, pool: "strict", port: 82, endpoints: [0, 1, 4], isLocal: true } },
      },
    ],
  },
  "nodes of which one has not seen that a Service's other address changed agree on who keeps the one that stayed": {
    nodes: 5,
    loss: 0,
    config: firstConfig,
    services: { a: { ...spec, pool: "sticky", endpoints: [] }, b: { ...spec, pool: "lan,lan", endpoints: [0, 1, 3, 4] } },
    acts: [
      {
        at: 1_000,
        act: { type: "service", name: "a", spec: { ...spec, pool: "lan", isDual: true, sharing: "k", endpoints: [0, 2, 3, 4] } },
      },
      { at: 6_000, act: { type: "cutApi", node: 3, length: 47_000 } },
      { at: 22_000, act: { type: "config", text: movedConfig, mayRenumber: true } },
    ],
  },
  "a controller whose view of the ConfigMap is of before leads only once it has the present one": {
    seeds: [95],
    nodes: 2,
    loss: 0,
    config: firstConfig,
    services: { a: { ...spec, pool: "lan" } },
    acts: [
      { at: 1_000, act: { type: "breakWatches", of: { controller: 0 } } },
      { at: 1_000, act: { type: "breakWatches", of: { controller: 1 } } },
      {
        at: 1_000,
        act: { type: "weather", weather: { latencyMs: 200, watchLagMs: 1_000, refusals: 0.6, lostAnswers: 0 }, length: 20_000 },
      },
      { at: 2_000, act: { type: "config", text: movedConfig, mayRenumber: true } },
      { at: 5_000, act: { type: "killController", controller: 0, length: 5_000 } },
      { at: 12_000, act: { type: "killController", controller: 1, length: 5_000 } },
    ],
  },
  "after the API was restored from a backup, a Service that moved has its address back from the one that was given it since": {
    nodes: 2,
    loss: 0,
    config: firstConfig,
    services: { a: { ...spec, pool: "lan" }, b: { ...spec, pool: "lan", wanted: "192.0.2.0", port: 81 } },
    acts: [
      { at: 5_000, act: { type: "service", name: "a", spec: { ...spec, pool: "sticky" } } },
      { at: 5_500, act: { type: "restore", age: 2_000 } },
    ],
  },
  "while the Lease is deleted again and again one controller works": {
    nodes: 2,
    loss: 0,
    config: firstConfig,
    services: { a: { ...spec, pool: "lan" } },
    acts: [
      ...[1_000, 2_300, 2_900, 9_000].map((at) => ({ at, act: { type: "deleteLease" } as const })),
      { at: 15_000, act: { type: "stallController", controller: 0, length: 8_000 } },
      { at: 15_000, act: { type: "stallController", controller: 1, length: 3_000 } },
      { at: 15_500, act: { type: "deleteLease" } },
    ],
  },
  "an owner that alone loses the API goes on answering while others advertise the address by BGP, until another one answers": {
    nodes: 3,
    loss: 0,
    config: firstConfig,
    services: { a: { ...spec, pool: "both", endpoints: [0, 2], isLocal: true } },
    acts: [{ at: 1_000, act: { type: "cutApi", node: 2, length: 80_000 } }],
  },
  "a node that gets the address of another one while it runs is in the ring again, and shares no address with others for good": {
    nodes: 5,
    loss: 0,
    config: firstConfig,
    services: { a: { ...spec, pool: "both", endpoints: [0, 1, 2, 3, 4] } },
    acts: [
      { at: 1_000, act: { type: "changeAddress", node: 1, from: 0 } },
      { at: 2_000, act: { type: "killSpeaker", node: 0, length: 31_000 } },
    ],
  },
};

/** Local Services of several kinds, with endpoints on these nodes. */
const locals = (endpoints: readonly number[]) =>
  Object.fromEntries(
    ["lan", "sticky", "both", "nic", "dual"].map((pool, index) => {
      const own = pool === "dual" ? { pool: "lan", isDual: true } : { pool };
      return [pool, { ...spec, ...own, isLocal: true, endpoints: [...endpoints], port: 80 + index }];
    }),
  );
/** Their endpoints are on these nodes from then on. */
function move(at: Millis, endpoints: readonly number[]): History["acts"] {
  return Object.entries(locals(endpoints)).map(([name, one]) => ({ at, act: { type: "service", name, spec: one } as const }));
}
const blindNode: Omit<History, "seed" | "acts"> = { nodes: 4, loss: 0, config: firstConfig, services: locals([3, 0]) };

/** Nodes that have lost the API, and have the last endpoints of Local Services by then. */
const lastEndpoints: typeof regressions = {
  "a node that has lost the API announces what it has the last endpoints of, because others tell it so": {
    ...blindNode,
    acts: [{ at: 6_700, act: { type: "cutApi", node: 0, length: 40_000 } }, ...move(20_000, [0])],
  },
  "the members that tell it so end or lose the API themselves": {
    ...blindNode,
    nodes: 5,
    loss: 0.05,
    acts: [
      { at: 6_700, act: { type: "cutApi", node: 0, length: 120_000 } },
      ...move(20_000, [0]),
      { at: 30_000, act: { type: "killSpeaker", node: 1, length: 3_000 } },
      { at: 40_000, act: { type: "cutApi", node: 2, length: 80_000 } },
      { at: 60_000, act: { type: "stopSpeaker", node: 1, length: 5_000 } },
      ...move(80_000, [0, 3]),
    ],
  },
  "of two nodes that have lost the API the one with the last endpoints announces, where the others are excluded": {
    ...blindNode,
    acts: [
      ...[1, 2].map((node) => ({ at: 0, act: { type: "exclude", node, length: 70_000 } as const })),
      ...[0, 3].map((node) => ({ at: 6_700 + 700 * node, act: { type: "cutApi", node, length: 50_000 } as const })),
      ...move(20_000, [0]),
    ],
  },
  "an address that a node has left which lost the API since is not left to one of an earlier version, which leaves it to the former":
    {
      nodes: 5,
      loss: 0,
      config: firstConfig,
      services: { a: { ...spec, pool: "lan", wanted: "192.0.2.4", endpoints: [0, 1, 2, 3, 4] } },
      acts: [
        { at: 15_000, act: { type: "cutApi", node: 3, length: 60_000 } },
        { at: 23_700, act: { type: "breakPath", node: 3, length: 3_900 } },
        { at: 27_200, act: { type: "otherVersion", node: 1, length: 27_500 } },
      ],
    },
  "a node of an earlier version is told the same, and goes by what it saw": {
    ...blindNode,
    acts: [
      { at: 0, act: { type: "otherVersion", node: 1, length: 60_000 } },
      { at: 6_700, act: { type: "cutApi", node: 0, length: 40_000 } },
      ...move(20_000, [0]),
    ],
  },
};

const behindClosedPort = {
  nodes: 5,
  loss: 0.05,
  config: firstConfig,
  services: {
    a: { ...spec, pool: "lan", endpoints: [0, 1, 2, 3, 4] },
    b: { ...spec, pool: "sticky", endpoints: [0, 1, 2, 3, 4] },
  },
};

/** These speakers end, and start again together: within a second and a half the API has not seen that they ended. */
function restart(nodes: readonly number[], at: Millis, length: Millis): History["acts"] {
  return nodes.map((node) => ({ at, act: { type: "killSpeaker", node, length } as const }));
}

/** Speakers that join a ring while the others cannot be reached. */
const joining: typeof regressions = {
  "two of five speakers that start again behind a closed port leave all addresses to the others": {
    ...behindClosedPort,
    acts: [{ at: 1_000, act: { type: "cut", parts: [0, 0, 0, 1, 1], length: 60_000 } }, ...restart([3, 4], 1_100, 3_000)],
  },
  "three of five that are off for long do so too": {
    ...behindClosedPort,
    acts: [
      ...[2, 3, 4].map((node) => ({ at: 1_000, act: { type: "powerOff", node, length: 50_000 } as const })),
      { at: 40_000, act: { type: "cut", parts: [0, 0, 1, 1, 1], length: 60_000 } },
    ],
  },
  "all five that start again at once take part, whether the API has seen that they ended or not": {
    ...behindClosedPort,
    acts: [...restart([0, 1, 2, 3, 4], 1_000, 200), ...restart([0, 1, 2, 3, 4], 30_000, 5_000)],
  },
  "four that start again at once beside one that stays dead wait until that is known": {
    ...behindClosedPort,
    acts: [
      ...[0, 1, 2, 3].map((node) => ({ at: 1_000, act: { type: "powerOff", node, length: 5_000 } as const })),
      { at: 1_000, act: { type: "powerOff", node: 4, length: 80_000 } },
    ],
  },
  "in a cluster cut into three those that start again find the owners of their part, or wait": {
    ...behindClosedPort,
    acts: [
      { at: 1_000, act: { type: "cut", parts: [0, 0, 1, 1, 2], length: 90_000 } },
      ...restart([3, 4], 10_000, 3_000),
      ...restart([2, 3], 40_000, 3_000),
    ],
  },
};

for (const [name, { seeds = [1, 2, 3], ...history }] of Object.entries({
  ...regressions,
  ...lastEndpoints,
  ...joining,
}))
  test(name, async () => {
    for (const seed of seeds) assert.equal((await run({ ...history, seed })).problem, undefined);
  });

test("where the ring's port is blocked between all nodes, one of them is Ready, and readiness does not alternate", async () => {
  const nodes = [0, 1, 2];
  const cut = { type: "cut", parts: nodes, isLanWhole: true, length: 150_000 } as const;
  const seen = new Map<string, number>(); // which nodes are Ready -> how often that was seen
  const observe = (cluster: SimulatedCluster) => {
    const ready = nodes.filter((node) => cluster.nodes.isReady(node)).join();
    if (cluster.now > 60_000 && cluster.now < 150_000) seen.set(ready, (seen.get(ready) ?? 0) + 1);
  };
  const history = { seed: 1, nodes: 3, loss: 0, config: firstConfig, services: {}, acts: [{ at: 1_000, act: cut }] };
  assert.equal((await run(history, { observe })).problem, undefined);
  assert.deepEqual([...seen.keys()], ["0"]);
});

test("where members tell their labels, a speaker hears of its own Node alone, and addresses follow labels all the same", async () => {
  const fromOthers: string[] = [];
  const follows = new Set<string>();
  const watchCore: NonNullable<Parameters<typeof run>[1]>["watchCore"] = (self, { fromMembers }) => {
    assert.equal(fromMembers, 2, "this seed's speakers follow their own Node alone");
    let isAlone = false;
    return ({ event }, effects) => {
      if (isAlone && event.type === "node" && event.name !== self) fromOthers.push(`${self} heard of ${event.name}`);
      for (const effect of effects)
        if (effect.type === "followNodes") {
          isAlone = effect.names.toString() === self;
          follows.add(`${self}: ${effect.names}`);
        }
    };
  };
  const services = Object.fromEntries(["s0", "s1", "s2"].map((name) => [name, { ...spec, pool: "lan" }]));
  const acts = [0, 1, 2, 3].map((node) => ({ at: 20_000 + 9_000 * node, act: { type: "edge", node, length: 20_000 } as const }));
  const history = { seed: 1, nodes: 4, loss: 0.1, config: firstConfig, services, acts };
  const moves = new Set<string>();
  const observe = (cluster: SimulatedCluster) => {
    for (const { node, on } of cluster.moves) if (on) moves.add(nameOf(node));
  };
  assert.equal((await run(history, { watchCore, observe })).problem, undefined);
  assert.deepEqual(fromOthers, []);
  assert.deepEqual([...follows].sort(), ["node-0: node-0", "node-1: node-1", "node-2: node-2", "node-3: node-3"]);
  assert.ok(moves.size > 1, "addresses went where the label was");
});

test("a speaker that starts beside one that tells nothing asks the API for that Node before it decides, and for no other", async () => {
  const first: string[][] = []; // Nodes that a speaker of node-0 had heard of when it decided first.
  const watchCore: NonNullable<Parameters<typeof run>[1]>["watchCore"] = (self) => {
    const heard = new Set<string>();
    return ({ event }, effects) => {
      if (event.type === "node") heard.add(event.name);
      if (self === nameOf(0) && effects.some(({ type }) => type === "startConfig")) first.push([...heard].sort());
    };
  };
  const services = Object.fromEntries(["s0", "s1", "s2"].map((name) => [name, { ...spec, pool: "lan" }]));
  const restart = { type: "restartSpeakers", nodes: [0], inOrder: false, length: 5_000 } as const;
  const acts = [
    { at: 15_000, act: { type: "otherVersion", node: 2, length: 35_000 } as const },
    { at: 30_000, act: restart },
    { at: 75_000, act: restart },
  ];
  const history = { seed: 1, nodes: 4, loss: 0.1, config: firstConfig, services, acts };
  assert.equal((await run(history, { watchCore })).problem, undefined);
  assert.deepEqual(first, [["node-0"], ["node-0", "node-2"], ["node-0"]]);
});
