// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { StickyScenario } from "../../speaker/testing/sticky-scenario.ts";
import "../../pkg/clock/testing/untracked-promises.ts";

/** More take more time: a thousand about a minute. */
const count = Number(process.env.STICKY_SEEDS ?? 1000);
const from = Number(process.env.STICKY_FROM ?? 1);
const parts = 4;

for (let part = 0; part < parts; part++) {
  const seeds = Array.from({ length: count }, (_, i) => from + i).filter((seed) => seed % parts === part);
  test(`sticky addresses are at one node each, whatever happens and whenever speakers see it (${seeds.length} seeds from ${seeds[0]})`, async () => {
    const problems: string[] = [];
    for (const seed of seeds) {
      const problem = await new StickyScenario(seed).run();
      if (problem !== undefined) problems.push(`seed ${seed}: ${problem}`);
    }
    assert.deepEqual(problems, []);
  });
}
