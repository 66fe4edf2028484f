import assert from "node:assert/strict";
import { test } from "node:test";
import { annotations } from "#pkg/service";
import { configText, type ServiceSpec, startWorld } from "./testing/world.ts";

function sharing(key: string, ...ports: number[]): ServiceSpec {
  return {
    annotations: { [annotations.sharing]: key },
    ports: ports.map((port) => ({ name: "", protocol: "TCP", port })),
  };
}

const inPool = (pool: string): ServiceSpec => ({ annotations: { [annotations.pool]: pool } });
const one = configText("main 10.0.0.0-10.0.0.0");

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

test("thousands with a key of their own each wait for one address, and one that is freed still costs two tries", async () => {
  const world = await startWorld(one, { first: {} });
  for (let i = 0; i < 1000; i++) world.service(`w${i}`, sharing(`key-${i}`, 80));
  await world.settle();
  const tries = async () => (await world.metric("metallb_k8s_client_updates_total")) ?? 0;
  const before = await tries();
  world.delete("first");
  await world.settle();
  assert.equal((await tries()) - before, 4); // As without keys: see there.
  assert.deepEqual(world.addresses("w0"), ["w0=10.0.0.0"]);
});
