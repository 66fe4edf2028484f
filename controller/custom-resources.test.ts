import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { announcedConfigMap, announcedKey, encodeAnnounced, subjectOf } from "#pkg/announced";
import { configurationKinds, parseConfiguration } from "#pkg/convert";
import { configMap, service } from "#pkg/k8s/testing";
import { configKey } from "#pkg/live-config";
import { namespace, ResourcesWorld as World } from "./testing/resources-world.ts";

/** With one pool in force, which is announced on layer 2. */
async function withPool(name: string): Promise<World> {
  const world = new World();
  await world.settle();
  world.see("ipaddresspools", name, { addresses: ["10.0.0.0/30"] });
  world.see("l2advertisements", "all", {});
  world.sync();
  await world.settle();
  return world;
}

test("custom resources give addresses; what is wrong is an event on the object at fault, and the one before stays in force", async () => {
  await using world = new World();
  await world.settle();
  world.see("ipaddresspools", "main", { addresses: ["10.0.0.0/30"] });
  world.see("l2advertisements", "all", {});
  world.sync();
  assert.deepEqual(
    (await world.settle()).filter((line) => line.includes("status")),
    ["default/web: status 10.0.0.0"],
  );
  assert.deepEqual(
    parseConfiguration(world.lastGood ?? "").config?.pools.map(({ name }) => name),
    ["main"],
  );
  world.see("ipaddresspools", "other", { addresses: ["10.0.0.2/31", "nonsense"] });
  const [overlap, ...more] = await world.settle();
  assert.match(
    overlap ?? "",
    /^metallb-system\/other: Warning ConfigStale: configuration not used, the previous one stays in force: IPAddressPool metallb-system\/other, spec\.addresses\[0\]: .*IPAddressPool metallb-system\/main.*spec\.addresses\[1\]: must be a CIDR/,
  );
  assert.deepEqual(more, []);
  world.forget("ipaddresspools", "other");
  assert.deepEqual(await world.settle(), ["metallb-system/other: Normal ConfigLoaded: configuration loaded"]);
});

test("a pool in use that is deleted stays in force until an object allows to renumber", async () => {
  await using world = await withPool("a");
  world.forget("ipaddresspools", "a");
  world.see("ipaddresspools", "b", { addresses: ["10.0.1.0/30"] });
  const refused = await world.settle();
  assert.match(
    refused.join("\n"),
    /Warning ConfigStale: .*no pool would be left for addresses in use by default\/web \(10\.0\.0\.0\)/,
  );
  world.see("ipaddresspools", "b", { addresses: ["10.0.1.0/30"] }, { annotations: { "ingot.dev/allow-renumber": "true" } });
  assert.match((await world.settle()).join("\n"), /default\/web: status 10\.0\.1\.0/);
});

for (const how of ["new names", "the same name, remade", "nothing before"] as const)
  test(`a Service of the same apply as its pools has an address of these: ${how}`, async () => {
    await using world = new World();
    world.cluster.remove("services", "default/web");
    await world.settle();
    if (how !== "nothing before") {
      world.see("ipaddresspools", "a", { addresses: ["10.0.0.0/30"] });
      world.see("l2advertisements", "all", {});
    }
    world.sync();
    await world.settle();
    if (how !== "nothing before") world.forget("ipaddresspools", "a");
    world.see("ipaddresspools", how === "new names" ? "b" : "a", { addresses: ["10.0.1.0/30"] });
    world.cluster.put("services", service("web"));
    await world.pass(50);
    const [waiting] = world.controller.view.statuses("default/web", world.clock.now());
    assert.match(waiting?.verdict.message ?? "", /custom resources change/);
    world.see("l2advertisements", "all", {});
    const told = (await world.settle()).join("\n");
    assert.match(told, /default\/web: status 10\.0\.1\.0/);
    assert.doesNotMatch(told, /ConfigStale|Warning|10\.0\.0\./);
  });

