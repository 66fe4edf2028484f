// Long: 10,000 Services that wait.
import assert from "node:assert/strict";
import { test } from "node:test";
import { namespace, service } from "#pkg/k8s/testing";
import { annotations } from "#pkg/service";
import { configText, type ServiceSpec, startWorld, type World } from "../../testing/world.ts";

function sharing(key: string, ...ports: number[]): ServiceSpec {
  return {
    annotations: { [annotations.sharing]: key },
    ports: ports.map((port) => ({ name: "", protocol: "TCP", port })),
  };
}

const inPool = (pool: string): ServiceSpec => ({ annotations: { [annotations.pool]: pool } });
const one = configText("main 10.0.0.0-10.0.0.0");

/** A pool that gives its reservations, and nothing else to Services that do not request it. */
const keptFor = (holder: string, more = "") =>
  `address-pools: [{name: kept, protocol: layer2, auto-assign: false, addresses: [10.0.0.0/30], reserved: [{addresses: [10.0.0.0/31], ${holder}}]}]\n${more}`;

interface Case {
  readonly name: string;
  readonly config?: string;
  /** In the order in which they come. */
  readonly services: Readonly<Record<string, ServiceSpec>>;
  /** Changes one of them, or deletes it. */
  readonly change: readonly [name: string, spec: ServiceSpec | undefined];
  readonly want: readonly string[];
}

