// Long: thousands of Services while configurations change.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Allocator } from "#pkg/allocator";
import { ApiError } from "#pkg/k8s";
import { causes } from "#pkg/verdict";
import { configText, startWorld, World } from "../testing/world.ts";

const ten = configText("main 10.0.0.0-10.0.0.9");
const upper = configText("main 10.0.0.5-10.0.0.9");
const config = "metallb-system/config";
const status = "metallb-system/ingot-status";

/** Loaded and stale, as the alerts see them. */
async function gauges(world: World): Promise<string> {
  const value = (name: string) => world.metric(`metallb_k8s_client_config_${name}_bool`);
  return `loaded ${await value("loaded")} stale ${await value("stale")}`;
}

test("an accepted change is an event, is kept on record, and is taken up by those who wait for it", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.0"), { a: {}, b: {} });
  world.config(ten);
  assert.deepEqual(await world.settle(), [
    `${config}: Normal ConfigLoaded: configuration loaded`,
    `${status}: written`,
    "default/b: status 10.0.0.1",
    'default/b: Normal IPAllocated: Assigned IP ["10.0.0.1"]',
  ]);
  assert.equal(await gauges(world), "loaded 1 stale 0");
});

test("an invalid change is an event with its place, and the one before stays in force", async () => {
  const world = await startWorld(ten);
  world.config(`${ten}  bogus: 1\n`);
  const [event, ...more] = await world.settle();
  assert.match(
    event ?? "",
    /^metallb-system\/config: Warning ConfigStale: .*the previous one stays in force: .*line 6, column \d+: .*bogus/,
  );
  assert.deepEqual(more, []);
  assert.equal(await gauges(world), "loaded 1 stale 1");
  world.service("web");
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
});

for (const [length, more] of Object.entries({ short: "", long: `# ${"-".repeat(2_100)}\n` }))
  test(`a Service that comes while a ${length} ConfigMap is read has an address of the new configuration`, async () => {
    const world = await startWorld(configText("main 10.0.0.0-10.0.0.9"));
    world.config(`${more}${configText("main 10.0.1.0-10.0.1.9")}`);
    world.cluster.deliver();
    world.service("web");
    world.cluster.deliver();
    await world.settle();
    while (world.addresses("web").join() === "web=") await world.settle();
    assert.deepEqual([world.addresses("web"), await gauges(world)], [["web=10.0.1.0"], "loaded 1 stale 0"]);
  });

test("a ConfigMap that is deleted leaves its configuration in force", async () => {
  const world = await startWorld(ten);
  world.config(undefined);
  assert.deepEqual(await world.settle(), [
    `${config}: Warning ConfigStale: configuration not used, the previous one stays in force: the ConfigMap does not exist; ${causes.configuration.configMapMissing.next}. Deleting the configuration turns nothing off`,
  ]);
  world.service("web");
  await world.settle();
  assert.deepEqual([world.addresses("web"), await gauges(world)], [["web=10.0.0.0"], "loaded 1 stale 1"]);
});

test("a Service that is deleted, and made again before a change is in force, is not in its way", async () => {
  const world = await startWorld(ten, { a: {} });
  world.config(upper);
  await world.settle();
  world.delete("a");
  world.cluster.deliver();
  world.service("a");
  world.cluster.deliver();
  await world.settle();
  assert.deepEqual([world.addresses("a"), await gauges(world)], [["a=10.0.0.5"], "loaded 1 stale 0"]);
});

