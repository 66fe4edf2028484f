import assert from "node:assert/strict";
import { test } from "node:test";
import { configText, startWorld, type World } from "./testing/world.ts";

async function count(world: World, metric: string): Promise<string | undefined> {
  return new RegExp(`^${metric} (\\S+)$`, "m").exec(await world.registry.metrics())?.[1];
}

test("from when a Service waits until it has its addresses is measured, also when no pool had one at first", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.0"), { first: {} });
  await world.settle();
  assert.equal(await count(world, "ingot_controller_allocation_seconds_count"), "1");
  world.service("second");
  await world.settle();
  world.clock.advanceBy(7_000);
  assert.equal(await count(world, "ingot_controller_allocation_seconds_count"), "1");
  world.delete("first");
  await world.settle();
  assert.equal(await count(world, "ingot_controller_allocation_seconds_count"), "2");
  assert.equal(await count(world, "ingot_controller_allocation_seconds_sum"), "7");
  assert.equal(await count(world, "ingot_controller_status_write_seconds_count"), "2");
});

test("a Service that goes without an address, or that has one already, is not measured", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.0"), { held: { ingress: ["10.0.0.0"] } });
  world.service("waiting");
  await world.settle();
  world.delete("waiting");
  await world.settle();
  assert.equal(await count(world, "ingot_controller_allocation_seconds_count"), "0");
});

test("a Service that was deleted and made again in a gap of the watch has waited since then", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.0"), { first: {}, second: { uid: "1" } });
  world.clock.advanceBy(3_600_000);
  world.service("second", { uid: "2" });
  await world.settle();
  world.clock.advanceBy(7_000);
  world.delete("first");
  await world.settle();
  assert.equal(await count(world, "ingot_controller_allocation_seconds_sum"), "7");
});
