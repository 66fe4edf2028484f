// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawConnections } from "./cluster/draw-connections.ts";
import type { History } from "./cluster/history.ts";
import { KeptConnections } from "./cluster/judge/kept-connections.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";

/** `make scenarios` has time for this many; `make nightly` has others. */
const count = Number(process.env.CONNECTIONS_SEEDS ?? 20);
const from = Number(process.env.CONNECTIONS_FROM ?? 1);

test("connections go on at planned moves, whatever else happens, and no packet goes round", async () => {
  const excuses = new Map<string, number>();
  const sum = { opened: 0, handedOn: 0, broken: 0 };
  const judge = (history: History, kept = new KeptConnections(history)) => run(history, { judge: kept });
  for (let seed = from; seed < from + count; seed++) {
    const history = drawConnections(seed);
    const kept = new KeptConnections(history);
    const { problem } = await judge(history, kept);
    for (const key of ["opened", "handedOn", "broken"] as const) sum[key] += kept.counts[key];
    for (const [excuse, times] of kept.excuses) {
      const kind = `${seed % 2 === 0 ? "planned" : "faults"}: ${excuse}`;
      excuses.set(kind, (excuses.get(kind) ?? 0) + times);
    }
    if (problem === undefined) continue;
    const shortest = await shrink(history, (each) => judge(each));
    const { problem: shorter, transcript } = await judge(shortest);
    assert.fail(`seed ${seed}: ${shorter}\n${JSON.stringify(shortest)}\n${transcript.join("\n")}`);
  }
  console.log(`${count} seeds from ${from}`, JSON.stringify(sum), excuses);
  assert.ok(sum.handedOn > 0, "nothing was handed over");
});
