import assert from "node:assert/strict";
import { test } from "node:test";
import { service } from "#pkg/k8s/testing";
import { configText, type ServiceSpec, startWorld, type World } from "./testing/world.ts";

const ten = configText("main 10.0.0.0-10.0.0.9");
const one = configText("main 10.0.0.0-10.0.0.0");
const clusterIP = { type: "ClusterIP" } as const;
const recorded = { ingress: ["10.0.0.0"] };

interface Scene {
  readonly name: string;
  readonly config?: string;
  readonly before: Readonly<Record<string, ServiceSpec>>;
  /** All of it is seen at once. */
  readonly restore: (world: World) => void;
  readonly want: readonly string[];
}

const scenes: readonly Scene[] = [
  {
    name: "that was of another type",
    before: { a: clusterIP, web: clusterIP },
    restore: (world) => {
      world.change("a", { type: "LoadBalancer" });
      world.change("web", { type: "LoadBalancer", ...recorded });
    },
    want: ["a=10.0.0.1", "web=10.0.0.0"],
  },
  {
    name: "that waited for an address",
    config: one,
    before: { gone: {}, x: {}, web: {} },
    restore: (world) => {
      world.delete("gone");
      world.change("x", { labels: { a: "b" } });
      world.change("web", recorded);
    },
    want: ["web=10.0.0.0", "x="],
  },
  {
    name: "whose address one had that is gone",
    config: one,
    before: { gone: {}, waiting: {} },
    restore: (world) => {
      world.delete("gone");
      world.change("waiting", { labels: { a: "b" } });
      world.service("web", recorded);
    },
    want: ["waiting=", "web=10.0.0.0"],
  },
  {
    name: "whose address one had that is of another type again",
    before: { web: clusterIP, other: {} },
    restore: (world) => {
      world.change("web", { type: "LoadBalancer", ...recorded });
      world.change("other", { ...clusterIP, ingress: [] });
    },
    want: ["web=10.0.0.0"],
  },
];
for (const { name, config = ten, before, restore, want } of scenes)
  test(`a Service ${name} has its address when the API is restored from a backup that has it on record`, async () => {
    const world = await startWorld(config, before);
    restore(world);
    await world.settle();
    assert.deepEqual(world.addresses(...want.map((each) => each.replace(/=.*/, ""))), want);
  });

for (const has of [true, false])
  test(`a Service that ${has ? "has another one now" : "was deleted"} has the address of the backup, though the one that had it is not decided on yet`, async () => {
    const world = await startWorld(ten, { b: {}, a: {} });
    const had = world.cluster.service("default/a")?.ingress ?? [];
    if (has) world.cluster.put("services", service("other/web"));
    await world.settle();
    world.delete("b");
    world.delete("a");
    world.cluster.put("services", service("other/web", { ingress: had }));
    await world.settle();
    assert.deepEqual(world.cluster.service("other/web")?.ingress, had);
  });

test("a Service that waits in the backup keeps the address that it was given since, and one that is back gets another", async () => {
  const world = await startWorld(ten, { waits: {} });
  world.change("waits", { ingress: [] });
  world.service("web", recorded);
  await world.settle();
  assert.deepEqual(world.addresses("waits", "web"), ["waits=10.0.0.0", "web=10.0.0.1"]);
});
