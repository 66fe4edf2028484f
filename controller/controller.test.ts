import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { resources } from "#pkg/k8s";
import { annotations } from "#pkg/service";
import { configText, startWorld, World } from "./testing/world.ts";

const ten = configText("main 10.0.0.0-10.0.0.9");
const two = configText("main 10.0.0.0-10.0.0.1");
const one = configText("main 10.0.0.0-10.0.0.0");

test("a new Service gets an address, its status and an event", async () => {
  const world = await startWorld(ten);
  world.service("web");
  assert.deepEqual(await world.settle(), [
    "default/web: status 10.0.0.0",
    'default/web: Normal IPAllocated: Assigned IP ["10.0.0.0"]',
  ]);
});

test("the first configuration is kept on record, with an event", async () => {
  const world = new World();
  world.config(ten);
  world.controller.start();
  assert.deepEqual(await world.settle(), [
    "metallb-system/config: Normal ConfigLoaded: configuration loaded",
    "metallb-system/ingot-status: written",
  ]);
});

test("addresses on record are adopted before any is given, whatever the order of names and arrival", async () => {
  const world = new World();
  world.config(two);
  world.service("a");
  world.service("z", { ingress: ["10.0.0.0"] });
  world.controller.start();
  await world.settle();
  assert.deepEqual(world.addresses("a", "z"), ["a=10.0.0.1", "z=10.0.0.0"]);
});

test("an event says what of the record is not allowed, also where a part of it is", async () => {
  const world = new World();
  world.config(configText("main 10.0.0.0-10.0.0.9 fd00::1-fd00::2"));
  world.service("web", { clusterIPs: ["10.96.0.1", "fd96::1"], ingress: ["10.0.0.1", "fd00::9"] });
  world.controller.start();
  const recorded = (await world.settle()).filter((line) => line.startsWith("default/web"));
  assert.deepEqual(recorded, [
    'default/web: Warning ClearAssignment: Released ["fd00::9"]: address fd00::9 is in no pool; request another address or add this one to a pool',
    "default/web: status 10.0.0.1 fd00::1",
    'default/web: Normal IPAllocated: Assigned IP ["10.0.0.1" "fd00::1"]',
  ]);
});

for (const late of ["services", "configmaps"] as const)
  test(`nothing is given while the ${late} have not been seen`, async () => {
    const world = new World();
    world.cluster.silent.add(late);
    world.config(ten);
    world.service("web");
    world.controller.start();
    assert.deepEqual(await world.settle(), []);
    assert.notDeepEqual(world.controller.missing, []);
    world.cluster.silent.clear();
    await world.settle();
    assert.deepEqual([world.addresses("web"), world.controller.missing], [["web=10.0.0.0"], []]);
  });

test("without any configuration Services keep what they have, and those without get an event that says why", async () => {
  const world = await startWorld(undefined, {
    old: { ingress: ["10.0.0.5"] },
    plain: { type: "ClusterIP" },
    theirs: { isClaimed: false },
  });
  world.service("new");
  assert.deepEqual(await world.settle(), [
    'default/new: Warning AllocationFailed: Failed to allocate IP for "default/new": there is no configuration: the ConfigMap does not exist (metallb-system/config)',
  ]);
  world.config(ten);
  await world.settle();
  assert.deepEqual(world.addresses("old", "new"), ["old=10.0.0.5", "new=10.0.0.0"]);
});

test("a restart keeps every address and says nothing", async () => {
  const world = await startWorld(ten, { a: {}, b: {}, c: {} });
  world.delete("a");
  await world.settle();
  const before = world.addresses("b", "c");
  await world.restart();
  assert.deepEqual([await world.settle(), world.addresses("b", "c")], [[], before]);
});

test("a Service that waits gets the address that another one gives up", async () => {
  const world = await startWorld(one, { first: {} });
  world.service("second");
  assert.match(
    (await world.settle()).join("\n"),
    /^default\/second: Warning AllocationFailed: Failed to allocate IP for "default\/second": .*pool "main" has no free IPv4 address.*$/,
  );
  world.delete("first");
  assert.deepEqual(await world.settle(), [
    "default/second: status 10.0.0.0",
    'default/second: Normal IPAllocated: Assigned IP ["10.0.0.0"]',
  ]);
});

