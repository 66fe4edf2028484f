import assert from "node:assert/strict";
import { test } from "node:test";
import "../../../pkg/clock/testing/untracked-promises.ts";
import { World } from "./world.ts";

const configuration = "address-pools:\n- {name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.209]}\n";

test("people are told of a node that cannot deliver, of all nodes, and of none any more", async () => {
  const world = await World.start(configuration);
  world.cluster.machines.setPath(0, false);
  await world.says("speaker-0", "cannotDeliver", "node", "node-0");
  world.cluster.machines.setPath(1, false);
  for (const node of [0, 1]) await world.says(`speaker-${node}`, "nobodyDelivers", "node", `node-${node}`);
  world.cluster.machines.setPath(1, true);
  await world.says("speaker-1", "ready", "node", "node-1");
  await world.says("speaker-0", "cannotDeliver", "node", "node-0");
  world.cluster.machines.setPath(0, true);
  await world.says("speaker-0", "ready", "node", "node-0");
  assert.deepEqual([...world.cluster.machines.withoutPath], []);
});
