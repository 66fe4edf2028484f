// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawSticky } from "./cluster/draw-sticky.ts";
import type { History } from "./cluster/history.ts";
import { StickyOwnership } from "./cluster/judge/sticky.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";

/** `make scenarios` has time for this many; `make nightly` has 2,000 others. */
const count = Number(process.env.STICKY_SEEDS ?? 60);
const from = Number(process.env.STICKY_FROM ?? 1);
const parts = 4;

const judge = (history: History) => run(history, { judge: new StickyOwnership() });

for (let part = 0; part < parts; part++) {
  const seeds = Array.from({ length: count }, (_, i) => from + i).filter((seed) => seed % parts === part);
  test(`sticky addresses are at one node each, whatever happens and whenever speakers see it (${seeds.length} seeds from ${seeds[0]})`, async () => {
    for (const seed of seeds) {
      if ((await judge(drawSticky(seed))).problem === undefined) continue;
      const shortest = await shrink(drawSticky(seed), judge);
      const { problem, transcript } = await judge(shortest);
      assert.fail(`seed ${seed}: ${problem}\n${JSON.stringify(shortest)}\n${transcript.join("\n")}`);
    }
  });
}