// Each of these needs somebody to be woken: nothing else happens to the Services that get something.
const cases: readonly Case[] = [
  {
    name: "an address that is reserved for the namespace, in a pool for those who request it",
    config: keptFor("namespace: default"),
    services: { a: {}, b: {}, c: {}, d: {} },
    change: ["a", undefined],
    want: ["b=10.0.0.1", "c=10.0.0.0", "d="],
  },
  {
    name: "a reserved address that a quota forbade",
    config: keptFor("namespace: default", "quotas: [{ipv4: 1}]\n"),
    services: { a: {}, b: {}, c: {} },
    change: ["a", undefined],
    want: ["b=10.0.0.0", "c="],
  },
  {
    name: "a reserved address that others share from now on",
    config: keptFor("namespace: default"),
    services: { a: sharing("k", 80), b: sharing("k", 80), c: sharing("k", 80) },
    change: ["a", sharing("k", 81)],
    want: ["a=10.0.0.0", "b=10.0.0.1", "c=10.0.0.0"],
  },
  {
    name: "a deleted Service's address goes to who came first",
    services: { a: {}, c: {}, b: {} },
    change: ["a", undefined],
    want: ["c=10.0.0.0", "b="],
  },
  {
    name: "an address that is too little for who came first, who asks for two, goes to the next one",
    services: { a: {}, c: inPool("main,main"), b: {} },
    change: ["a", undefined],
    want: ["c=", "b=10.0.0.0"],
  },
  {
    name: "an address left for another pool",
    config: configText("main 10.0.0.0-10.0.0.0", "gold 10.0.1.0-10.0.1.9"),
    services: { a: inPool("main"), b: inPool("main") },
    change: ["a", inPool("gold")],
    want: ["a=10.0.1.0", "b=10.0.0.0"],
  },
  {
    name: "an address left for another one that was asked for",
    config: configText("main 10.0.0.0-10.0.0.1"),
    services: { a: { loadBalancerIP: "10.0.0.0" }, b: { loadBalancerIP: "10.0.0.0" } },
    change: ["a", { loadBalancerIP: "10.0.0.1" }],
    want: ["a=10.0.0.1", "b=10.0.0.0"],
  },
  {
    name: "a pool that is asked for, while others wait for any",
    config: configText("main 10.0.0.0-10.0.0.0", "gold 10.0.1.0-10.0.1.0"),
    services: { a: {}, b: {}, any: {}, main: inPool("main") },
    change: ["a", undefined],
    want: ["any=10.0.0.0", "main="],
  },
  {
    name: "the last of several pools that it asks for",
    config: configText("main 10.0.0.0-10.0.0.0", "gold 10.0.1.0-10.0.1.9"),
    services: { a: inPool("main"), b: inPool("gold,main") },
    change: ["a", undefined],
    want: ["b=10.0.1.0+10.0.0.0"],
  },
  {
    name: "one of several addresses that another Service has",
    config: configText("main 10.0.0.0-10.0.0.0", "gold 10.0.1.0-10.0.1.0"),
    services: { a: inPool("gold,main"), b: inPool("main"), c: inPool("gold") },
    change: ["a", inPool("gold")],
    want: ["a=10.0.1.0", "b=10.0.0.0", "c="],
  },
  {
    name: "a port that becomes free on a shared address",
    services: { a: sharing("k", 80), b: sharing("k", 443), c: sharing("k", 443) },
    change: ["b", undefined],
    want: ["c=10.0.0.0"],
  },
  {
    name: "a port that its holder gives up",
    services: { a: sharing("k", 80, 443), c: sharing("k", 443) },
    change: ["a", sharing("k", 80)],
    want: ["a=10.0.0.0", "c=10.0.0.0"],
  },
  {
    name: "a holder that begins to share",
    services: { a: sharing("", 80), c: sharing("k", 443) },
    change: ["a", sharing("k", 80)],
    want: ["a=10.0.0.0", "c=10.0.0.0"],
  },
  {
    name: "a requested address whose holder begins to share",
    services: { a: sharing("", 80), c: { ...sharing("k", 443), loadBalancerIP: "10.0.0.0" } },
    change: ["a", sharing("k", 80)],
    want: ["a=10.0.0.0", "c=10.0.0.0"],
  },
  {
    name: "everybody who shares with the one that gets a free address",
    services: { a: {}, b: sharing("k", 80), c: sharing("k", 81), d: sharing("k", 80), e: {} },
    change: ["a", undefined],
    want: ["b=10.0.0.0", "c=10.0.0.0", "d=", "e="],
  },
  {
    name: "the one behind a first in line that needs something else, too",
    config: configText("main 10.0.0.0-10.0.0.0 fd00::1-fd00::1"),
    services: {
      a: { clusterIPs: ["10.96.0.1", "fd96::1"] },
      six: { clusterIPs: ["fd96::1"] },
      dual: { clusterIPs: ["10.96.0.1", "fd96::1"] },
      four: {},
    },
    change: ["a", { clusterIPs: ["fd96::1"] }],
    want: ["a=fd00::1", "six=", "dual=", "four=10.0.0.0"],
  },
  {
    name: "one that keeps an old address while it waits for another",
    config: configText("main 10.0.0.0-10.0.0.1"),
    services: { a: { loadBalancerIP: "10.0.0.0" }, b: { loadBalancerIP: "10.0.0.0", ingress: ["10.0.0.1"] }, c: {} },
    change: ["a", undefined],
    want: ["b=10.0.0.0", "c=10.0.0.1"],
  },
];
for (const { name, config = one, services, change, want } of cases)
  test(`woken: ${name}`, async () => {
    const world = await startWorld(config);
    for (const [service, spec] of Object.entries(services)) {
      world.service(service, spec);
      await world.settle();
    }
    const [changed, spec] = change;
    if (spec === undefined) world.delete(changed);
    else world.change(changed, spec);
    await world.settle();
    assert.deepEqual(world.addresses(...want.map((line) => line.split("=")[0] ?? "")), want);
  });

const many = 2_000;
const dual: ServiceSpec = { clusterIPs: ["10.96.0.1", "fd96::1"] };

/** So many Services of the namespace `crowd`. */
function crowd(world: World, count: number, spec: ServiceSpec | ((index: number) => ServiceSpec) = {}): void {
  for (let i = 0; i < count; i++)
    world.cluster.put("services", service(`crowd/w${i}`, typeof spec === "function" ? spec(i) : spec));
}

/** How many decisions are made on Services until nothing is left to be done, when something happens. */
async function tries(world: World, act: () => void): Promise<number> {
  const count = async () => (await world.metric("metallb_k8s_client_updates_total")) ?? 0;
  const before = await count();
  act();
  await world.settle();
  return (await count()) - before;
}

const has = (world: World, key: string) => world.cluster.service(key)?.ingress.join("+");

