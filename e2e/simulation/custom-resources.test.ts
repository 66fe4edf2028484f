// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawOfResources, drawOfSwitches } from "./cluster/draw.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";

/** As many as a few seconds allow; more by CLUSTER_SEEDS. */
const count = Number(process.env.CLUSTER_SEEDS ?? 16);
const from = Number(process.env.CLUSTER_FROM ?? 1);

test(`a cluster configured by custom resources, which people write one by one in any order, keeps its promises (${count} seeds from ${from})`, async () => {
  const said = new Map<string, number>(); // event -> in how many histories
  for (let seed = from; seed < from + count; seed++) {
    const history = drawOfResources(seed);
    const { problem, transcript } = await run(history);
    for (const reason of ["ConfigLoaded", "ConfigStale"])
      if (transcript.some((line) => line.includes(reason))) said.set(reason, (said.get(reason) ?? 0) + 1);
    if (problem === undefined) continue;
    const shortest = await shrink(history);
    const again = await run(shortest);
    assert.fail(`seed ${seed}: ${again.problem}\n${JSON.stringify(shortest)}\n${again.transcript.join("\n")}`);
  }
  for (const reason of ["ConfigLoaded", "ConfigStale"])
    assert.ok((said.get(reason) ?? 0) > count / 10, `${reason} in ${said.get(reason)} histories`);
});

test(`a cluster keeps its promises while its configuration moves between the ConfigMap and custom resources (seeds from ${from})`, async () => {
  for (let seed = from; seed < from + count / 2; seed++) {
    const history = drawOfSwitches(seed);
    const { problem } = await run(history);
    if (problem === undefined) continue;
    const shortest = await shrink(history);
    const again = await run(shortest);
    assert.fail(`seed ${seed}: ${again.problem}\n${JSON.stringify(shortest)}\n${again.transcript.join("\n")}`);
  }
});
