import assert from "node:assert/strict";
import { test } from "node:test";
import { annotations } from "#pkg/service";
import { configText, startWorld, type World } from "../../testing/world.ts";

/** `STATE CAUSE` of each Service that was asked for. */
function verdicts(world: World, ...names: string[]): string[] {
  return names.map((name) => {
    const [one] = world.statuses(`default/${name}`);
    return one === undefined ? "none" : `${one.verdict.state} ${one.verdict.cause}`;
  });
}

const small = configText("a 10.0.0.0-10.0.0.1");

test("a Service has one verdict, with facts and what to do, and since when", async () => {
  const world = await startWorld(small, { one: {}, two: {} });
  world.service("three");
  await world.settle();
  assert.deepEqual(verdicts(world, "one", "two", "three"), ["Assigned assigned", "Assigned assigned", "Pending noPoolFits"]);
  const [three] = world.statuses("default/three");
  assert.ok(three);
  const { since, verdict } = three;
  assert.match(verdict.message, /^no pool can serve this Service: pool "a" has no free IPv4 address \(all 2 are in use\)$/);
  assert.match(verdict.next, /^add addresses to a pool/);
  assert.deepEqual(verdict.evidence, [
    { name: "families", value: "IPv4", source: "Service" },
    { name: "pool", value: 'pool "a" has no free IPv4 address (all 2 are in use)', source: "allocator" },
  ]);
  world.clock.advanceBy(60_000);
  world.change("three", { annotations: { note: "seen" } });
  await world.settle();
  const [again] = world.statuses("default/three");
  assert.equal(again?.since, since);
  world.delete("one");
  await world.settle();
  const [served] = world.statuses("default/three");
  assert.deepEqual([served?.verdict.cause, served?.since], ["assigned", since + 60_000]);
});

test("a Service that was deleted and made again in a gap of the watch is as it is since then", async () => {
  const world = await startWorld(configText("a 10.0.0.0-10.0.0.0"), { one: {}, two: { uid: "1" } });
  for (const name of ["one", "two"]) {
    world.clock.advanceBy(60_000);
    world.service(name, { uid: "2" });
    await world.settle();
    const [again] = world.statuses(`default/${name}`);
    assert.equal(again?.since, world.clock.now(), name);
  }
});

test("each Service is listed once, also one that is made again while a long list is read", async () => {
  const world = await startWorld(configText("a 10.0.0.0-10.0.0.9"), { one: {}, two: {}, three: {} });
  const looking = Iterator.from(world.statuses());
  const listed = [looking.next().value?.service.name];
  for (const name of ["one", "two"]) {
    world.delete(name);
    await world.settle();
  }
  world.service("one", { uid: "again" });
  await world.settle();
  assert.deepEqual([...listed, ...looking.map(({ service }) => service.name)], ["one", "three"]);
});

test("a Service that keeps an address, although it asks for another one, is degraded", async () => {
  const world = await startWorld(small, { one: {}, two: {} });
  world.change("two", { annotations: { [annotations.addresses]: "10.0.0.0" } });
  await world.settle();
  assert.deepEqual(verdicts(world, "two"), ["Degraded inUse"]);
  world.change("two", { annotations: { [annotations.addresses]: "nonsense" } });
  await world.settle();
  assert.deepEqual(verdicts(world, "two"), ["Degraded malformedRequest"]);
  world.change("two", { annotations: { [annotations.addresses]: "10.0.0.1", [annotations.pool]: "b" } });
  await world.settle();
  assert.deepEqual(verdicts(world, "two"), ["Degraded unknownPool"]);
});

test("a Service without a right to an address is not ours, and one of another type has no verdict", async () => {
  const world = await startWorld(small, {
    other: { isClaimed: false },
    headless: { clusterIPs: ["None"] },
    plain: { type: "ClusterIP" },
  });
  assert.deepEqual(verdicts(world, "other", "headless", "plain", "gone"), [
    "NotOurs otherLoadBalancerClass",
    "NotOurs noClusterIPs",
    "none",
    "none",
  ]);
});

