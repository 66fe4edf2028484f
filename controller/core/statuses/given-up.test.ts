import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ApiError } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { renumberAnnotation } from "#pkg/live-config";
import { configText, coreOptions, startWorld } from "../../testing/world.ts";
import { createState } from "../state.ts";
import { step } from "../step.ts";
import { GivenUp } from "./given-up.ts";

const ten = configText("main 10.0.0.0-10.0.0.9");
const wants = (address: string) => ({ annotations: { "metallb.io/loadBalancerIPs": address } });
const refused = new ApiError("Cannot write: denied by policy x", 403, "Forbidden");

/** The verdict on a Service. */
function verdictOn(world: Awaited<ReturnType<typeof startWorld>>, name: string): string {
  const [status] = world.statuses(`default/${name}`);
  return `${status?.verdict.cause}: ${status?.verdict.message}`;
}

test("an address is in nobody else's status before the one that gave it up has another", async () => {
  const world = await startWorld(ten, { old: wants("10.0.0.1"), new: {} });
  world.cluster.refused.set("default/old", refused);
  world.change("old", wants("10.0.0.2"));
  await world.settle();
  world.change("new", wants("10.0.0.1"));
  await world.settle();
  assert.deepEqual(world.addresses("old", "new"), ["old=10.0.0.1", "new=10.0.0.0"]);
  assert.equal(verdictOn(world, "new"), "addressGivenUp: 10.0.0.1 is still in the status of default/old, which has given it up");
  world.cluster.refused.clear();
  world.clock.advanceBy(60_000);
  const lines = await world.settle();
  assert.deepEqual(
    lines.filter((line) => line.includes(": status ")),
    ["default/old: status 10.0.0.2", "default/new: status 10.0.0.1"],
  );
  assert.match(verdictOn(world, "new"), /^assigned/);
});

test("once the status of the one that gave it up has been written, an address goes to another, whenever that is seen", async () => {
  const world = await startWorld(ten, { old: wants("10.0.0.1"), new: {} });
  world.change("old", wants("10.0.0.2"));
  world.change("new", wants("10.0.0.1"));
  world.cluster.deliver();
  world.cluster.silent.add("services");
  await world.settle();
  world.clock.advanceBy(1_000);
  await world.settle();
  assert.deepEqual(world.addresses("old", "new"), ["old=10.0.0.2", "new=10.0.0.1"]);
});

test("an address is in nobody else's status while one has given it up that spells it otherwise", async () => {
  const world = await startWorld(configText("main fd00::1-fd00::9"), {});
  world.cluster.refused.set("default/old", refused);
  const six = { clusterIPs: ["fd96::1"] };
  world.service("old", { ...six, ...wants("fd00::2"), ingress: ["FD00:0::0001"] });
  await world.restart();
  await world.settle();
  world.service("new", { ...six, ...wants("fd00::1") });
  await world.settle();
  assert.deepEqual(world.addresses("old", "new"), ["old=FD00:0::0001", "new="]);
  world.cluster.refused.clear();
  world.clock.advanceBy(60_000);
  await world.settle();
  assert.deepEqual(world.addresses("old", "new"), ["old=fd00::2", "new=fd00::1"]);
});

test("whoever holds such an address is served when the Service that gave it up is deleted, or is no longer ours", async () => {
  for (const end of ["deleted", "not ours"]) {
    const world = await startWorld(ten, { old: wants("10.0.0.1"), new: {} });
    world.cluster.refused.set("default/old", refused);
    world.change("old", wants("10.0.0.2"));
    world.change("new", wants("10.0.0.1"));
    await world.settle();
    assert.deepEqual(world.addresses("new"), ["new=10.0.0.0"]);
    if (end === "deleted") world.delete("old");
    else world.change("old", { type: "ClusterIP", ingress: [] });
    await world.settle();
    assert.deepEqual(world.addresses("new"), ["new=10.0.0.1"], end);
  }
});

/** Has the answer to each write of a Service's status wait, which the API has carried out. @param stepMs of each turn in which things happen meanwhile */
function withoutAnswers({ cluster, clock }: Awaited<ReturnType<typeof startWorld>>, key: string, stepMs: number) {
  const answered = Promise.withResolvers<void>();
  const write = cluster.writeIngress.bind(cluster);
  mock.method(cluster, "writeIngress", async (...[of, addresses, options]: Parameters<typeof write>) => {
    const result = await write(of, addresses, options);
    if (of.key === key) await answered.promise;
    return result;
  });
  const pass = async () => {
    for (let turn = 0; turn < 100; turn++) {
      cluster.deliver();
      clock.advanceBy(stepMs);
      await setImmediate();
    }
  };
  return { answer: () => answered.resolve(), pass };
}

test("an address that a Service gives up while it is being written into its status is in nobody else's before that has another", async () => {
  const world = await startWorld(configText("a 10.0.0.1-10.0.0.1 fd00::1-fd00::1"));
  const { answer, pass } = withoutAnswers(world, "default/both", 100);
  world.service("both", { clusterIPs: ["10.96.0.1", "fd96::1"] });
  world.service("six", { clusterIPs: ["fd96::2"], annotations: { "metallb.io/address-pool": "b" } });
  world.cluster.deliver();
  world.cluster.silent.add("services");
  await pass();
  world.config(configText("a 10.0.0.1-10.0.0.1", "b fd00::1-fd00::1"), { [renumberAnnotation]: "true" });
  await pass();
  assert.deepEqual(world.addresses("both", "six"), ["both=10.0.0.1+fd00::1", "six="]);
  world.cluster.transcript.length = 0;
  answer();
  world.cluster.silent.clear();
  const lines = await world.settle();
  assert.deepEqual(
    lines.filter((line) => line.includes(": status ")),
    ["default/both: status 10.0.0.1", "default/six: status fd00::1"],
  );
});

