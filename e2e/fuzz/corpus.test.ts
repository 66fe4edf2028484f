// Alone: it counts the blocks that run in all of its process, and so slows that down.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inputText, keptFile, readInputs } from "./corpus.ts";
import { Coverage } from "./coverage.ts";
import { execute } from "./execution.ts";
import { targetNamed, targetNames } from "./targets/index.ts";

for (const name of targetNames)
  test(`${name}: no input of the corpus does harm, or costs more than it may`, async () => {
    const target = await targetNamed(name);
    const coverage = new Coverage();
    const inputs = [...target.seeds, ...readInputs(keptFile(name))];
    assert.ok(inputs.length > target.seeds.length, "there is a corpus");
    for (const input of target.seeds) target.run(input); // The first run of any code also loads it.
    coverage.take();
    const reached = new Set<number>();
    for (const input of inputs) {
      const { features, problem } = execute(target, coverage, input);
      assert.equal(problem, undefined, inputText(input));
      for (const feature of features) reached.add(feature);
    }
    assert.ok(reached.size > 30, `only ${reached.size} blocks and counts are reached: is the parser run at all?`);
  });