test("a Service that is a load balancer no more loses its status, and its address goes to who waits", async () => {
  const world = await startWorld(one, { first: {} });
  world.service("second");
  await world.settle();
  world.change("first", { type: "ClusterIP" });
  await world.settle();
  assert.deepEqual(world.addresses("first", "second"), ["first=", "second=10.0.0.0"]);
  world.change("first", { type: "LoadBalancer" });
  world.delete("second");
  await world.settle();
  assert.deepEqual(world.addresses("first"), ["first=10.0.0.0"]);
});

test("a Service of another load balancer class is never touched", async () => {
  const world = await startWorld(ten, { theirs: { isClaimed: false, ingress: ["10.0.0.0"] } });
  world.service("ours");
  world.change("theirs", { ingress: ["192.0.2.1"] });
  await world.settle();
  assert.deepEqual(world.addresses("theirs", "ours"), ["theirs=192.0.2.1", "ours=10.0.0.0"]);
});

test("a host name that somebody wrote beside the address is removed", async () => {
  const world = await startWorld(ten, { web: {} });
  world.change("web", { hasHostnames: true });
  assert.deepEqual((await world.settle()).slice(-2), [
    "default/web: status 10.0.0.0",
    'default/web: Normal IPAllocated: Assigned IP ["10.0.0.0"]',
  ]);
  assert.equal(world.cluster.service("default/web")?.hasHostnames, false);
});

test("of two Services that ask for one address the second gets an event that names the first, and the address after it", async () => {
  const world = await startWorld(ten, { first: { loadBalancerIP: "10.0.0.7" } });
  world.service("second", { annotations: { [annotations.addresses]: "10.0.0.7" } });
  const [event, ...more] = await world.settle();
  assert.match(event ?? "", /^default\/second: Warning AllocationFailed: .*address 10\.0\.0\.7 is in use by default\/first/);
  assert.deepEqual(more, []);
  world.delete("first");
  await world.settle();
  assert.deepEqual(world.addresses("second"), ["second=10.0.0.7"]);
});

test("a malformed annotation is an event on its own Service and harms no other", async () => {
  const world = await startWorld(ten, { well: {} });
  world.service("bad", { annotations: { [annotations.addresses]: "10.0.0.300" } });
  world.service("also-well");
  const recorded = (await world.settle()).filter((line) => line.startsWith("default/bad"));
  assert.deepEqual(recorded, [
    'default/bad: Warning AllocationFailed: Failed to allocate IP for "default/bad": ' +
      'invalid metallb.universe.tf/loadBalancerIPs "10.0.0.300": "10.0.0.300" is not an IP address',
  ]);
  assert.deepEqual(world.addresses("well", "bad", "also-well"), ["well=10.0.0.0", "bad=", "also-well=10.0.0.1"]);
});

test("the same verdict is one event, and another after it was another one in between", async () => {
  const world = await startWorld(ten, { web: { annotations: { [annotations.pool]: "nowhere" } } });
  world.change("web", { selector: { app: "other" } });
  assert.deepEqual(await world.settle(), []);
  world.change("web", { annotations: {} });
  await world.settle();
  world.change("web", { annotations: { [annotations.pool]: "nowhere" } });
  assert.match((await world.settle()).join("\n"), /AllocationFailed.*nowhere.*it keeps \["10\.0\.0\.0"\]$/);
});

test("a write that meets a newer object is decided again from that", async () => {
  const world = await startWorld(ten);
  world.service("web");
  world.cluster.deliver();
  world.change("web", { loadBalancerIP: "10.0.0.5" }); // Its owner was faster; the controller does not know yet.
  world.cluster.silent.add("services");
  assert.deepEqual(await world.settle(), ["default/web: conflict"]);
  world.clock.advanceBy(200); // It is also tried again without news, in case the newer object is already here.
  assert.deepEqual(await world.settle(), ["default/web: conflict"]);
  world.cluster.silent.clear();
  assert.deepEqual(await world.settle(), [
    "default/web: status 10.0.0.5",
    'default/web: Normal IPAllocated: Assigned IP ["10.0.0.5"]',
  ]);
});

