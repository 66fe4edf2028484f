import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceSpec } from "../api/objects.ts";
import { firstConfig, movedConfig, withShorterHold } from "../history.ts";
import { Scene, spec } from "./scene.ts";

test("an address that two Services have, and one that changes by itself, are found", async () => {
  const scene = await Scene.atRest();
  scene.write("b", ...scene.cluster.people.status("a"));
  assert.match(scene.found ?? "", /default\/b had 192\.0\.2\.\d and has 192\.0\.2\.\d, although nobody asked for that/);
  const other = await Scene.atRest();
  other.cluster.people.setService("c", { ...spec, endpoints: [0] });
  other.write("c", ...other.cluster.people.status("a"));
  assert.match(other.found ?? "", /c got 192\.0\.2\.\d, which a has and may not share/);
});

test("a change of what a Service asks for may change its address", async () => {
  const scene = await Scene.atRest();
  scene.cluster.people.setService("a", { ...spec, pool: "sticky" });
  await scene.pass(10_000);
  assert.equal(scene.found, undefined);
  assert.match(scene.cluster.people.status("a").join(), /^192\.0\.2\.3\d$/);
});

test("an address that changes after an edit is found where what the Service has is what it asks for, however soon after the edit", async () => {
  const edits: readonly (readonly [string, Partial<ServiceSpec>])[] = [
    ["nothing", {}],
    ["its port", { port: 90 }],
    ["its endpoints", { endpoints: [1] }],
    ["its policy", { isLocal: true }],
    ["its sharing key", { sharing: "k" }],
    ["the address that it has", { wanted: "192.0.2.0" }],
  ];
  for (const [what, edit] of edits) {
    const scene = await Scene.atRest();
    scene.cluster.people.setService("a", { ...spec, ...edit });
    scene.write("a", "192.0.2.7");
    assert.match(scene.invariants.problem ?? "", /a had 192\.0\.2\.0 and has 192\.0\.2\.7, although nobody asked for that/, what);
  }
  const other = await Scene.atRest();
  other.cluster.people.setService("a", { ...spec, pool: "sticky" });
  other.write("a", "192.0.2.7");
  assert.match(
    other.invariants.problem ?? "",
    /although nobody asked for that/,
    "it asks for another pool, and got another address of the same",
  );
  const wish = await Scene.atRest();
  wish.cluster.people.setService("a", { ...spec, wanted: "192.0.2.1" });
  wish.write("a", "192.0.2.1");
  assert.match(wish.invariants.problem ?? "", /a got 192\.0\.2\.1, which b has and may not share/);
});

test("a Service that has other families from now on may get an address of a new one and give one up, and keeps the others", async () => {
  const steps: readonly (readonly [Partial<ServiceSpec>, RegExp])[] = [
    [{ isDual: true }, /^192\.0\.2\.0,2001:db8::\w*$/],
    [{ isDual: true, prefersDual: true }, /^192\.0\.2\.0,2001:db8::\w*$/],
    [{}, /^192\.0\.2\.0$/],
    [{ isDual: true, prefersDual: true }, /^192\.0\.2\.0,2001:db8::\w*$/],
    [{ firstFamily: "IPv6" }, /^2001:db8::\w*$/],
  ];
  const scene = await Scene.atRest();
  for (const [families, addresses] of steps) {
    scene.cluster.people.setService("a", { ...spec, ...families });
    await scene.pass(3_000);
    assert.match(scene.cluster.people.status("a").join(), addresses);
    assert.equal(scene.found, undefined);
  }
  for (const [is, message] of [
    [["192.0.2.7"], /a had 192\.0\.2\.0,2001:db8::\w* and has 192\.0\.2\.7, although/],
    [["192.0.2.0"], /^$/],
  ] as const) {
    const other = await Scene.atRest();
    other.cluster.people.setService("a", { ...spec, isDual: true });
    await other.pass(3_000);
    other.cluster.people.setService("a", spec);
    other.write("a", ...is);
    assert.match(other.invariants.problem ?? "", message);
  }
});

test("of Services that may no longer share an address one may get another one, and no other Service, nor one that did so before", async () => {
  const shared = { ...spec, wanted: "192.0.2.5", sharing: "k" };
  const scene = await Scene.atRest();
  scene.cluster.people.setService("c", { ...shared, port: 81 });
  scene.cluster.people.setService("d", { ...shared, port: 82 });
  await scene.pass(5_000);
  assert.deepEqual([scene.cluster.people.status("c"), scene.found], [scene.cluster.people.status("d"), undefined]);
  scene.cluster.people.setService("c", { ...spec, sharing: "other", port: 81 });
  await scene.pass(5_000);
  assert.notDeepEqual(scene.cluster.people.status("c"), scene.cluster.people.status("d"));
  assert.equal(scene.found, undefined);
  scene.write("c", "192.0.2.9");
  assert.match(scene.invariants.problem ?? "", /c had 192\.0\.2\.\d and has 192\.0\.2\.9, although nobody asked for that/);
});

test("a Service that takes its sharing key away may get another address where a Service with that key is just being given its own", async () => {
  for (const [sharing, isJoined] of [
    ["k", true],
    ["other", false],
  ] as const) {
    const scene = await Scene.atRest();
    scene.cluster.people.setService("c", { ...spec, sharing: "k", port: 81 });
    scene.cluster.people.setService("d", { ...spec, pool: "sticky", sharing, port: 82 });
    await scene.pass(5_000);
    scene.cluster.people.setService("d", { ...spec, sharing, port: 82 });
    scene.cluster.people.setService("c", { ...spec, port: 81 });
    scene.write("c", "192.0.2.9");
    assert.equal(scene.invariants.problem === undefined, isJoined, scene.invariants.problem);
  }
});