test("a change that strands addresses is refused naming all of them, and accepted by itself when they are gone", async () => {
  const world = await startWorld(ten, { a: {}, b: {} });
  world.config(upper);
  assert.deepEqual(await world.settle(), [
    `${config}: Warning ConfigStale: configuration not used, the previous one stays in force: ` +
      "no pool would be left for addresses in use by default/a (10.0.0.0), default/b (10.0.0.1); " +
      causes.configuration.strands.next,
  ]);
  world.delete("a");
  assert.deepEqual([await world.settle(), await gauges(world)], [[], "loaded 1 stale 1"]);
  world.change("b", { type: "ClusterIP" });
  assert.deepEqual(await world.settle(), [
    `${config}: Normal ConfigLoaded: configuration loaded`,
    "default/b: status cleared",
    `${status}: written`,
  ]);
  world.service("c");
  await world.settle();
  assert.deepEqual([world.addresses("c"), await gauges(world)], [["c=10.0.0.5"], "loaded 1 stale 0"]);
});

test("an address that is given while a change is refused stands in its way, too", async () => {
  const world = await startWorld(ten, { a: {} });
  world.config(upper);
  await world.settle();
  world.service("b");
  await world.settle();
  world.delete("a");
  await world.settle();
  assert.deepEqual([world.addresses("b"), await gauges(world)], [["b=10.0.0.1"], "loaded 1 stale 1"]);
});

test("an address whose status is still being written is not stranded either", async () => {
  const world = await startWorld(ten);
  world.cluster.away = true;
  world.service("a");
  await world.settle();
  world.config(upper);
  await world.settle();
  assert.equal(await gauges(world), "loaded 1 stale 1");
});

test("a change that comes at one moment with the deletion of the Service in its way is accepted", async () => {
  const world = await startWorld(ten, { a: {} });
  world.delete("a");
  world.config(upper);
  await world.settle();
  assert.equal(await gauges(world), "loaded 1 stale 0");
});

test("a status that somebody wrote does not let a change part the addresses that the Service was given", async () => {
  const dual = configText("a 10.0.0.0-10.0.0.9 fd00::-fd00::9", "b 10.1.0.0-10.1.0.9");
  const parted = configText("a 10.0.0.0-10.0.0.9", "c fd00::-fd00::9", "b 10.1.0.0-10.1.0.9");
  const world = await startWorld(dual, { web: { clusterIPs: ["10.96.0.1", "fd96::1"] } });
  world.change("web", { ingress: ["10.1.0.1", "fd00::"] });
  world.config(parted);
  const written = await world.settle();
  assert.match(written.join("\n"), /ConfigStale: .*default\/web \(10\.0\.0\.0, fd00::\)/);
  assert.deepEqual([world.addresses("web"), await gauges(world)], [["web=10.0.0.0+fd00::"], "loaded 1 stale 1"]);
});

test("foreign addresses do not stand in the way of a change", async () => {
  const world = await startWorld(ten, { theirs: { isClaimed: false, ingress: ["10.0.0.3"] } });
  world.config(upper);
  await world.settle();
  assert.equal(await gauges(world), "loaded 1 stale 0");
});

test("a refused configuration is refused after a restart as before it, and no address moves", async () => {
  const world = await startWorld(ten, { a: {}, b: {} });
  world.config(upper);
  await world.settle();
  await world.restart();
  await world.settle();
  world.service("c");
  await world.settle();
  assert.deepEqual(world.addresses("a", "b", "c"), ["a=10.0.0.0", "b=10.0.0.1", "c=10.0.0.2"]);
  assert.equal(await gauges(world), "loaded 1 stale 1");
});

for (const { name, now } of [
  { name: "became invalid", now: "address-pools: 1" },
  { name: "was deleted", now: undefined },
])
  test(`the last good configuration is in force after a start at which the ConfigMap ${name}`, async () => {
    const world = await startWorld(ten, { a: {} });
    world.config(now);
    await world.restart();
    world.service("b");
    await world.settle();
    assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.0", "b=10.0.0.1"]);
    assert.equal(await gauges(world), "loaded 1 stale 1");
  });