const pool4 = "- {name: four, protocol: layer2, addresses: [10.0.0.0/32]}\n";
const hopeless: {
  name: string;
  count?: number;
  config: string;
  spec?: ServiceSpec;
  helps: Record<string, (world: World) => void>;
}[] = [
  {
    name: "of both families, where no pool has both",
    count: many,
    config: `address-pools:\n${pool4}`,
    spec: dual,
    helps: {
      "a pool with both": (world) =>
        world.config(`address-pools:\n${pool4}- {name: both, protocol: layer2, addresses: [10.1.0.0/32, "fd00::/128"]}\n`),
      "that it asks for one family": (world) => world.cluster.put("services", service("crowd/w0", { labels: { a: "b" } })),
    },
  },
  {
    name: "outside of every fence",
    config: `address-pools:\n${pool4.replace("}", ", namespace-selectors: [{match-labels: {tenant: a}}]}")}`,
    helps: {
      "a label of its namespace": (world) => world.cluster.put("namespaces", namespace("crowd", { tenant: "a" })),
      "a pool for all": (world) => world.config(`address-pools:\n${pool4}`),
    },
  },
  {
    name: "whose labels no fence asks for",
    config: `address-pools:\n${pool4.replace("}", ", service-selectors: [{match-labels: {exposure: public}}]}")}`,
    helps: {
      "a label of its own": (world) => world.cluster.put("services", service("crowd/w0", { labels: { exposure: "public" } })),
    },
  },
  {
    name: "whose namespace may have nothing",
    config: `address-pools:\n${pool4.replace("/32", "/31")}quotas:\n- {namespaces: [crowd], services: 0}\n`,
    helps: {
      "another quota": (world) =>
        world.config(`address-pools:\n${pool4.replace("/32", "/31")}quotas:\n- {namespaces: [crowd], services: 1}\n`),
    },
  },
  {
    name: "where pools give nothing by themselves",
    config: `address-pools:\n${pool4.replace("}", ", auto-assign: false}")}`,
    helps: {
      "that it names a pool": (world) => world.cluster.put("services", service("crowd/w0", inPool("four"))),
      "a pool that does": (world) => world.config(`address-pools:\n${pool4}`),
    },
  },
];
for (const { name, count = 1_000, config, spec, helps } of hopeless)
  for (const [what, change] of Object.entries(helps))
    test(`of ${count} Services ${name}, a freed address has none tried; what helps is: ${what}`, async () => {
      const world = await startWorld(`address-pools:\n${pool4}`, { "other/first": {} });
      world.cluster.put("namespaces", namespace("crowd"));
      world.cluster.put("services", service("other/first", { ingress: ["10.0.0.0"], ...inPool("four") }));
      world.config(config);
      await world.settle();
      crowd(world, count, spec);
      await world.settle();
      assert.equal(await tries(world, () => world.cluster.remove("services", "other/first")), 1);
      assert.equal(has(world, "crowd/w0"), "");
      change(world);
      await world.settle();
      const served = Array.from({ length: count }, (_, i) => has(world, `crowd/w${i}`)).filter((ingress) => ingress !== "");
      assert.equal(served.length, 1);
    });

test("2,000 Services that lack two things are tried once for each that changes, and served when both are there", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.0 fd00::1-fd00::1"), {
    four: {},
    six: { clusterIPs: ["fd96::1"] },
  });
  crowd(world, many, dual);
  await world.settle();
  const counts = [
    await tries(world, () => world.delete("four")),
    await tries(world, () => world.service("late")),
    await tries(world, () => world.delete("six")),
    await tries(world, () => world.delete("late")),
  ];
  // Each deletion is one, each address that is given two: its status is seen, too. The rest are tries of those that wait.
  assert.deepEqual(counts, [1 + 1, 2, 1 + 1, 1 + 2 + 1]);
  assert.equal(has(world, "crowd/w0"), "10.0.0.0+fd00::1");
});