test("of Services that ask for what the other one has, one may give it up first; without another one it has to have what it asks for", async () => {
  const scene = await Scene.atRest();
  const [[first = ""], [second = ""]] = [scene.cluster.people.status("a"), scene.cluster.people.status("b")];
  scene.cluster.people.setService("a", { ...spec, wanted: second });
  scene.cluster.people.setService("b", { ...spec, wanted: first });
  scene.write("a");
  assert.equal(scene.invariants.problem, undefined);
  const alone = await Scene.atRest();
  alone.cluster.people.setService("a", { ...spec, pool: "sticky" });
  alone.write("a");
  assert.match(alone.invariants.problem ?? "", /a had 192\.0\.2\.\d and has , although nobody asked for that/);
});

test("addresses are moved only by people that allow it", async () => {
  const scene = await Scene.atRest();
  scene.cluster.people.setConfig(movedConfig, false);
  await scene.pass(5_000);
  assert.match(scene.cluster.people.status("a").join(), /^192\.0\.2\.\d$/);
  scene.cluster.people.setConfig(movedConfig, true);
  await scene.pass(5_000);
  assert.match(scene.cluster.people.status("a").join(), /^192\.0\.2\.1\d\d$/);
  scene.cluster.people.setConfig(firstConfig, true);
  await scene.pass(5_000);
  assert.match(scene.cluster.people.status("a").join(), /^192\.0\.2\.\d$/);
  assert.equal(scene.found, undefined);
});

test("a Service that a restore brings back may change an address that the configuration last on record has no pool for, and no other", async () => {
  const scene = await Scene.atRest();
  const { cluster } = scene;
  cluster.people.setConfig(movedConfig, false);
  await scene.pass(1_000);
  const backup = cluster.api.backup();
  const services = new Map(cluster.people.services);
  for (const name of ["a", "b"]) cluster.people.setService(name, undefined);
  await scene.pass(5_000);
  cluster.people.setConfig(withShorterHold(movedConfig), false);
  await scene.pass(5_000);
  cluster.restore(backup, services, true);
  cluster.people.setConfig(firstConfig, false);
  scene.write("a", "192.0.2.128");
  assert.equal(scene.invariants.problem, undefined);
  scene.write("r", "198.51.100.9");
  assert.match(scene.invariants.problem ?? "", /r had 198\.51\.100\.\d and has 198\.51\.100\.9, although nobody asked for that/);
});

test("of what a controller took from a Service after a restore it may give back what the restore gave it, and nothing else", async () => {
  for (const [address, isAsked] of [
    ["192.0.2.0", true],
    ["192.0.2.7", false],
  ] as const) {
    const scene = await Scene.atRest();
    const { cluster } = scene;
    assert.deepEqual(cluster.people.status("a"), ["192.0.2.0"]);
    const backup = cluster.api.backup();
    const services = new Map(cluster.people.services);
    cluster.people.setConfig(movedConfig, true);
    await scene.pass(5_000);
    cluster.restore(backup, services, true);
    scene.write("a", "192.0.2.128");
    assert.equal(scene.invariants.problem, undefined);
    cluster.people.setConfig(firstConfig, false);
    scene.write("a", address);
    if (isAsked) assert.equal(scene.invariants.problem, undefined);
    else
      assert.match(scene.invariants.problem ?? "", /a had 192\.0\.2\.128 and has 192\.0\.2\.7, although nobody asked for that/);
  }
});

test("a Service that a restore has just brought back may lose what a configuration has no pool for that people write then, and no other Service", async () => {
  for (const isRestored of [true, false]) {
    const scene = await Scene.atRest();
    const { cluster } = scene;
    const services = new Map(cluster.people.services);
    const backup = cluster.api.backup();
    if (isRestored) cluster.people.setService("a", undefined);
    if (isRestored) cluster.restore(backup, services, true);
    await scene.pass(100);
    cluster.people.setConfig(movedConfig, false);
    scene.write("a", "192.0.2.128");
    if (isRestored) assert.equal(scene.invariants.problem, undefined);
    else
      assert.match(scene.invariants.problem ?? "", /a had 192\.0\.2\.0 and has 192\.0\.2\.128, although nobody asked for that/);
  }
});

test("an address may go to another Service where its Service was deleted, and a restore has brought that back, and only then", async () => {
  for (const isDeleted of [true, false]) {
    const scene = await Scene.atRest();
    const { cluster } = scene;
    const [address = ""] = cluster.people.status("a");
    cluster.people.setService("c", { ...spec, wanted: address });
    await scene.pass(1_000);
    const backup = cluster.api.backup();
    const services = new Map(cluster.people.services);
    if (isDeleted) cluster.people.setService("a", undefined);
    cluster.restore(backup, services, true);
    scene.write("c", address);
    if (isDeleted) assert.equal(scene.invariants.problem, undefined);
    else assert.match(scene.invariants.problem ?? "", /c got 192\.0\.2\.\d, which a has and may not share/);
  }
});

test("without its ConfigMap a cluster goes on with the last good configuration, also where its controllers and speakers restart meanwhile", async () => {
  const scene = await Scene.atRest();
  scene.cluster.people.deleteConfig();
  for (const index of [0, 1]) {
    scene.cluster.killController(index);
    scene.cluster.startController(index);
    scene.cluster.killSpeaker(index);
    await scene.pass(5_000);
    scene.cluster.startSpeaker(index);
    await scene.pass(20_000);
  }
  scene.cluster.people.setService("late", spec);
  await scene.pass(5_000);
  assert.match(scene.cluster.people.status("late").join(), /^192\.0\.2\.\d$/);
  assert.equal(scene.found, undefined);
});
