import assert from "node:assert/strict";
import { test } from "node:test";
import { drawHistory, firstConfig, type History } from "./cluster/history.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";

/** More take more time: a hundred about 25 s, and 250 minutes in the life of a cluster. */
const count = Number(process.env.CLUSTER_SEEDS ?? 100);
const from = Number(process.env.CLUSTER_FROM ?? 1);
const parts = 4;

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

/** Fails with the shortest history that goes wrong, which can be kept below as a test, and with what happened in it. */
async function explain(history: History): Promise<never> {
  const shortest = await shrink(history);
  const { problem, transcript } = await run(shortest);
  assert.fail(`seed ${history.seed}: ${problem}\n${JSON.stringify(shortest)}\n${transcript.join("\n")}`);
}

const spec = { isDual: false, wanted: undefined, sharing: undefined, port: 80, endpoints: [0, 1], isLocal: false };

/** Histories that went wrong once. */
const regressions: Record<string, Omit<History, "seed">> = {
  "after the API was restored from a backup, what is written is seen although its version is not new": {
    nodes: 2,
    loss: 0,
    services: { a: { ...spec, pool: "sticky" }, b: { ...spec, pool: "lan", port: 81 } },
    acts: [
      { at: 9_000, act: { type: "service", name: "b", spec: undefined } },
      { at: 10_000, act: { type: "restore", age: 1_900 } },
      { at: 11_000, act: { type: "config", text: firstConfig } },
      { at: 12_500, act: { type: "service", name: "a", spec: { ...spec, pool: "lan" } } },
    ],
  },
};

for (const [name, history] of Object.entries(regressions))
  test(name, async () => {
    for (const seed of [1, 2, 3]) assert.equal((await run({ ...history, seed })).problem, undefined);
  });