test("a configuration that was changed while the controller was down is judged by the same rule", async () => {
  const world = new World();
  world.lastGood(ten);
  world.config(upper);
  world.service("a", { ingress: ["10.0.0.1"] });
  world.controller.start();
  assert.match(
    (await world.settle()).join("\n"),
    /^metallb-system\/config: Warning ConfigStale: .*default\/a \(10\.0\.0\.1\); put these addresses back into a pool,/,
  );
  assert.deepEqual(world.addresses("a"), ["a=10.0.0.1"]);
});

test("an accepted change is not taken back by an address that someone writes into a status", async () => {
  const world = new World();
  world.lastGood(ten);
  world.config(upper);
  world.service("a");
  world.controller.start();
  await world.settle();
  world.change("a", { ingress: ["10.0.0.1"] });
  await world.settle();
  assert.deepEqual([world.addresses("a"), await gauges(world)], [["a=10.0.0.5"], "loaded 1 stale 0"]);
});

test("a record that someone else changes does not change what is in force", async () => {
  const world = await startWorld(ten);
  world.config("address-pools: 1");
  await world.settle();
  world.lastGood(upper);
  await world.settle();
  world.service("a");
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.0.0.0"]);
});

test("with no configuration at all the gauges say so", async () => {
  assert.equal(await gauges(await startWorld(undefined)), "loaded 0 stale 1");
  assert.equal(await gauges(await startWorld("address-pools: 1")), "loaded 0 stale 1");
});

test("the record of the last good configuration is put right when someone else changes or deletes it", async () => {
  const world = await startWorld(ten);
  world.lastGood(upper);
  assert.deepEqual(await world.settle(), [`${status}: written`]);
  world.cluster.remove("configmaps", status);
  assert.deepEqual(await world.settle(), [`${status}: written`]);
  world.config("address-pools: 1");
  await world.restart();
  world.service("a");
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.0.0.0"]);
});

test("a configuration that the API refuses to keep on record is in force, and has a verdict for as long", async () => {
  const world = await startWorld(ten);
  const refusal = new ApiError(`Cannot write ConfigMap ${status}: 422: field is immutable`, 422, "Invalid");
  world.cluster.refused.set(status, refusal);
  world.config(upper);
  await world.settle();
  const { configuration } = world.controller.view;
  assert.equal(configuration.verdict.cause, "inForce", "it may be over in a second");
  for (let second = 0; second < 60; second++) {
    world.clock.advanceBy(1_000);
    await world.settle();
  }
  const { verdict, since } = world.controller.view.configuration;
  assert.deepEqual([verdict.state, verdict.cause], ["Degraded", "notSaved"]);
  assert.equal(world.controller.view.refusedReports, 1, "an alert tells of it");
  assert.match(verdict.message, /in force, but cannot be saved as the last good one: .*field is immutable/);
  assert.ok(since >= configuration.since && since < world.clock.now() - 50_000);
  world.cluster.refused.clear();
  world.clock.advanceBy(30_000);
  assert.deepEqual(await world.settle(), [`${status}: written`]);
  assert.equal(world.controller.view.configuration.verdict.cause, "inForce");
});

test("where the ConfigMap's configuration is refused, the record that another controller insists on is followed", async () => {
  const world = await startWorld(ten, { a: {} });
  const other = configText("main 192.0.2.0-192.0.2.1");
  world.config(other);
  world.lastGood(other);
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.0.0.0"], "once may be a person's edit");
  world.lastGood(other);
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=192.0.2.0"]);
  assert.equal(await gauges(world), "loaded 1 stale 0");
});

test("a record that another process overwrites again and again is put right ever later", async () => {
  const world = await startWorld(ten);
  await world.settle();
  let writes = 0;
  for (let second = 0; second < 600; second++) {
    world.lastGood(upper);
    world.clock.advanceBy(1_000);
    writes += (await world.settle()).length;
  }
  assert.ok(writes >= 5 && writes <= 15, `${writes} writes in ten minutes`);
});

