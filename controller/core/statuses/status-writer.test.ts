import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ApiError } from "#pkg/k8s";
import { annotations } from "#pkg/service";
import { causes } from "#pkg/verdict";
import { configText, startWorld, World } from "../../testing/world.ts";

const ten = configText("main 10.0.0.0-10.0.0.9");
const refusals: { name: string; error: ApiError; isEvent: boolean }[] = [
  { name: "invalid", error: new ApiError("Cannot write: status is invalid", 422, "Invalid"), isEvent: true },
  { name: "forbidden by a policy", error: new ApiError("Cannot write: denied by policy x", 403, "Forbidden"), isEvent: true },
  {
    name: "forbidden by RBAC",
    error: new ApiError('Cannot write: User "u" cannot patch resource "services/status"', 403, "Forbidden"),
    isEvent: false,
  },
  { name: "a fault of the server", error: new ApiError("Cannot write: boom", 500, "InternalError"), isEvent: false },
];
for (const { name, error, isEvent } of refusals) {
  test(`a status that is refused as ${name} is ${isEvent ? "one event" : "no event"} on its Service, and written once it is not`, async () => {
    const world = await startWorld(ten);
    world.cluster.refused.set("default/web", error);
    world.service("web");
    const events: string[] = [];
    for (let i = 0; i < 10; i++) {
      events.push(...(await world.settle()).filter((line) => line.includes("StatusUpdateFailed")));
      world.clock.advanceToNext();
    }
    const message = `The API server refuses the status with the assigned addresses: ${error.message}`;
    assert.deepEqual(
      events,
      isEvent ? [`default/web: Warning StatusUpdateFailed: ${message}; ${causes.service.statusRefused.next}`] : [],
    );
    assert.equal(verdictOn(world), `Pending statusRefused: t${message.slice(1)}`);
    world.cluster.refused.clear();
    world.clock.advanceBy(60_000);
    await world.settle();
    assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
    assert.match(verdictOn(world), /^Assigned assigned: /);
  });
}

test("rights that the controller lacks for 30 s are told of in one event, and a rollout that brings them sooner in none", async () => {
  for (const seconds of [25, 120]) {
    const world = await startWorld(ten);
    const message = 'Cannot write: User "u" cannot patch resource "services/status"';
    world.cluster.refused.set("default/web", new ApiError(message, 403, "Forbidden"));
    world.service("web");
    const lines: string[] = [];
    for (let second = 0; second < seconds; second++) {
      world.clock.advanceBy(1_000);
      lines.push(...(await world.settle()));
    }
    assert.equal(lines.filter((line) => line.includes("Warning StatusUpdateFailed")).length, seconds > 30 ? 1 : 0);
  }
});

function verdictOn(world: World): string {
  const [found] = world.statuses("default/web");
  return `${found?.verdict.state} ${found?.verdict.cause}: ${found?.verdict.message}`;
}

test("a refused status that somebody else has written is nothing that is wrong with the Service", async () => {
  const world = await startWorld(ten);
  world.cluster.refused.set("default/web", new ApiError("Cannot write: denied by policy x", 403, "Forbidden"));
  world.service("web");
  await world.settle();
  assert.match(verdictOn(world), /^Pending statusRefused: /);
  world.change("web", { ingress: ["10.0.0.0"] });
  await world.settle();
  assert.match(verdictOn(world), /^Assigned assigned: /);
});

test("a status that is refused time and again keeps no other Service waiting", async () => {
  const services = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`bad${i}`, {}]));
  const world = await startWorld(ten);
  const error = new ApiError("Cannot write: boom", 500, "InternalError");
  for (const name of Object.keys(services)) {
    world.cluster.refused.set(`default/${name}`, error);
    world.service(name);
  }
  await world.settle();
  world.service("web");
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.8"]);
});

test("what another writer sets beside an address is no reason to write the status", async () => {
  const world = await startWorld(ten, { web: {} });
  await world.settle();
  const details = { ipMode: "Proxy", ports: [{ port: 80, protocol: "TCP" }] };
  for (const ingressDetails of [{ "10.0.0.0": details }, {}, { "10.0.0.0": { ipMode: "Proxy" } }]) {
    world.change("web", { ingress: ["10.0.0.0"], ingressDetails });
    assert.deepEqual(await world.settle(), []);
  }
});

test("an address that another controller insists on stays, although it would not be given, and nobody writes any more", async () => {
  const world = await startWorld(`${ten}  reserved: [10.0.0.5]\n`, { web: {} });
  await world.settle();
  for (const stays of [false, true]) {
    world.change("web", { ingress: ["10.0.0.5"] });
    await world.settle();
    assert.deepEqual(world.addresses("web"), [stays ? "web=10.0.0.5" : "web=10.0.0.0"]);
  }
  world.change("web", { ingress: [] });
  await world.settle();
  world.clock.advanceBy(300_000);
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.5"], "a status that is cleared gives nothing else");
});

