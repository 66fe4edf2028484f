import assert from "node:assert/strict";
import { test } from "node:test";
import { configText, startWorld } from "./testing/world.ts";

const config = configText("main 10.0.0.0-10.0.0.1");
const who = "another host uses address 10.0.0.0 (02:00:00:00:00:42, seen on eth0 of node node1)";
const advice =
  "request another address, or remove this one from that host; it can be assigned about a minute after nobody answers for it";

test("a Service whose address another host has gets another one, and an event that says why", async () => {
  const world = await startWorld(config, { web: {} });
  world.occupied("10.0.0.0");
  assert.deepEqual(await world.settle(), [
    `default/web: Warning ClearAssignment: Released ["10.0.0.0"]: ${who}; ${advice}`,
    "default/web: status 10.0.0.1",
    'default/web: Normal IPAllocated: Assigned IP ["10.0.0.1"]',
  ]);
});

test("one that asked for this address has none until it is free", async () => {
  const world = await startWorld(config, { web: { loadBalancerIP: "10.0.0.0" } });
  world.occupied("10.0.0.0");
  assert.deepEqual(await world.settle(), [
    `default/web: Warning ClearAssignment: Released ["10.0.0.0"]: ${who}; ${advice}`,
    `default/web: Warning AllocationFailed: Failed to allocate IP for "default/web": ${who}; ${advice}`,
    "default/web: status cleared",
  ]);
  world.occupied();
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
});

test("it is not given again after the controller has started anew, not even to one on whose record it is", async () => {
  const world = await startWorld(config);
  world.occupied("10.0.0.0");
  await world.settle();
  world.service("old", { ingress: ["10.0.0.0"] });
  await world.restart();
  await world.settle();
  world.service("new");
  await world.settle();
  assert.deepEqual(world.addresses("old", "new"), ["old=10.0.0.1", "new="]);
});

test("when it is free it goes to one that waits for any", async () => {
  const world = await startWorld(config, { a: {}, b: {} });
  world.occupied("10.0.0.1");
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.0", "b="]);
  world.occupied();
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.0", "b=10.0.0.1"]);
});
