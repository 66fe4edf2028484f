import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { annotations } from "#pkg/service";
import { configText, coreOptions, type ServiceSpec, startWorld, type World } from "../testing/world.ts";
import type { ControllerEvent } from "./events.ts";
import { createState } from "./state.ts";
import { nextDeadline, step } from "./step.ts";

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

test("a Service that waits in the backup leaves the address that it was given since to the one that is back and has it on record", async () => {
  const world = await startWorld(ten, { waits: {} });
  world.change("waits", { ingress: [] });
  world.service("web", recorded);
  await world.settle();
  assert.deepEqual(world.addresses("waits", "web"), ["waits=10.0.0.1", "web=10.0.0.0"]);
});

test("a Service that was deleted, and its pool after it, has its address when both are restored, though Services are seen first", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.9", "old 10.1.0.0-10.1.0.9"), { other: {} });
  world.service("web", { annotations: { [annotations.pool]: "old" } });
  await world.settle();
  world.change("web", { annotations: {} });
  await world.settle();
  const backup = world.cluster.backup();
  world.delete("web");
  await world.settle();
  world.config(ten);
  await world.settle();
  world.cluster.restore(backup);
  world.cluster.silent.add("configmaps");
  await world.settle();
  world.cluster.silent.clear();
  await world.settle();
  assert.deepEqual(world.addresses("web", "other"), ["web=10.1.0.0", "other=10.0.0.0"]);
});

test("addresses that were moved and given to others since are where the backup has them, whoever is seen first", async () => {
  const wants = (address: string) => ({ annotations: { "metallb.io/loadBalancerIPs": address } });
  for (const [first, second] of [
    ["a", "b"],
    ["b", "a"],
  ] as const) {
    const world = await startWorld(ten, { [first]: { created: 1 }, [second]: { created: 2, ...wants("10.0.0.0") } });
    const backup = [first, second].map((name) => world.cluster.service(`default/${name}`));
    world.change(first, wants("10.0.0.7"));
    await world.settle();
    assert.deepEqual(world.addresses(first, second), [`${first}=10.0.0.7`, `${second}=10.0.0.0`]);
    for (const service of backup) if (service !== undefined) world.cluster.put("services", service);
    const lines = await world.settle();
    assert.deepEqual(world.addresses(first, second), [`${first}=10.0.0.0`, `${second}=`]);
    assert.deepEqual(
      lines.filter((line) => line.includes(": status ")),
      [],
      "the backup's statuses are as they are to be",
    );
  }
});

test("a Service whose address another one has, which is of another type by now, though its status is only just being written, has it back", async () => {
  const wants = (address: string) => ({ annotations: { "metallb.io/loadBalancerIPs": address } });
  const world = await startWorld(ten, { other: wants("10.0.0.7") });
  const { promise, resolve } = Promise.withResolvers<void>();
  world.cluster.gate = promise;
  world.change("other", wants("10.0.0.0"));
  world.cluster.deliver();
  world.clock.advanceBy(0);
  assert.equal(world.cluster.busy, true);
  world.change("other", { ...clusterIP, ingress: [] }); // As the API empties it then.
  world.service("web", recorded);
  world.cluster.deliver();
  resolve();
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
});

test("Services that shared an address in the backup, and do not since, share it again", async () => {
  const shares = (port: number) => ({
    annotations: { "metallb.io/allow-shared-ip": "k" },
    ports: [{ name: "", protocol: "TCP", port }] as const,
  });
  const world = await startWorld(ten, { a: shares(80), b: shares(81) });
  const backup = ["a", "b"].map((name) => world.cluster.service(`default/${name}`));
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.0", "b=10.0.0.0"]);
  world.change("a", { annotations: { "metallb.io/loadBalancerIPs": "10.0.0.7" } });
  await world.settle();
  world.change("b", { annotations: {} });
  await world.settle();
  for (const service of backup) if (service !== undefined) world.cluster.put("services", service);
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.0", "b=10.0.0.0"]);
});

test("a pool that is full since a Service came with its last address on record says so since then", async () => {
  const world = await startWorld(one);
  world.clock.advanceBy(60_000);
  world.service("web", recorded);
  await world.settle();
  const [pool] = world.controller.view.pools();
  assert.deepEqual([pool?.verdict.cause, pool?.since], ["full", 60_000]);
});

test("three Services whose addresses the backup has in another order have them in that order, and who waits gets none of them", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.2"), { a: {}, b: {}, c: {}, waits: {} });
  for (const [name, address] of Object.entries({ a: "10.0.0.1", b: "10.0.0.2", c: "10.0.0.0" }))
    world.change(name, { ingress: [address] });
  await world.settle();
  assert.deepEqual(world.addresses("a", "b", "c", "waits"), ["a=10.0.0.1", "b=10.0.0.2", "c=10.0.0.0", "waits="]);
});