test("a status that was just replaced, but is still seen, is not taken for one that someone wrote", async () => {
  const pools = ["main 10.0.0.0-10.0.0.9", "gold 10.0.1.0-10.0.1.9"];
  const world = await startWorld(configText(...pools), { mover: { annotations: { [annotations.pool]: "gold" } } });
  const { promise, resolve } = Promise.withResolvers<void>();
  world.cluster.gate = promise;
  world.change("mover", { annotations: { [annotations.pool]: "main" } });
  world.service("early", { loadBalancerIP: "10.0.0.0" }); // Is decided on before `mover` whenever all are.
  world.cluster.deliver();
  world.clock.advanceBy(0);
  world.cluster.silent.add("services");
  resolve();
  await world.settle();
  world.config(configText(...pools, "silver 10.0.2.0-10.0.2.9"));
  await world.settle();
  assert.deepEqual(world.addresses("mover", "early"), ["mover=10.0.0.0", "early="]);
  world.cluster.silent.clear();
  await world.settle();
  assert.deepEqual(world.addresses("mover", "early"), ["mover=10.0.0.0", "early="]);
  world.change("mover", { ingress: ["10.0.1.0"] }); // Once it has been seen, the old one can be written by hand, as any other.
  world.change("mover", { annotations: {} });
  await world.settle();
  assert.deepEqual(world.addresses("mover"), ["mover=10.0.1.0"]);
});

test("while the API is away nothing is given twice, and when it is back everything is written", async () => {
  const world = await startWorld(ten, { old: {} });
  world.cluster.away = true;
  world.service("a");
  world.service("b");
  for (let i = 0; i < 20; i++) {
    assert.deepEqual(await world.settle(), []);
    world.clock.advanceToNext();
  }
  world.cluster.away = false;
  world.clock.advanceBy(60_000);
  await world.settle();
  assert.deepEqual(world.addresses("old", "a", "b"), ["old=10.0.0.0", "a=10.0.0.1", "b=10.0.0.2"]);
  assert.ok(((await world.metric("metallb_k8s_client_update_errors_total")) ?? 0) > 2);
});

test("what someone else puts into a status is taken over if it is allowed, and put right if it is not", async () => {
  const world = await startWorld(ten, { a: {}, b: {} });
  world.change("a", { ingress: ["10.0.0.7"] });
  world.change("b", { ingress: ["192.0.2.1"] });
  assert.deepEqual(await world.settle(), [
    'default/b: Warning ClearAssignment: Released ["192.0.2.1"]: address 192.0.2.1 is in no pool; request another address or add this one to a pool',
    "default/b: status 10.0.0.1",
    'default/b: Normal IPAllocated: Assigned IP ["10.0.0.1"]',
  ]);
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.7", "b=10.0.0.1"]);
  world.change("a", { ingress: [] });
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.0.0.7"]);
});

test("a Service that is deleted while its status is written leaves nothing behind", async () => {
  const world = await startWorld(one, { other: { type: "ClusterIP" } });
  const { promise, resolve } = Promise.withResolvers<void>();
  world.cluster.gate = promise;
  world.service("web");
  world.cluster.deliver();
  world.clock.advanceBy(0);
  world.delete("web");
  world.change("other", { type: "LoadBalancer" });
  resolve();
  await world.settle();
  assert.deepEqual(world.addresses("web", "other"), ["web=gone", "other=10.0.0.0"]);
});

test("stopping lets writes under way end and starts no more", async () => {
  const world = await startWorld(ten);
  const { promise, resolve } = Promise.withResolvers<void>();
  world.cluster.gate = promise;
  world.service("web");
  world.cluster.deliver();
  world.clock.advanceBy(0);
  const stopped = world.controller[Symbol.asyncDispose]();
  world.service("late");
  resolve();
  await stopped;
  await world.settle();
  assert.deepEqual(world.addresses("web", "late"), ["web=10.0.0.0", "late="]);
});

test("stopping gives up writes that do not end", async () => {
  const world = await startWorld(ten);
  world.cluster.gate = new Promise(() => {});
  world.service("web");
  world.cluster.deliver();
  world.clock.advanceBy(0);
  const stopped = world.controller[Symbol.asyncDispose]();
  world.clock.advanceBy(1_000);
  await stopped;
});

test("pools are measured as they are", async () => {
  const world = await startWorld(two, { a: {} });
  const pool = { pool: "main" };
  assert.equal(await world.metric("metallb_allocator_addresses_total", pool), 2);
  assert.equal(await world.metric("metallb_allocator_addresses_in_use_total", pool), 1);
  assert.equal(await world.metric("metallb_allocator_ipv4_addresses_in_use_total", pool), 1);
  assert.equal(await world.metric("metallb_allocator_ipv6_addresses_in_use_total", pool), 0);
  world.config(configText("renamed 10.0.0.0-10.0.0.9"));
  await world.settle();
  assert.equal(await world.metric("metallb_allocator_addresses_total", pool), undefined);
  assert.equal(await world.metric("metallb_allocator_addresses_in_use_total", { pool: "renamed" }), 1);
});

