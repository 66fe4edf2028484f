// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawEditedResources } from "./cluster/draw-edited-resources.ts";
import { drawEdits, drawQuietEdits } from "./cluster/draw-edits.ts";
import { drawFields } from "./cluster/draw-fields.ts";
import { drawNics } from "./cluster/draw-nics.ts";
import { drawBesideEarlier } from "./cluster/draw-outages.ts";
import { drawRingless } from "./cluster/draw-ringless.ts";
import { drawSurroundings } from "./cluster/draw-surroundings.ts";
import type { History } from "./cluster/history.ts";
import { movedSince, toldOtherwise } from "./cluster/judge/as-fresh.ts";
import { AsWanted } from "./cluster/judge/as-wanted.ts";
import { Invariants } from "./cluster/judge/invariants.ts";
import { type Outcome, run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";
import type { SimulatedCluster } from "./cluster/simulated-cluster.ts";

/** `make scenarios` has time for this many; `make nightly` has others. */
const count = Number(process.env.EDITED_SEEDS ?? 15);
const from = Number(process.env.EDITED_FROM ?? 1);

type AtRest = (cluster: SimulatedCluster, history: History) => string | undefined | Promise<string | undefined>;

async function judge(history: History, atRest: AtRest): Promise<Outcome> {
  let cluster: SimulatedCluster | undefined;
  const observe = (observed: SimulatedCluster) => {
    cluster = observed;
  };
  const outcome = await run(history, {
    // Of custom resources, which people write one by one, nobody knows from when they are in force.
    judge: new Invariants(history.weather === undefined && history.configSource === undefined ? new AsWanted() : undefined),
    observe,
  });
  if (outcome.problem !== undefined || cluster === undefined) return outcome;
  return { ...outcome, problem: await atRest(cluster, history) };
}

const kinds: Readonly<Record<string, { readonly draw: (seed: number) => History; readonly atRest: AtRest }>> = {
  "edits in the moment in which something fails or is back leave nothing behind": { draw: drawEdits, atRest: toldOtherwise },
  "edits that are not about where an address is announced move none while controllers die and nodes lose the API": {
    draw: drawQuietEdits,
    atRest: (cluster, history) => movedSince(cluster, history) ?? toldOtherwise(cluster, history),
  },
  "NICs, routes, taints and endpoints that change in the moment of a failure leave nothing behind": {
    draw: drawNics,
    atRest: toldOtherwise,
  },
  "labels of namespaces, taints, routers and kinds of Services that change in the moment of a failure leave nothing behind": {
    draw: drawSurroundings,
    atRest: toldOtherwise,
  },
  "fields of pools, peers and BFD, and prefixes of annotations that change in the moment of a failure leave nothing behind": {
    draw: drawFields,
    atRest: toldOtherwise,
  },
  "custom resources that people write one by one in the moment of a failure leave nothing behind": {
    draw: drawEditedResources,
    atRest: toldOtherwise,
  },
  "edits and failures where no speaker has a ring leave nothing behind": { draw: drawRingless, atRest: toldOtherwise },
  "Services made beside a speaker of an earlier version, while other nodes have lost the API, are announced": {
    draw: drawBesideEarlier,
    atRest: toldOtherwise,
  },
};

for (const [name, { draw, atRest }] of Object.entries(kinds))
  test(`${name} (${count} seeds from ${from})`, async () => {
    for (let seed = from; seed < from + count; seed++) {
      if ((await judge(draw(seed), atRest)).problem === undefined) continue;
      const shortest = await shrink(draw(seed), (candidate) => judge(candidate, atRest));
      const { problem, transcript } = await judge(shortest, atRest);
      assert.fail(`seed ${seed}: ${problem}\n${JSON.stringify(shortest)}\n${transcript.join("\n")}`);
    }
  });