test("a Service of another class is told its class, and one without a class that it has none", async () => {
  const world = await startWorld(small, {
    other: { isClaimed: false, otherClass: "example.com/lb" },
    without: { isClaimed: false },
  });
  const said = (name: string) => [...world.statuses(`default/${name}`)][0]?.verdict.message;
  assert.match(`${said("other")}`, /"example\.com\/lb", which this controller does not serve/);
  assert.match(`${said("without")}`, /has no loadBalancerClass/);
});

test("without a configuration Services wait for it", async () => {
  const world = await startWorld(undefined, { one: {} });
  assert.deepEqual(verdicts(world, "one"), ["Pending noConfiguration"]);
  assert.deepEqual(
    [world.controller.view.configuration.verdict.cause, world.controller.view.configuration.inForce],
    ["configMapMissing", undefined],
  );
  world.config(small);
  await world.settle();
  assert.deepEqual(verdicts(world, "one"), ["Assigned assigned"]);
});

test("a configuration that is refused says so with its lines, and the last good one stays", async () => {
  const world = await startWorld(small, { one: {} });
  world.clock.advanceBy(1_000);
  world.config("address-pools:\n- nonsense: 1\n");
  await world.settle();
  const { verdict, since, inForce } = world.controller.view.configuration;
  assert.deepEqual([verdict.state, verdict.cause, since], ["Degraded", "invalid", 1_000]);
  assert.match(verdict.message, /the last good one stays in force: .*line 2, column 3/);
  assert.equal(inForce?.pools[0]?.name, "a");
  world.config(configText("b 10.9.0.0-10.9.0.1"));
  await world.settle();
  const strands = world.controller.view.configuration.verdict;
  assert.deepEqual(
    [strands.cause, strands.evidence],
    ["strands", [{ name: "default/one", value: "10.0.0.0", source: "Services" }]],
  );
});

test("a pool is full from its last assignment on, until one is freed", async () => {
  const world = await startWorld(small, { one: {} });
  const pool = () => [...world.controller.view.pools()].map(({ verdict: { cause }, since }) => `${cause} ${since}`);
  assert.deepEqual(pool(), ["available 0"]);
  world.clock.advanceBy(5_000);
  world.service("two");
  await world.settle();
  assert.deepEqual(pool(), ["full 5000"]);
  world.clock.advanceBy(1_000);
  world.delete("two");
  await world.settle();
  assert.deepEqual(pool(), ["available 6000"]);
});

const reservedCases = [
  { name: "none of them are in use", services: [], want: "available" },
  { name: "one of them is free", services: ["a"], want: "available" },
  {
    name: "all of them are in use",
    services: ["a", "b"],
    want: "full: pool kept has no free IPv4 address: 2 of 2 IPv4 are in use",
  },
  {
    name: "those for all are in use",
    addresses: "10.0.0.0-10.0.0.2",
    services: ["a", "other/c"],
    want: "full: pool kept has no free IPv4 address besides reserved ones: 2 of 3 IPv4 are in use",
  },
];
for (const { name, addresses = "10.0.0.0-10.0.0.1", services, want } of reservedCases)
  test(`a pool with reserved addresses, when ${name}`, async () => {
    const reserved = "reserved: [{addresses: [10.0.0.0/31], namespace: default}]";
    const world = await startWorld(`address-pools: [{name: kept, protocol: layer2, addresses: [${addresses}], ${reserved}}]\n`);
    for (const service of services) world.service(service);
    await world.settle();
    const [{ cause, message } = { cause: "", message: "" }] = Array.from(world.controller.view.pools(), ({ verdict }) => verdict);
    assert.equal(cause === "available" ? cause : `${cause}: ${message}`, want);
  });

test("a controller that stands by gives no verdicts", async () => {
  const world = await startWorld(small, { one: {} });
  await world.restart();
  assert.deepEqual([...world.statuses()].length + [...world.controller.view.pools()].length, 0);
});