test("an address that somebody takes out of a status, before the answer to its writing comes, is there no more", async () => {
  const world = await startWorld(ten, {});
  const { answer, pass } = withoutAnswers(world, "default/old", 2);
  world.service("old", {});
  world.cluster.deliver();
  world.cluster.silent.add("services"); // The status with 10.0.0.0 is written, and is not seen.
  await pass();
  assert.deepEqual(world.addresses("old"), ["old=10.0.0.0"]);
  world.change("old", { ingress: ["10.0.0.7"] });
  world.cluster.silent.clear();
  await pass();
  answer();
  await world.settle();
  world.service("new", wants("10.0.0.0"));
  await world.settle();
  assert.deepEqual(world.addresses("old", "new"), ["old=10.0.0.7", "new=10.0.0.0"]);
});

test("Services that have given up what each other waits for do not wait for ever", async () => {
  const pools = (a: string, b: string) => configText(`a ${a}-${a}`, `b ${b}-${b}`);
  const inPool = (name: string) => ({ annotations: { "metallb.universe.tf/address-pool": name } });
  const world = await startWorld(pools("10.0.0.1", "10.0.0.2"), { a: inPool("a"), b: inPool("b") });
  for (const name of ["a", "b"]) world.cluster.refused.set(`default/${name}`, refused);
  for (const [a, b] of [
    ["10.0.0.8", "10.0.0.9"],
    ["10.0.0.2", "10.0.0.1"],
  ] as const) {
    world.config(pools(a, b), { [renumberAnnotation]: "true" });
    await world.settle();
  }
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.1", "b=10.0.0.2"]);
  world.cluster.refused.clear();
  const lines: string[] = [];
  for (let i = 0; i < 40; i++) {
    world.clock.advanceBy(1_000);
    lines.push(...(await world.settle()));
  }
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.2", "b=10.0.0.1"]);
});

test("Services whose owners ask for each other's addresses keep their own, also where the API refuses what they are given in between", async () => {
  const world = await startWorld(ten, { a: wants("10.0.0.1"), b: wants("10.0.0.2") });
  for (const name of ["a", "b"]) world.cluster.refused.set(`default/${name}`, refused);
  world.change("a", wants("10.0.0.8"));
  world.change("b", wants("10.0.0.9"));
  await world.settle();
  world.change("a", wants("10.0.0.2"));
  await world.settle();
  world.change("b", wants("10.0.0.1"));
  await world.settle();
  world.cluster.refused.clear();
  for (let i = 0; i < 40; i++) {
    world.clock.advanceBy(1_000);
    const lines = await world.settle();
    assert.deepEqual(
      lines.filter((line) => line.includes(": status ")),
      [],
    );
  }
  assert.deepEqual(world.addresses("a", "b"), ["a=10.0.0.1", "b=10.0.0.2"]);
});

test("a standby, which gives nobody an address, remembers nothing as given up", () => {
  const state = createState(coreOptions);
  const now = service("default/web", { ingress: ["10.0.0.1"] });
  step(state, { type: "begin" }, 0);
  step(state, { type: "services", changed: [{ key: now.key, now }] }, 0);
  step(state, { type: "service", key: now.key }, 0);
  assert.equal(state.givenUp.by("10.0.0.1", "default/other"), undefined);
});

test("of thousands that wait in a chain few are looked at, by the last of them and by those whose turn comes", () => {
  let looked = 0;
  const others = (index: number) => {
    const list = [`team/s${index - 1}`];
    const count = <T>(value: T): T => {
      looked++;
      return value;
    };
    return Object.assign(list, {
      [Symbol.iterator]: () => count(list.values()),
      includes: (key: string) => count(list.indexOf(key) >= 0),
    });
  };
  const addressOf = (index: number) => `10.0.${index >> 8}.${index & 255}`;
  const holders = (address: object) => [
    `team/s${Number(`${address}`.split(".")[2]) * 256 + Number(`${address}`.split(".")[3]) + 1}`,
  ];
  const changed: string[] = [];
  const givenUp = new GivenUp({ held: () => undefined, holders }, { changed: (key) => changed.push(key) });
  for (let index = 0; index < 10_000; index++) givenUp.look(`team/s${index}`, [addressOf(index)]);
  for (let index = 1; index < 50; index++) assert.equal(givenUp.wait(`team/s${index}`, others(index)), false);
  for (let index = 50; index < 10_000; index++) givenUp.wait(`team/s${index}`, others(index));
  looked = 0;
  assert.equal(givenUp.wait("team/s9999", others(9_999)), true);
  assert.ok(looked > 0 && looked <= 110, `${looked}`);
  looked = 0;
  givenUp.look("team/s7", []);
  assert.deepEqual([changed, looked], [["team/s8"], 1]);
});

test("a long chain of Services that wait for one whose status the API refuses ends when it does no more", async () => {
  const names = Array.from({ length: 130 }, (_, index) => `s${index}`);
  const first = Object.fromEntries(names.map((name, index) => [name, wants(`10.0.0.${index + 1}`)]));
  const world = await startWorld(configText("main 10.0.0.0-10.0.0.199"), first);
  world.cluster.refused.set("default/s0", refused);
  for (const [index, name] of names.entries()) {
    world.change(name, wants(`10.0.0.${index === 0 ? 199 : index}`));
    await world.settle();
  }
  world.cluster.refused.clear();
  for (let i = 0; i < 20; i++) {
    world.clock.advanceBy(10_000);
    await world.settle();
  }
  const wanted = names.map((name, index) => `${name}=10.0.0.${index === 0 ? 199 : index}`);
  assert.deepEqual(world.addresses(...names), wanted);
});
