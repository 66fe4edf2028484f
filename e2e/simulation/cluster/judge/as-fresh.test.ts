import assert from "node:assert/strict";
import { test } from "node:test";
import { poolEdits, withField } from "../draw-edits.ts";
import { firstConfig, type History } from "../history.ts";
import { movedSince, toldOtherwise } from "./as-fresh.ts";
import { Scene, spec } from "./scene.ts";

const history: History = { seed: 1, nodes: 2, loss: 0, config: firstConfig, services: { a: spec, b: spec }, acts: [] };

test("a verdict that a cluster which starts with the same objects would not give is found, and one that it would give is none", async () => {
  const { cluster } = await Scene.atRest();
  cluster.people.setService("empty", { ...spec, endpoints: [] });
  await cluster.pass(5_000);
  assert.equal(await toldOtherwise(cluster, history), undefined);
  cluster.machines.setPath(0, false);
  await cluster.pass(10_000);
  assert.match((await toldOtherwise(cluster, history)) ?? "", /^at rest node-0 says that node .*cannotDeliver/);
});

test("what a node has in its kernel, and a cluster that starts with the same objects would not have there, is found", async () => {
  const scene = await Scene.atRest();
  const { cluster } = scene;
  (scene.speaker(0).routed as Set<string>).add("203.0.113.32");
  assert.match((await toldOtherwise(cluster, history)) ?? "", /^at rest node-0 has 203\.0\.113\.32 in its kernel/);
});

test("a route with other attributes than in a cluster that starts with the same objects is found", async () => {
  const { cluster } = await Scene.atRest();
  const withMed = withField(firstConfig, "routed", "bgp-advertisements: [{med: 7}]");
  assert.match(
    (await toldOtherwise(cluster, { ...history, config: withMed })) ?? "",
    /^at rest the router has 198\.51\.100\.0\/32 through node-0 with , MED undefined/,
  );
});

test("an address that moves is found, and one of a Service that came later is none", async () => {
  const { cluster } = await Scene.atRest();
  cluster.people.setService("late", spec);
  await cluster.pass(5_000);
  assert.equal(movedSince(cluster, history), undefined);
  cluster.nodes.setExcluded(cluster.owners().get(cluster.people.status("a")[0] ?? "")?.[0] ?? 0, true);
  await cluster.pass(5_000);
  assert.match(movedSince(cluster, history) ?? "", /^at \d+(\.\d+)? ms node-\d (begins|ceases) to announce 192\.0\.2\./);
});

test("nobody has to answer for an address whose pool is announced by routes alone, or nowhere, and somebody has to again soon after", async () => {
  for (const [name, isExcused] of [
    ["lan by BGP", true],
    ["lan by nobody", true],
    ["lan on no interface", true],
    ["renamed", false],
    ["lan by both", false],
  ] as const) {
    const scene = await Scene.atRest();
    scene.cluster.people.setConfig(poolEdits[name]?.(firstConfig) ?? "", false);
    await scene.pass(20_000);
    assert.equal(scene.invariants.problem, undefined, name);
    // Speakers fall silent, and say that they announce all the same.
    const silence = async () => {
      for (const { layer2 } of scene.cluster.speakers.values()) layer2.end();
      await scene.pass(12_000);
    };
    await silence();
    if (isExcused) assert.equal(scene.invariants.problem, undefined, name);
    else assert.match(scene.invariants.problem ?? "", /nobody of node-0,node-1 answers/, name);
    if (!isExcused) continue;
    scene.cluster.people.setConfig(firstConfig, false);
    await scene.pass(22_000);
    assert.equal(scene.invariants.problem, undefined, name);
    await silence();
    assert.match(scene.invariants.problem ?? "", /nobody of node-0,node-1 answers/, name);
  }
});
