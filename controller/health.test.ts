import assert from "node:assert/strict";
import { test } from "node:test";
import { liveness, readiness } from "#pkg/process";
import { configText, startWorld, World } from "./testing/world.ts";

function readinessOf({ controller: { missing, view } }: World) {
  return readiness({ missing, refused: view.refused });
}

test("not ready says what is being waited for", async () => {
  const world = new World();
  world.cluster.silent.add("services");
  world.controller.start();
  await world.settle();
  assert.deepEqual(readinessOf(world), { status: 503, contentType: "text/plain", body: "waiting for Services\n" });
  assert.equal(await world.metric("ingot_controller_leader"), 0, "It leads, and does nothing: IngotNoLeader is about that.");
});

test("ready once all has been seen", async () => {
  const world = await startWorld(configText("main 10.0.0.0/24"));
  const { status, body } = readinessOf(world);
  assert.deepEqual({ status, body }, { status: 200, body: "ready\n" });
  assert.equal(await world.metric("ingot_controller_leader"), 1);
});

test("ready also without a usable configuration, and the answer says why there is none", async () => {
  const { status, body } = readinessOf(await startWorld(undefined));
  assert.deepEqual({ status, body }, { status: 200, body: "ready\nconfiguration not used: the ConfigMap does not exist\n" });
});

test("the process is alive while it answers", () => assert.equal(liveness().status, 200));