for (const pools of [1, 1_000])
  test(`while one of ${pools} pools changes for ever, a Service without an address waits for 2 s at most, and no other one waits`, async () => {
    await using world = new World();
    await world.settle();
    for (let index = 0; index < pools; index++)
      world.see("ipaddresspools", `p${index}`, { addresses: [`10.${index >> 8}.${index & 255}.0/24`] });
    world.see("l2advertisements", "all", {});
    world.sync();
    await world.settle();
    const isServed = () => world.cluster.service("default/web")?.ingress.length === 1;
    while (world.lastGood === undefined || !isServed()) await world.settle(); // Reading takes real time.
    const madeAt = new Map<string, number>();
    const waits: (readonly [string, number])[] = [];
    const make = (name: string): void => {
      madeAt.set(name, world.clock.now());
      world.cluster.put("services", service(name));
    };
    for (let index = 0; index < 260; index++) {
      world.see("communities", "flood", { communities: [{ name: "some", value: `64512:${index}` }] });
      if (index % 30 === 1 && index < 210) make(`late-${index}`);
      if (index === 5) make("web"); // Somebody emptied its status.
      for (const line of await world.pass(50)) {
        const name = /^default\/(\S+): status 10/.exec(line)?.[1];
        if (name !== undefined) waits.push([name, world.clock.now() - (madeAt.get(name) ?? 0)]);
      }
    }
    assert.deepEqual(waits.map(([name]) => name).sort(), [...madeAt.keys()].sort());
    for (const [name, waited] of waits) assert.ok(waited <= (name === "web" ? 100 : 2_100), `${name} waited for ${waited} ms`);
  });

test("a Service waits also while one change comes into force and the next one has begun", async () => {
  await using world = new World();
  world.cluster.remove("services", "default/web");
  await world.settle();
  world.see("ipaddresspools", "a", { addresses: ["10.0.0.0/30"] });
  world.see("l2advertisements", "all", {});
  world.sync();
  await world.settle();
  const labels = { long: "x".repeat(2_100) }; // It is read in a thread.
  world.see("ipaddresspools", "b", { addresses: ["10.0.1.0/30"] }, { labels });
  await world.pass(250);
  world.cluster.put("services", service("web"));
  // Reading takes real time.
  const haveBeenRead = async (pools: number): Promise<void> => {
    for (let turn = 0; turn < 1_000 && world.controller.view.configuration.inForce?.pools.length !== pools; turn++) {
      await sleep(5);
      await world.pass(0);
    }
  };
  world.see("communities", "names", { communities: [{ name: "some", value: "64512:7" }] });
  await haveBeenRead(2);
  world.forget("ipaddresspools", "a");
  const told = await world.pass(250);
  await haveBeenRead(1);
  told.push(...(await world.pass(50)));
  assert.match(told.join("\n"), /default\/web: status 10\.0\.1\.0/);
});

test("a contradiction on the way keeps no Service waiting, and a controller that starts meanwhile waits as well", async () => {
  await using world = await withPool("a");
  world.see("ipaddresspools", "b", { addresses: ["nonsense"] });
  world.cluster.put("services", service("late"));
  assert.deepEqual(
    (await world.pass(150)).filter((line) => line.includes(": status ")),
    [],
  );
  const told = (await world.pass(150)).join("\n");
  assert.match(told, /ConfigStale.*\n.*default\/late: status 10\.0\.0\.1/);
  world.cluster.remove("services", "default/web");
  world.cluster.remove("services", "default/late");
  world.forget("ipaddresspools", "b");
  await world.settle();
  world.cluster.put("services", service("new"));
  await world.restart();
  await world.pass(50);
  world.see("ipaddresspools", "a", { addresses: ["10.0.0.0/30"] });
  world.see("l2advertisements", "all", {});
  world.sync();
  await world.pass(50);
  world.see("ipaddresspools", "a", { addresses: ["10.0.1.0/30"] });
  assert.match((await world.settle()).join("\n"), /default\/new: status 10\.0\.1\.0/);
});

test("all objects gone, or a definition, turns nothing off, also after a restart", async () => {
  await using world = await withPool("a");
  world.cluster.served.delete("l2advertisements");
  world.forget("l2advertisements", "all");
  assert.match((await world.settle()).join("\n"), /Warning ConfigStale: .*are not all installed; .*turns nothing off/);
  await world.restart();
  world.cluster.put("services", service("late"));
  assert.match((await world.settle()).join("\n"), /default\/late: status 10\.0\.0\.1/);
});

