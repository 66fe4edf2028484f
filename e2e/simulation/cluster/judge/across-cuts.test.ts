// Scenario: minutes of simulated time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene } from "./scene.ts";

/** Nodes whose ring is cut, on one LAN. */
async function cutRing(): Promise<Scene> {
  const scene = await Scene.atRest();
  scene.cluster.ring.cutOff([1]);
  scene.cluster.lan.isWhole = true;
  await scene.pass(30_000);
  return scene;
}

test("of two nodes whose ring is cut one answers for each address, which the other notices where it is no more; two are found", async () => {
  const scene = await cutRing();
  const owners = () => [...scene.cluster.owners()].map(([address, nodes]) => `${address} ${nodes}`).sort();
  const before = owners();
  assert.deepEqual([before.length, before.filter((one) => one.includes(",")), scene.invariants.problem], [2, [], undefined]);
  const [address = "", owner] = before[0]?.split(" ") ?? [];
  for (let passed = 0; passed < 12_000; passed += 100) {
    scene.speaker(1 - Number(owner)).announced.add(address); // Again and again: what speakers tell of Services has them look at these.
    await scene.pass(100);
  }
  assert.match(scene.invariants.problem ?? "", /is at node-0 and node-1 although they see one another on the LAN/);

  const dead = await cutRing();
  dead.cluster.powerOff(Number(owner));
  await dead.pass(6_000);
  assert.deepEqual(dead.cluster.owners().get(address), [1 - Number(owner)]);
});

test("nodes that prove nothing, because their LAN carries no challenges, both answer", async () => {
  const scene = await Scene.atRest();
  for (const node of [0, 1]) scene.speaker(node).layer2.receive = () => {};
  scene.cluster.ring.cutOff([1]);
  scene.cluster.lan.isWhole = true;
  await scene.pass(30_000);
  assert.match(scene.invariants.problem ?? "", /although they see one another on the LAN/);
});

test("a node that has lost all others and the API leaves its addresses to one that has not; one whose proofs do not say so is found", async () => {
  const lonely = async (saysSo: boolean, node: number) => {
    const scene = await Scene.atRest();
    const { cluster } = scene;
    if (!saysSo) scene.speaker(node).layer2.setAlone = () => {};
    scene.speaker(node).connection.isCut = true;
    cluster.ring.cutOff([1]);
    cluster.lan.isWhole = true;
    await scene.pass(40_000);
    return { owners: [...cluster.owners().values()].flat(), problem: scene.invariants.problem };
  };
  for (const node of [0, 1]) assert.deepEqual(await lonely(true, node), { owners: [1 - node, 1 - node], problem: undefined });
  const silent = [await lonely(false, 0), await lonely(false, 1)];
  assert.match(
    silent.map(({ problem }) => problem).join("\n"),
    /node-\d leaves \S+ to node-\d, which has lost all others and the API/,
  );
});