test("thousands wait for one address, and each that is freed costs two tries", async () => {
  const names = Array.from({ length: 3000 }, (_, i) => `w${i}`);
  const world = await startWorld(one, { first: {} });
  for (const name of names) world.service(name);
  await world.settle();
  const before = (await world.metric("metallb_k8s_client_updates_total")) ?? 0;
  world.delete("first");
  await world.settle();
  // The deleted one, the first in line, the next in line, and the first in line once more when its status is seen.
  assert.equal(((await world.metric("metallb_k8s_client_updates_total")) ?? 0) - before, 4);
  assert.deepEqual(world.addresses("w0", "w1"), ["w0=10.0.0.0", "w1="]);
});

test("a Service that stopped to allow sharing while no controller looked leaves the address to those that did not", async () => {
  const sharing = { annotations: { "metallb.universe.tf/allow-shared-ip": "k" } };
  const port = (number: number) => ({ ports: [{ name: "", protocol: "TCP", port: number }] });
  const world = await startWorld(configText("p 10.0.0.0/30"), {
    a: { ...sharing, ...port(80) },
    b: { ...sharing, ...port(81) },
  });
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.0", "b=10.0.0.0"]);
  world.change("a", { annotations: {} });
  await world.restart();
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.1", "b=10.0.0.0"]);
});

test("one that leads while it has lost sight of something begins when it sees it as it is now", async () => {
  const world = new World();
  const informer = world.cluster.of(resources.configMaps, "config");
  informer.lose(1);
  world.config(configText("old 10.0.0.0-10.0.0.1"));
  world.service("a", { ingress: ["10.0.1.0"] });
  world.controller.start();
  assert.deepEqual(await world.settle(), []);
  assert.equal(world.controller.view.isWorking, false);
  world.config(configText("new 10.0.1.0-10.0.1.1"));
  world.cluster.deliver();
  informer.lose(undefined);
  await world.settle();
  assert.deepEqual([world.controller.view.isWorking, world.addresses("a")], [true, ["a=10.0.1.0"]]);
});

test("Services that appear at once after a gap keep the addresses on record, whichever of them is decided on first", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.9"), { old: {} });
  world.delete("old");
  await world.settle();
  world.service("a");
  world.service("b", { ingress: ["10.0.0.0"] });
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.1", "b=10.0.0.0"]);
});

test("Services that appear while another configuration is put in place keep the addresses on record, whenever they come", async () => {
  const others = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`z${index}`, {}]));
  for (let turns = 0; turns < 10; turns++) {
    const world = await startWorld(configText("main 10.0.0.0-10.0.9.255"), { old: {}, ...others });
    world.delete("old");
    await world.settle();
    world.config(configText("main 10.0.0.0-10.0.9.255", `other 10.1.0.${turns}-10.1.0.255`));
    world.cluster.deliver();
    for (let turn = 0; turn < turns; turn++) {
      await setImmediate();
      world.clock.advanceToNext();
    }
    world.service("a");
    world.service("b", { ingress: ["10.0.0.0"] });
    await world.settle();
    assert.deepEqual(world.addresses("b"), ["b=10.0.0.0"], `after ${turns} turns`);
  }
});

test("a controller that takes over gives nothing that the one before wrote a moment ago, which its watch has not brought yet", async () => {
  const world = await startWorld(ten);
  world.service("b");
  const { controller: former, cluster, clock } = world;
  const own = [...cluster.informers];
  cluster.deliver();
  world.controller = world.startStandby();
  const statuses = async (...informers: typeof own) => {
    for (let turn = 0; turn < 20; turn++) {
      cluster.deliver(informers);
      clock.advanceBy(0);
      await setImmediate();
    }
    return world.addresses("a", "b");
  };
  assert.deepEqual(await statuses(...own), ["a=gone", "b=10.0.0.0"]);
  const seen = cluster.informers.filter((informer) => !own.includes(informer) && informer.resource.plural === "services");
  for (const informer of seen) informer.seeAtOnce([{ ...cluster.service("default/b"), ingress: [] } as never]);
  world.service("a");
  for (const informer of seen) informer.seeAtOnce([cluster.service("default/a") as never]);
  await former[Symbol.asyncDispose]();
  world.controller.lead();
  assert.deepEqual(await statuses(), ["a=", "b=10.0.0.0"]);
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.1", "b=10.0.0.0"]);
});