test("the record is written when the API is back", async () => {
  const world = new World();
  world.cluster.away = true;
  world.config(ten);
  world.controller.start();
  assert.deepEqual(await world.settle(), [`${config}: Normal ConfigLoaded: configuration loaded`]);
  world.cluster.away = false;
  world.clock.advanceBy(60_000);
  assert.deepEqual(await world.settle(), [`${status}: written`]);
});

/** 3,000 Services that have addresses, and what is done with the allocator from then on. */
async function startCrowd(t: TestContext) {
  const addressOf = (index: number) => `10.0.${index >> 8}.${index & 255}`;
  const services = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`s${i}`, { ingress: [addressOf(i)] }]));
  const world = await startWorld(configText("lan 10.0.0.0-10.0.255.255"), services);
  const calls = { restore: 0, settle: 0, restoredBefore: 0 }; // Before the first `settle`.
  for (const name of ["restore", "settle"] as const) {
    const call = Allocator.prototype[name] as (...given: unknown[]) => unknown;
    t.mock.method(Allocator.prototype, name, function (this: Allocator, ...given: unknown[]) {
      calls[name]++;
      if (calls.settle === 0) calls.restoredBefore = calls.restore;
      return call.apply(this, given);
    });
  }
  return { world, calls, addressOf };
}

test("other pools are put in force for 1,000 Services a turn at most; all have been looked at before each is decided on, once", async (t) => {
  const { world, calls } = await startCrowd(t);
  world.config(configText("other 10.0.0.0-10.0.255.255"));
  world.cluster.deliver();
  for (let before = 0; before < 3_000; before = calls.restore) {
    world.clock.advanceToNext();
    assert.ok(calls.restore - before <= 1_000, `${calls.restore - before} in a turn`);
  }
  assert.ok(calls.restoredBefore >= 3_000, `the first was settled after ${calls.restoredBefore} had been looked at`);
  await world.settle();
  assert.equal(calls.settle, 3_000, "each Service is decided on once");
  assert.equal(await world.metric("metallb_allocator_addresses_in_use_total", { pool: "other" }), 3_000);
});

test("whatever happens to Services while other pools are put in force, no address is given twice or kept by who is gone", async (t) => {
  const changes: ((world: World) => void)[] = [
    (world) => world.delete("s7"),
    (world) => world.service("s7", { ingress: ["10.0.0.7"] }),
    (world) => world.delete("s2999"),
    (world) => world.service("late", { ingress: ["10.0.11.183"] }), // The address of s2999.
    (world) => world.service("new"),
    (world) => world.change("s8", { ingress: ["10.0.0.9"] }),
    (world) => world.config(configText("third 10.0.0.0-10.0.255.255")),
    (world) => world.config(undefined),
    (world) => world.config("address-pools: 7"),
  ];
  for (let first = 0; first < changes.length; first++) {
    const { world } = await startCrowd(t);
    world.config(configText("other 10.0.0.0-10.0.255.255"));
    world.cluster.deliver();
    for (let step = 0; step < changes.length; step++) {
      changes[(first + step) % changes.length]?.(world);
      world.cluster.deliver();
      world.clock.advanceToNext();
    }
    await world.settle();
    const holders = new Map<string, string>(); // address -> Service
    for (const name of ["late", "new", ...Array.from({ length: 3_000 }, (_, i) => `s${i}`)]) {
      const service = world.cluster.service(`default/${name}`);
      if (service === undefined) continue;
      const [address] = service.ingress;
      assert.ok(address !== undefined, service.key);
      assert.deepEqual(
        [holders.get(address), String(world.controller.view.held(service.key)?.addresses)],
        [undefined, address],
        service.key,
      );
      holders.set(address, service.key);
    }
    const inUse = await Promise.all(
      ["lan", "other", "third"].map((name) => world.metric("metallb_allocator_addresses_in_use_total", { pool: name })),
    );
    assert.ok(inUse.includes(holders.size), `${inUse} of ${holders.size}`);
  }
});
