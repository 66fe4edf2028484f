// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawSlots } from "./cluster/draw-slots.ts";
import type { History } from "./cluster/history.ts";
import { SlotOwnership } from "./cluster/judge/slots.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";

/** `make scenarios` has time for this many; `make nightly` has others. */
const count = Number(process.env.SLOTS_SEEDS ?? 20);
const from = Number(process.env.SLOTS_FROM ?? 1);

const judge = (history: History) => run(history, { judge: new SlotOwnership(history) });

test(`next-hop slots are at one node each, whatever happens, and a death moves no slots of others (${count} seeds from ${from})`, async () => {
  for (let seed = from; seed < from + count; seed++) {
    if ((await judge(drawSlots(seed))).problem === undefined) continue;
    const shortest = await shrink(drawSlots(seed), judge);
    const { problem, transcript } = await judge(shortest);
    assert.fail(`seed ${seed}: ${problem}\n${JSON.stringify(shortest)}\n${transcript.join("\n")}`);
  }
});