test("2,000 Services beyond their quota are tried once when an address is freed, and let who is behind them have it", async () => {
  const pools = `${configText("main 10.0.0.0-10.0.0.0", "gold 10.0.1.0-10.0.1.0")}  auto-assign: false\n`;
  const world = await startWorld(`${pools}quotas:\n- {namespaces: [crowd], ipv4: 1}\n`, {
    first: {},
    "crowd/gold": inPool("gold"),
  });
  crowd(world, many, (i) => ({ labels: { mine: `${i}` } }));
  await world.settle();
  world.service("behind");
  await world.settle();
  assert.equal(await tries(world, () => world.delete("first")), 1 + 1 + 2);
  assert.equal(has(world, "default/behind"), "10.0.0.0");
  assert.equal(await tries(world, () => world.cluster.remove("services", "crowd/gold")), 1 + 1);
  assert.equal(await tries(world, () => world.delete("behind")), 1 + 2 + 1);
  assert.equal(has(world, "crowd/w0"), "10.0.0.0");
});

test("thousands with a key of their own each wait for one address, and one that is freed still costs two tries", async () => {
  const world = await startWorld(one, { first: {} });
  for (let i = 0; i < 1000; i++) world.service(`w${i}`, sharing(`key-${i}`, 80));
  await world.settle();
  assert.equal(await tries(world, () => world.delete("first")), 4); // As without keys: see there.
  assert.deepEqual(world.addresses("w0"), ["w0=10.0.0.0"]);
});

const named = { loadBalancerIP: "10.0.0.0" };
const holders: { name: string; services: Record<string, ServiceSpec>; change: (world: World) => void; want: string[] }[] = [
  {
    name: "the next one got it",
    services: { a: named, b: named, c: named, d: named, e: { ...named, ...sharing("k", 80) } },
    change: (world) => world.delete("a"),
    want: ["default/b", "default/b", "default/b"],
  },
  {
    name: "one of those who share it gave it up",
    services: { a: sharing("k", 80), b: sharing("k", 81), c: named, d: named, e: { ...named, ...sharing("l", 82) } },
    change: (world) => world.delete("a"),
    want: ["default/b", "default/b", "default/b"],
  },
];
for (const { name, services, change, want } of holders)
  test(`all who asked for an address hear who has it now, when ${name}`, async () => {
    const world = await startWorld(one);
    for (const [service, spec] of Object.entries(services)) {
      world.service(service, spec);
      await world.settle();
    }
    change(world);
    await world.settle();
    const messages = ["c", "d", "e"].map((each) => [...world.statuses(`default/${each}`)][0]?.verdict.message ?? "");
    assert.deepEqual(
      messages.map((message) => /in use by (\S+)/.exec(message)?.[1]),
      want,
    );
  });

test("of 1,000 Services that ask for one address, some are tried for who has it now", async () => {
  const world = await startWorld(one, { first: named });
  crowd(world, 1_000, named);
  await world.settle();
  assert.equal(await tries(world, () => world.delete("first")), 1 + 2 + 19);
  assert.equal(has(world, "crowd/w0"), "10.0.0.0");
});

test("woken: whom an address is reserved for since another Service got it, in a pool for those who request it", async () => {
  const world = await startWorld(keptFor("namespace: elsewhere"), { a: { ...inPool("kept") }, b: {} });
  world.service("a", { ...inPool("kept") });
  world.config(keptFor("service: default/b").replaceAll("10.0.0.0/31", "10.0.0.2/32"));
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.2", "b="]);
  world.delete("a");
  await world.settle();
  assert.deepEqual(world.addresses("b"), ["b=10.0.0.2"]);
});

test("woken: a Service beyond its quota, when it may share an address that its namespace has already", async () => {
  const world = await startWorld(`${configText("main 10.0.0.0-10.0.0.1")}quotas: [{namespaces: [default], ipv4: 1}]\n`);
  world.service("holder", sharing("k", 80));
  await world.settle();
  world.cluster.put("services", service("team/other", sharing("k", 81)));
  await world.settle();
  world.service("waits", sharing("k", 81));
  await world.settle();
  assert.deepEqual(world.addresses("holder", "waits"), ["holder=10.0.0.0", "waits="]);
  world.cluster.put("services", service("team/other", { ...sharing("k", 82), ingress: ["10.0.0.0"] }));
  await world.settle();
  assert.deepEqual(world.addresses("waits"), ["waits=10.0.0.0"]);
});