test("an address that somebody writes into the status of a Service that may not have it stays where it is, also where that lost it", async () => {
  const fenced = `${configText("main 10.0.0.0-10.0.0.9")}  namespaces: [default]\n`;
  const world = await startWorld(fenced, { a: {} });
  world.cluster.put("services", service("other/web", recorded));
  world.change("a", { ingress: [] });
  await world.settle();
  assert.deepEqual(world.addresses("a"), ["a=10.0.0.0"]);
  assert.deepEqual(world.cluster.service("other/web")?.ingress, []);
});

test("a status that was written, and that the backup lacks, is written once more, though nobody saw it before", async () => {
  const world = await startWorld(ten);
  world.service("web");
  world.cluster.deliver();
  const backup = world.cluster.backup();
  world.cluster.silent.add("services");
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
  world.cluster.restore(backup);
  assert.deepEqual(world.addresses("web"), ["web="]);
  world.cluster.silent.clear();
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
});

test("an address that a Service has back from the backup is none that it was given just now: no report of another host takes it", async () => {
  const strict = `${configText("main 10.0.0.0-10.0.0.1")}  conflict-probe: strict\n`;
  const world = await startWorld(strict, { web: {} });
  const backup = world.cluster.service("default/web");
  world.clock.advanceBy(30_000);
  world.change("web", { annotations: { "metallb.io/loadBalancerIPs": "10.0.0.1" } });
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.1"]);
  if (backup !== undefined) world.cluster.put("services", backup);
  await world.settle();
  world.occupied("10.0.0.0");
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
});

test("an address that a restored status has, and may not keep, goes to another Service once that status is written", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.9", "other 10.0.1.0-10.0.1.9"));
  const of = (pool: string) => ({ annotations: { [annotations.pool]: pool } });
  world.service("b", of("main"));
  world.service("a", of("main"));
  world.service("web", of("other"));
  await world.settle();
  assert.deepEqual(world.addresses("a", "b", "web"), ["a=10.0.0.1", "b=10.0.0.0", "web=10.0.1.0"]);
  world.delete("b");
  await world.settle();
  world.change("a", { ingress: ["10.0.1.5"] });
  world.change("web", { ingress: ["10.0.0.0", "10.0.0.1"] });
  const statuses = (await world.settle()).filter((line) => line.includes(": status "));
  assert.deepEqual(statuses, ["default/web: status 10.0.1.0", "default/a: status 10.0.0.0"]);
});

test("while changes of a long list come to count, turn by turn, nothing is decided, so that an address on record stays with its Service", () => {
  const state = createState(coreOptions);
  const written: string[] = [];
  const queue: ControllerEvent[] = [];
  const now = { about: undefined, version: "1", secretText: one, mayRenumber: false };
  const dispatch = (event: ControllerEvent): void => {
    for (const effect of step(state, event, 0))
      if (effect.type === "readConfig") queue.push({ type: "configRead", secretText: one, parsed: parseConfig(one) });
      else if (effect.type === "portion" || effect.type === "judgePortion") queue.push(effect);
      else if (effect.type === "writeLastGood") queue.push({ type: "lastGoodWritten", secretText: one, failure: undefined });
      else if (effect.type === "wake") queue.push({ type: "continue" });
      else if (effect.type === "writeStatus") written.push(`${effect.service.key}=${effect.addresses}`);
  };
  const settle = (): void => {
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) dispatch(event);
  };
  dispatch({ type: "begin" });
  dispatch({ type: "configMap", now });
  dispatch({ type: "seen", isCurrent: true });
  dispatch({ type: "lead" });
  settle();
  const waits = service("default/waits", {});
  const has = service("default/has", { ...recorded, created: 1 });
  dispatch({ type: "services", changed: [waits, has].map((now) => ({ key: now.key, now })) });
  dispatch({ type: "service", key: waits.key });
  dispatch({ type: "timer", chance: 0.5 });
  settle();
  assert.deepEqual([written, state.allocator.held(waits.key)], [[], undefined]);
  assert.ok(nextDeadline(state) > 0, "and nobody is woken over and over");
  dispatch({ type: "service", key: has.key });
  dispatch({ type: "service", key: has.key }); // The change counts already: a later one of this Service came first.
  settle();
  assert.deepEqual(state.allocator.held(has.key)?.addresses.map(String), recorded.ingress);
  assert.deepEqual([written, state.allocator.held(waits.key)], [[], undefined]);
  dispatch({ type: "services", changed: [{ key: has.key, now: undefined }] });
  dispatch({ type: "service", key: has.key });
  settle();
  assert.deepEqual(written, ["default/waits=10.0.0.0"], "once it is free");
});

