// Long: many seeds.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { drawStory } from "./testing/draw-story.ts";
import { NodeInterfaces } from "./testing/node-interfaces.ts";
import { Telling } from "./testing/telling.ts";

const count = Number(process.env.STORY_SEEDS ?? 60);
const from = Number(process.env.STORY_FROM ?? 1);

test("of two entries for one router, whose sessions come from the same address, one has a session", async (t: TestContext) => {
  const interfaces = new NodeInterfaces(t);
  for (const reached of ["gateway", "node"] as const)
    for (const source of ["address", "interface"] as const) {
      const act = { at: 0, type: "peer", router: 0, fields: { reached, isTwice: "otherSource", source } } as const;
      const telling = new Telling({ seed: 1, routers: 1, latency: 3, acts: [act] }, interfaces);
      assert.equal(await telling.run(), undefined, telling.transcript.join("\n"));
    }
});

test("an entry for a router that has a session by another one waits, before that one or behind it", async (t: TestContext) => {
  const interfaces = new NodeInterfaces(t);
  for (const isTwice of ["otherSource", "otherSourceFirst"] as const)
    for (const source of ["address", "interface"] as const) {
      const fields = { reached: "node", source } as const;
      const acts = [
        { at: 0, type: "peer", router: 0, fields },
        { at: 30_000, type: "peer", router: 0, fields: { ...fields, isTwice } },
      ] as const;
      const telling = new Telling({ seed: 1, routers: 1, latency: 3, acts }, interfaces);
      assert.equal(await telling.run(), undefined, telling.transcript.join("\n"));
      const since = telling.transcript.slice(telling.transcript.findIndex((line) => line.startsWith("35 ")));
      assert.deepEqual(
        since.filter((line) => line.includes("router 0")),
        [],
        isTwice,
      );
    }
});

test("whatever speaker and routers go through, routers have the wanted routes, and lose none that they may keep", async (t: TestContext) => {
  const interfaces = new NodeInterfaces(t);
  for (let seed = from; seed < from + count; seed++) {
    const telling = new Telling(drawStory(seed), interfaces);
    const problem = await telling.run();
    assert.equal(problem, undefined, `seed ${seed}: ${problem}\n${telling.transcript.join("\n")}`);
  }
});