const kindsOfPools = {
  ipaddresspools: ["main", { addresses: ["10.0.0.0/30"] }],
  l2advertisements: ["all", {}],
  bgpadvertisements: ["all", {}],
  bgppeers: ["tor", { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.1" }],
} as const;
for (const [plural, [name, spec]] of Object.entries(kindsOfPools))
  test(`a definition that is back without its ${plural} when a controller starts takes nothing away, until somebody says so`, async () => {
    await using world = new World();
    await world.settle();
    for (const [plural, [name, spec]] of Object.entries(kindsOfPools)) world.see(plural, name, spec);
    world.sync();
    await world.settle();
    const before = world.lastGood;
    await world.restart();
    world.cluster.remove("services", "default/web"); // Not even an address in use is in the way.
    await world.settle();
    const others = Object.entries(kindsOfPools).filter(([other]) => other !== plural);
    for (const [other, [name, spec]] of others) world.see(other, name, spec);
    world.sync();
    world.cluster.put("services", service("late"));
    const kind = configurationKinds.find((each) => each.plural === plural)?.kind;
    const told = (await world.settle()).join("\n");
    assert.match(told, new RegExp(`ConfigStale: .*no ${kind}, .*last good configuration.*annotate.*allow-renumber=true`));
    assert.match(told, /default\/late: status 10\.0\.0\.0/);
    assert.equal(world.lastGood, before);
    world.see(plural, name, spec);
    assert.match((await world.settle()).join("\n"), /Normal ConfigLoaded/);
    world.forget(plural, name); // With the definition there, that is meant.
    world.cluster.remove("services", "default/late");
    await world.settle();
    assert.notEqual(world.lastGood, before);
  });

test("a definition that is back without its objects counts as meant where one of the others says so", async () => {
  await using world = new World();
  await world.settle();
  for (const [plural, [name, spec]] of Object.entries(kindsOfPools)) world.see(plural, name, spec);
  world.sync();
  await world.settle();
  await world.restart();
  await world.settle();
  world.see("ipaddresspools", "main", { addresses: ["10.0.0.0/30"] });
  world.see("l2advertisements", "all", {}, { annotations: { "ingot.dev/allow-renumber": "true" } });
  world.sync();
  assert.match((await world.settle()).join("\n"), /Normal ConfigLoaded/);
  const { pools, peers } = parseConfiguration(world.lastGood ?? "").config ?? assert.fail();
  assert.deepEqual([pools.map(({ protocols }) => protocols), peers.length], [[["layer2"]], 0]);
});

test("without definitions a Service is told why it waits, and gets its address once they and the objects are there", async () => {
  await using world = new World(false);
  assert.match(
    (await world.settle()).join("\n"),
    /default\/web: Warning .*are not all installed \(metallb-system\/custom resources\)/,
  );
  world.install();
  for (let round = 0; round < 10; round++) await world.settle();
  world.see("ipaddresspools", "a", { addresses: ["10.0.0.0/30"] });
  world.sync();
  assert.match((await world.settle()).join("\n"), /default\/web: status 10\.0\.0\.0/);
});

test("the source is switched to custom resources and back while Services hold addresses, and none loses its own", async () => {
  const text = "address-pools: [{name: main, protocol: layer2, addresses: [10.0.0.0/32]}]\n";
  await using world = new World(true, "configmap");
  world.cluster.put("configmaps", configMap(`${namespace}/config`, { [configKey]: text }));
  assert.match((await world.settle()).join("\n"), /default\/web: status 10\.0\.0\.0/);
  await world.restart();
  await world.settle();
  world.see("ipaddresspools", "other", { addresses: ["10.0.1.0/30"] });
  world.see("l2advertisements", "all", {});
  world.sync();
  const lacking = (await world.settle()).join("\n");
  assert.match(lacking, /ConfigStale: .*no pool would be left for addresses in use by default\/web \(10\.0\.0\.0\)/);
  assert.equal(world.lastGood, text, "the ConfigMap's stays in force");
  world.see("ipaddresspools", "main", { addresses: ["10.0.0.0/32"] });
  assert.doesNotMatch((await world.settle()).join("\n"), /: status /);
  assert.equal(parseConfiguration(world.lastGood ?? "").config?.pools.length, 2);
  world.cluster.put("services", service("late"));
  assert.match((await world.settle()).join("\n"), /default\/late: status 10\.0\.1\.0/);
  await world.restart("configmap");
  const back = (await world.settle()).join("\n");
  assert.match(back, /ConfigStale: .*no pool would be left for addresses in use by default\/late \(10\.0\.1\.0\)/);
  assert.doesNotMatch(back, /: status /);
  assert.equal(parseConfiguration(world.lastGood ?? "").config?.pools.length, 2, "the objects' stays in force");
});

test("a pool that is renamed with its advertisement, in any order and at any pace, costs no Service its address", async () => {
  const edits = {
    advertised: (world: World) => world.see("l2advertisements", "lan", { ipAddressPools: ["b"] }),
    made: (world: World) => world.see("ipaddresspools", "b", { addresses: ["10.0.0.0/30"] }),
    removed: (world: World) => world.forget("ipaddresspools", "a"),
  };
  const names = Object.keys(edits) as (keyof typeof edits)[];
  for (const first of names)
    for (const second of names.filter((name) => name !== first))
      for (const isSlow of [false, true]) {
        const third = names.find((name) => name !== first && name !== second) ?? first;
        await using world = new World();
        await world.settle();
        world.see("ipaddresspools", "a", { addresses: ["10.0.0.0/30"] });
        world.see("l2advertisements", "lan", { ipAddressPools: ["a"] });
        world.sync();
        await world.settle();
        const told: string[] = [];
        for (const name of [first, second, third]) {
          edits[name](world);
          if (isSlow) told.push(...(await world.settle()));
        }
        told.push(...(await world.settle()));
        const order = `${first}, ${second}, ${third}${isSlow ? ", slowly" : ""}`;
        assert.doesNotMatch(told.join("\n"), /: status /, order);
        const [pool] = parseConfiguration(world.lastGood ?? "").config?.pools ?? [];
        assert.deepEqual([pool?.name, pool?.protocols], ["b", ["layer2"]], order);
      }
});

// The rows of "The order of edits" in docs/custom-resources.md. All begin with pools `a` and `c`, of which `a` is in use.
type Edit = readonly [plural: string, name: string, spec?: object];
const shared = { addresses: ["10.0.0.0/30"] };
const orders: { name: string; edits: readonly Edit[]; isOneApply?: boolean; after: Readonly<Record<string, string[]>> }[] = [
  {
    name: "another advertisement before the old one goes",
    edits: [
      ["l2advertisements", "new", {}],
      ["l2advertisements", "lan"],
    ],
    after: { a: ["layer2"], c: ["layer2"] },
  },
  {
    name: "a pool under another name",
    edits: [
      ["l2advertisements", "lan", { ipAddressPools: ["a", "b"] }],
      ["ipaddresspools", "b", shared],
      ["ipaddresspools", "a"],
    ],
    after: { b: ["layer2"], c: [] },
  },
  {
    name: "addresses of one pool to another, at once, the larger pool first",
    edits: [
      ["ipaddresspools", "c", { addresses: ["10.0.0.0/29"] }],
      ["ipaddresspools", "a"],
    ],
    isOneApply: true,
    after: { c: ["layer2"] },
  },
  {
    name: "the same, the smaller pool first",
    edits: [
      ["ipaddresspools", "a"],
      ["ipaddresspools", "c", { addresses: ["10.0.0.0/29"] }],
    ],
    isOneApply: true,
    after: { c: ["layer2"] },
  },
  {
    name: "a Community and what names it, and neither again",
    edits: [
      ["communities", "names", { communities: [{ name: "customers", value: "64512:7" }] }],
      ["bgpadvertisements", "far", { ipAddressPools: ["c"], communities: ["customers"] }],
      ["bgpadvertisements", "far"],
      ["communities", "names"],
    ],
    after: { a: ["layer2"], c: ["layer2"] },
  },
];
for (const { name, edits, isOneApply, after } of orders)
  test(`edits in the documented order leave addresses in use announced after each: ${name}`, async () => {
    await using world = new World();
    await world.settle();
    world.see("ipaddresspools", "a", shared);
    world.see("ipaddresspools", "c", { addresses: ["10.0.0.4/30"], autoAssign: false });
    world.see("l2advertisements", "lan", {});
    world.sync();
    await world.settle();
    for (const [index, [plural, name, spec]] of edits.entries()) {
      if (spec === undefined) world.forget(plural, name);
      else world.see(plural, name, spec);
      if (isOneApply && index < edits.length - 1) continue;
      assert.doesNotMatch((await world.settle()).join("\n"), /: status /, `edit ${index}`);
      const { pools = [] } = parseConfiguration(world.lastGood ?? "").config ?? {};
      const serving = pools.filter(({ ranges }) => ranges.some((range) => `${range}`.startsWith("10.0.0.0")));
      assert.deepEqual(
        serving.map(({ protocols }) => protocols),
        [["layer2"]],
        `edit ${index}`,
      );
    }
    const { pools = [] } = parseConfiguration(world.lastGood ?? "").config ?? {};
    assert.deepEqual(Object.fromEntries(pools.map(({ name, protocols }) => [name, protocols])), after);
  });

test("commands in conditions name the namespace where the configuration is custom resources", async () => {
  await using world = await withPool("main");
  const subject = subjectOf(world.cluster.service("default/web") ?? assert.fail());
  const message = "no speaker is Ready; kubectl -n metallb-system get pods says why";
  const line = encodeAnnounced({ cause: "noActiveSpeaker", subject, message });
  const name = announcedConfigMap("default/web");
  world.cluster.put("configmaps", configMap(`${namespace}/${name}`, { [announcedKey("default/web")]: line }));
  for (let seconds = 0; seconds < 12; seconds += 4) await world.settle();
  const said = world.cluster.service("default/web")?.conditions.map((one) => one.message) ?? [];
  assert.ok(said.includes(message), said.join("\n"));
});