test("a controller that leads begins once all changes of the list count", () => {
  const state = createState(coreOptions);
  const services = ["a", "b"].map((name) => service(`default/${name}`, {}));
  for (const event of [{ type: "begin" }, { type: "seen", isCurrent: true }] as const) step(state, event, 0);
  step(state, { type: "services", changed: services.map((now) => ({ key: now.key, now })) }, 0);
  step(state, { type: "service", key: "default/a" }, 0);
  step(state, { type: "lead" }, 0);
  assert.equal(state.isWorking, false);
  step(state, { type: "service", key: "default/b" }, 0);
  assert.equal(state.isWorking, true);
});

test("thousands of Services that come with addresses on record while a configuration comes into force are looked at in portions, and all keep these", () => {
  const state = createState(coreOptions);
  const queue: ControllerEvent[] = [];
  const large = configText("main 10.0.0.0-10.0.15.255");
  let most = 0;
  const dispatch = (event: ControllerEvent): void => {
    const effects = step(state, event, 0);
    most = Math.max(most, effects.filter((effect) => effect.type === "log" && effect.message === "addresses assigned").length);
    for (const effect of effects)
      if (effect.type === "readConfig") {
        const { secretText } = effect;
        queue.push({ type: "configRead", secretText, parsed: parseConfig(secretText) });
      } else if (effect.type === "portion" || effect.type === "judgePortion") queue.push(effect);
  };
  for (const event of [{ type: "begin" }, { type: "seen", isCurrent: true }, { type: "lead" }] as const) dispatch(event);
  dispatch({ type: "configMap", now: { about: undefined, version: "1", secretText: large, mayRenumber: false } });
  const come = (count: number, of: (i: number) => Partial<Service>) => {
    const changed = Array.from({ length: count }, (_, i) => service(`default/${count}-${i}`, of(i)));
    dispatch({ type: "services", changed: changed.map((now) => ({ key: now.key, now })) });
    for (const { key } of changed) dispatch({ type: "service", key });
    return changed;
  };
  come(100, () => ({})); // More than are decided on in one portion.
  while (state.pools.configuring?.phase !== "settle") dispatch(queue.shift() ?? assert.fail("nothing is settled"));
  const back = come(2_000, (i) => ({ ingress: [`10.0.${8 + (i >> 8)}.${i & 255}`] }));
  for (let event = queue.shift(); event !== undefined; event = queue.shift()) dispatch(event);
  assert.ok(most <= 400, `${most} in one turn`);
  assert.equal(state.pools.configuring, undefined);
  for (const { key, ingress } of back) assert.deepEqual(state.allocator.held(key)?.addresses.map(String), ingress);
});

test("an address that a Service gets in place of one that another has back stands in the way of a configuration that is being judged", () => {
  const state = createState(coreOptions);
  const queue: ControllerEvent[] = [];
  const dispatch = (event: ControllerEvent): void => {
    for (const effect of step(state, event, 0))
      if (effect.type === "readConfig") {
        const { secretText } = effect;
        queue.push({ type: "configRead", secretText, parsed: parseConfig(secretText) });
      } else if (effect.type === "portion" || effect.type === "judgePortion") queue.push(effect);
  };
  const settle = (until: () => boolean = () => false): void => {
    while (queue.length > 0 && !until()) dispatch(queue.shift() as ControllerEvent);
  };
  const configure = (...pools: string[]): void =>
    dispatch({
      type: "configMap",
      now: { about: undefined, version: "1", secretText: configText(...pools), mayRenumber: false },
    });
  const come = (...all: readonly Service[]): void => {
    dispatch({ type: "services", changed: all.map((now) => ({ key: now.key, now })) });
    for (const { key } of all) dispatch({ type: "service", key });
  };
  for (const event of [{ type: "begin" }, { type: "seen", isCurrent: true }, { type: "lead" }] as const) dispatch(event);
  configure("main 10.0.0.0-10.0.0.0", "old 10.0.1.0-10.0.1.9");
  const others = Array.from({ length: 600 }, (_, i) => service(`default/other${i}`, clusterIP));
  come(service("default/a", recorded), ...others); // More than are judged in one portion.
  settle();
  configure("main 10.0.0.0-10.0.0.0");
  settle(() => queue[0]?.type === "judgePortion");
  dispatch(queue.shift() as ControllerEvent);
  come(service("default/a", {}), service("default/web", recorded));
  assert.equal(`${state.allocator.held("default/a")?.addresses}`, "10.0.1.0");
  settle();
  assert.deepEqual(
    [...state.allocator.usage()].map(({ pool }) => pool),
    ["main", "old"],
  );
});
