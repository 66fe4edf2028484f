// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawCentral } from "./cluster/draw-central.ts";
import type { History } from "./cluster/history.ts";
import { CentralPaths } from "./cluster/judge/central.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";

/** `make scenarios` has time for this many; `make nightly` has others. */
const count = Number(process.env.CENTRAL_SEEDS ?? 20);
const from = Number(process.env.CENTRAL_FROM ?? 1);

const judge = (history: History) => run(history, { judge: new CentralPaths(history) });

test(`central speakers give the router a path to each node that lives, and no route flaps while one of two lives (${count} seeds from ${from})`, async () => {
  for (let seed = from; seed < from + count; seed++) {
    if ((await judge(drawCentral(seed))).problem === undefined) continue;
    const shortest = await shrink(drawCentral(seed), judge);
    const { problem, transcript } = await judge(shortest);
    assert.fail(`seed ${seed}: ${problem}\n${JSON.stringify(shortest)}\n${transcript.join("\n")}`);
  }
});
