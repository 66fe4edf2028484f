// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawWithoutLease } from "./cluster/draw.ts";
import { endOf, type History } from "./cluster/history.ts";
import { TwoAtWork } from "./cluster/judge/two-at-work.ts";
import { run, startMs } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";

/** As many as a few seconds allow; more by CLUSTER_SEEDS. */
const count = Number(process.env.CLUSTER_SEEDS ?? 20);
const from = Number(process.env.CLUSTER_FROM ?? 1);

const judge = (history: History) => run(history, { judge: new TwoAtWork(startMs + endOf(history)) });

test(`two controllers without the right to the Lease come to rest, and speakers announce what they leave (${count} seeds from ${from})`, async () => {
  const writers = new Map<string, number>(); // controller -> how many addresses it gave
  for (let seed = from; seed < from + count; seed++) {
    const history = drawWithoutLease(seed);
    const { problem, transcript } = await judge(history);
    for (const line of transcript) {
      const [, writer] = /(controller-\d): \S+ Normal IPAllocated/.exec(line) ?? [];
      if (writer !== undefined) writers.set(writer, (writers.get(writer) ?? 0) + 1);
    }
    if (problem === undefined) continue;
    const shortest = await shrink(history, judge);
    const again = await judge(shortest);
    assert.fail(`seed ${seed}: ${again.problem}\n${JSON.stringify(shortest)}\n${again.transcript.join("\n")}`);
  }
  for (const each of ["controller-0", "controller-1"]) assert.ok((writers.get(each) ?? 0) >= count, `${each} wrote little`);
});
