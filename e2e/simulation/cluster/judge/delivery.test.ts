import assert from "node:assert/strict";
import { test } from "node:test";
import { firstConfig } from "../history.ts";
import { Scene } from "./scene.ts";

/** The configuration in which a pool's addresses and routes stay at nodes that live. */
const alive = (pool: string) => firstConfig.replace(`- name: ${pool}\n`, `- name: ${pool}\n  announce-when: alive\n`);

test("a node that goes on answering for what it cannot deliver is found, and one that goes on advertising it", async () => {
  const found = [
    ["lan", /node-\d answers for 192\.0\.2\.\d, which it cannot deliver, while others can/],
    ["routed", /the router has 198\.51\.100\.0\/32 through node-0, which cannot deliver it, while others can/],
  ] as const;
  for (const [pool, problem] of found) {
    const scene = await Scene.atRest(alive(pool));
    const [owner] = pool === "lan" ? (scene.cluster.owners().get(scene.cluster.people.status("a")[0] ?? "") ?? []) : [0];
    assert.ok(owner !== undefined);
    scene.cluster.machines.setPath(owner, false);
    await scene.pass(6_000);
    assert.equal(scene.invariants.problem, undefined, "it is about to leave it");
    await scene.pass(8_000);
    assert.match(scene.invariants.problem ?? "", problem);
  }
});

test("nothing is found where the node leaves its addresses and routes, or where no other node can deliver", async () => {
  const scene = await Scene.atRest();
  scene.cluster.machines.setPath(0, false);
  await scene.pass(20_000);
  assert.equal(scene.invariants.problem, undefined);
  assert.deepEqual([...new Set([...scene.cluster.owners().values()].flat())], [1]);
  assert.deepEqual([...scene.cluster.router.routes().values()], [["at-1"]]);
  scene.cluster.machines.setPath(1, false);
  await scene.pass(20_000);
  assert.equal(scene.invariants.problem, undefined);
});

test("nothing is found where a node that fails again and again is not counted on yet, while the other one cannot deliver at all", async () => {
  const scene = await Scene.atRest();
  scene.cluster.machines.setPath(1, false);
  for (let times = 0; times < 6; times++) {
    scene.cluster.machines.setPath(0, false);
    await scene.pass(1_800);
    scene.cluster.machines.setPath(0, true);
    await scene.pass(7_300);
    assert.equal(scene.invariants.problem, undefined, `${times + 1} times`);
  }
});
