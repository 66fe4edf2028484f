import assert from "node:assert/strict";
import { test } from "node:test";
import { slow } from "#pkg/clock/testing";
import { annotations } from "#pkg/service";
import { configText, startWorld } from "../../testing/world.ts";

const reporting = configText("main 10.0.0.0-10.0.0.1");
const config = `${reporting}  conflict-probe: strict\n`;
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

test("it is not given again after the controller has started anew", async () => {
  const world = await startWorld(config);
  world.occupied("10.0.0.0");
  await world.settle();
  await world.restart();
  world.service("a");
  world.service("b");
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.1", "b="]);
});

// The token of one speaker is enough to write any entry.
test("no report takes an address from a Service that has had it for a while, nor after a restart", async () => {
  const world = await startWorld(config, { web: {} });
  world.clock.advanceBy(30_000);
  world.occupied("10.0.0.0");
  assert.deepEqual(await world.settle(), []);
  await world.restart();
  assert.deepEqual(await world.settle(), []);
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
});

test("an address of which another host is reported counts as taken once its Service gives it up", async () => {
  const world = await startWorld(config, { web: {} });
  world.clock.advanceBy(30_000);
  world.occupied("10.0.0.0");
  world.service("a");
  world.service("b");
  await world.settle();
  world.delete("web");
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.1", "b="]);
});

for (const { name, text } of [
  { name: "a pool whose speakers only report", text: reporting },
  { name: "a pool of BGP", text: config.replace("layer2", "bgp").replace("  conflict-probe: strict\n", "") },
])
  test(`reports about ${name} are without effect here`, async () => {
    const world = await startWorld(text);
    world.occupied("10.0.0.0", "10.0.0.1");
    world.service("web");
    await world.settle();
    assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
  });

test("one node's reports take no more than 100 addresses of a pool", async () => {
  const world = await startWorld(`${configText("main 10.0.0.0-10.0.0.255")}  conflict-probe: strict\n`);
  world.occupied(...Array.from({ length: 256 }, (_, i) => `10.0.0.${i}`));
  for (let i = 0; i < 160; i++) world.service(`s${i}`);
  await world.settle();
  const held = world.addresses(...Array.from({ length: 160 }, (_, i) => `s${i}`)).filter((line) => !line.endsWith("="));
  assert.equal(held.length, 156);
});

test(
  "reports in the name of nodes that do not exist take 1,000 addresses in all, those that Services have not among them",
  slow,
  async () => {
    const world = await startWorld(`${configText("main 10.0.0.0/20")}  conflict-probe: strict\n`, { web: {} });
    world.clock.advanceBy(30_000);
    world.occupiedBy((i) => `nobody${i}`, ...Array.from({ length: 4096 }, (_, i) => `10.0.${i >> 8}.${i & 255}`));
    for (let i = 0; i < 3200; i++) world.service(`s${i}`);
    await world.settle();
    const held = world.addresses("web", ...Array.from({ length: 3200 }, (_, i) => `s${i}`)).filter((line) => !line.endsWith("="));
    assert.equal(held.length, 4096 - 999);
  },
);

test("when it is free it goes to one that waits for any", async () => {
  const world = await startWorld(config, { a: {}, b: {} });
  world.occupied("10.0.0.1");
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.0", "b="]);
  world.occupied();
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.0", "b=10.0.0.1"]);
});

test("of several addresses the one that another host has is replaced, and one that the Service had before stays", async () => {
  const strict = (text: string) => `${text}  conflict-probe: strict\n`;
  const two = `${strict(configText("main 10.0.0.0-10.0.0.1"))}${strict(configText("gold 10.0.1.0-10.0.1.1")).replace("address-pools:\n", "")}`;
  const world = await startWorld(two, { web: { annotations: { [annotations.pool]: "main" } } });
  world.clock.advanceBy(30_000);
  world.change("web", { annotations: { [annotations.pool]: "main,gold" } });
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0+10.0.1.0"]);
  world.occupied("10.0.0.0", "10.0.1.0");
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0+10.0.1.1"]);
});
