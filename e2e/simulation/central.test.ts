// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { firstCentral } from "#pkg/memberlist/testing";
import { drawCentral } from "./cluster/draw-central.ts";
import { centralConfig, type History } from "./cluster/history.ts";
import { CentralPaths } from "./cluster/judge/central.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";

/** `make scenarios` has time for this many; `make nightly` has others. */
const count = Number(process.env.CENTRAL_SEEDS ?? 6);
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

test("a central speaker that starts while the ring is cut keeps the paths to nodes that it has not met", async () => {
  const drawn = drawCentral(3);
  const services = Object.fromEntries(
    Object.entries(drawn.services).map(([name, spec]) => [name, { ...spec, endpoints: [0, 1, 2] }]),
  );
  const acts: History["acts"] = [
    { at: 1_000, act: { type: "cut", parts: [0, 1, 1], centralParts: [0], length: 20_000 } },
    { at: 4_000, act: { type: "killSpeaker", node: firstCentral, length: 500 } },
  ];
  const { problem, transcript } = await judge({ ...drawn, nodes: 3, centralSpeakers: 1, services, acts });
  assert.equal(problem, undefined, transcript.join("\n"));
});

test("a router that drops one stale path at each End-of-RIB has none in the end, however many a central speaker announces no more", async () => {
  const drawn = drawCentral(3);
  const { local } = drawn.services;
  assert.ok(local !== undefined);
  const moved = { ...local, endpoints: [3] };
  const acts: History["acts"] = [
    { at: 1_000, act: { type: "killSpeaker", node: firstCentral, length: 3_000 } },
    { at: 1_500, act: { type: "service", name: "local", spec: moved } },
  ];
  const services = { ...drawn.services, local: { ...local, endpoints: [0, 1, 2] } };
  const config = centralConfig(["addPath"]);
  const { problem, transcript } = await judge({ ...drawn, nodes: 4, centralSpeakers: 1, config, services, acts });
  assert.equal(problem, undefined, transcript.join("\n"));
});