test("a status that another controller overwrites without end is restored ever later, and events say so", async () => {
  const world = await startWorld(ten, { web: {} });
  const lines: string[] = [];
  const restored = () => lines.filter((line) => line === "default/web: status 10.0.0.0").length;
  for (const end = world.clock.now() + 10_000; world.clock.now() < end; ) {
    world.change("web", { ingress: ["192.0.2.9"] });
    lines.push(...(await world.settle()));
    for (let i = 0; i < 1000 && world.addresses("web")[0] !== "web=10.0.0.0" && world.clock.now() < end; i++) {
      world.clock.advanceBy(10);
      lines.push(...(await world.settle()));
    }
  }
  assert.ok(restored() >= 3 && restored() <= 8, `${restored()} times`);
  const events = lines.filter((line) => line.includes("StatusOverwritten"));
  assert.match(
    events[0] ?? "",
    /Another controller or an admission webhook overwrote the status with \["192\.0\.2\.9"\]; it is set to \["10\.0\.0\.0"\] again in/,
  );
  world.clock.advanceBy(300_000);
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
});

test("a status that an admission webhook empties is written again ever later, its Service says so, and has it when the webhook is gone", async () => {
  const world = await startWorld(ten);
  world.cluster.admit = () => [];
  world.service("web");
  const lines: string[] = [];
  const pass = async (seconds: number) => {
    for (let at = 0; at < seconds; at++) {
      world.clock.advanceBy(1_000);
      lines.push(...(await world.settle()));
    }
  };
  await pass(600);
  const written = lines.filter((line) => line === "default/web: status 10.0.0.0").length;
  assert.ok(written > 3 && written < 12, `${written} times`);
  assert.match(
    lines.find((line) => line.includes("StatusOverwritten")) ?? "",
    /admission webhook overwrote the status with \[\]/,
  );
  assert.equal([...world.statuses("default/web")][0]?.verdict.cause, "statusOverwritten");
  world.cluster.admit = (addresses) => addresses;
  await pass(400);
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
  lines.length = 0;
  await pass(300);
  assert.deepEqual(lines, [], "one that was seen is not written again");
});

test("a Service gets conditions though nobody saw the status that was written before another one", async () => {
  const world = new World({ hasConditions: true });
  world.config(ten);
  world.service("web");
  world.controller.start();
  world.cluster.deliver();
  world.cluster.silent.add("services");
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
  world.change("web", { ingress: ["10.0.0.5"] });
  world.cluster.silent.clear();
  await world.settle();
  world.clock.advanceBy(30_000);
  await world.settle();
  assert.match(world.cluster.service("default/web")?.conditions[0]?.message ?? "", /10\.0\.0\.5 of pool main/);
});

test("a status that was overwritten once is restored at once, without an event", async () => {
  const world = await startWorld(ten, { web: {} });
  world.change("web", { ingress: ["192.0.2.9"] });
  assert.deepEqual(
    (await world.settle()).filter((line) => /StatusOverwritten|status/.test(line)),
    ["default/web: status 10.0.0.0"],
  );
});

test("a Service that was deleted and made again in a gap of the watch is none whose status others overwrite", async () => {
  const world = await startWorld(ten, { web: { uid: "0" } });
  for (const uid of ["1", "2", "3"]) {
    world.clock.advanceBy(20_000);
    world.service("web", { uid });
    const lines = await world.settle();
    assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"], `at once, life ${uid}`);
    assert.deepEqual(
      lines.filter((line) => line.includes("StatusOverwritten")),
      [],
    );
  }
});

test("a Service that was deleted and made again in a gap of the watch has no refusal of the former one's status", async () => {
  const world = await startWorld(ten);
  const events = async () => (await world.settle()).filter((line) => line.includes("StatusUpdateFailed")).length;
  const error = new ApiError("Cannot write: denied by policy x", 403, "Forbidden");
  world.cluster.refused.set("default/web", error);
  world.service("web", { uid: "1" });
  assert.equal(await events(), 1);
  world.service("web", { uid: "2" });
  assert.equal(await events(), 1, "it is another Service, with Events of its own");
});

test("a Service that asks for one pool and the other in turn is not taken for one whose status others write", async () => {
  const pools = configText("main 10.0.0.0-10.0.0.9", "gold 10.0.1.0-10.0.1.9");
  const world = await startWorld(pools, { web: {} });
  const lines: string[] = [];
  for (const pool of ["gold", "main", "gold", "main", "gold"]) {
    world.change("web", { annotations: { "metallb.io/address-pool": pool } });
    lines.push(...(await world.settle()));
  }
  assert.deepEqual(
    lines.filter((line) => line.includes("StatusOverwritten")),
    [],
  );
  assert.deepEqual(world.addresses("web"), ["web=10.0.1.0"]);
});

test("a Service whose owner undoes an edit before its other address is in the status keeps the one that is", async () => {
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.9", "gold 10.0.1.0-10.0.1.9"), { web: {} });
  const pass = async () => {
    world.cluster.deliver();
    world.clock.advanceBy(0);
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  };
  const { promise, resolve } = Promise.withResolvers<void>();
  world.cluster.gate = promise;
  world.change("web", { annotations: { [annotations.pool]: "gold" } });
  await pass();
  world.change("web", { annotations: {} });
  await pass();
  resolve();
  await world.settle();
  assert.deepEqual(world.addresses("web"), ["web=10.0.0.0"]);
});
