import assert from "node:assert/strict";
import { test } from "node:test";
import { drawHistory } from "../simulation/cluster/history.ts";
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
