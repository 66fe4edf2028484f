import assert from "node:assert/strict";
import { test } from "node:test";
import { drawHistory, firstConfig, type History } from "../simulation/cluster/history.ts";
import { run } from "../simulation/cluster/run.ts";
import { check, type Sample } from "./index.ts";
import { sampleOf } from "./simulated.ts";

// The simulation of the whole cluster tries more of them, by invariants of its own.
const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

test(`in simulated clusters each address has one owner, and all nodes say so (${seeds.length} seeds)`, async () => {
  for (const seed of seeds) {
    const samples: Sample[] = [];
    await run(drawHistory(seed), (cluster) => samples.push(sampleOf(cluster)));
    assert.deepEqual(check(samples), [], `seed ${seed}`);
    assert.ok(samples.some(({ answers }) => answers.size > 0));
  }
});

const spec = { isDual: false, wanted: undefined, sharing: undefined, port: 80, isLocal: true };

/** Histories that went wrong once. */
const regressions: Record<string, Omit<History, "seed" | "loss" | "config">> = {
  "an owner that alone loses the API goes on answering while others advertise the address by BGP, until others do answer": {
    nodes: 3,
    services: { s0: { ...spec, endpoints: [0, 2], pool: "both" } },
    acts: [
      { at: 1_000, act: { type: "cutApi", of: { speaker: 2 }, length: 80_000 } },
      { at: 1_100, act: { type: "breakWatches", of: { speaker: 2 } } },
    ],
  },
};
for (const [name, history] of Object.entries(regressions))
  test(name, async () => {
    for (const seed of [1, 2, 3]) {
      const samples: Sample[] = [];
      await run({ ...history, seed, loss: 0, config: firstConfig }, (cluster) => samples.push(sampleOf(cluster)));
      assert.deepEqual(check(samples), [], `seed ${seed}`);
    }
  });
