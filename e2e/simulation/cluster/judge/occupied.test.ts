import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene, spec } from "./scene.ts";

test("an address of a strict pool that another host has goes to no Service, whose status may be written or not; what is done otherwise is found", async () => {
  const strict = { ...spec, pool: "strict" };
  for (const refusesStatus of [false, true]) {
    const scene = await Scene.atRest();
    scene.cluster.lan.startForeignHost("192.0.2.160");
    scene.cluster.people.setService("s", strict);
    await scene.pass(300);
    scene.weather.refusesStatus = refusesStatus;
    await scene.pass(20_000);
    scene.weather.refusesStatus = false;
    await scene.pass(20_000);
    assert.deepEqual([scene.cluster.people.status("s"), scene.found], [["192.0.2.161"], undefined]);
    scene.cluster.lan.endForeignHost("192.0.2.160");
    await scene.pass(100_000);
    assert.deepEqual([scene.cluster.people.status("s"), scene.found], [["192.0.2.161"], undefined]);
    scene.cluster.lan.startForeignHost("192.0.2.161");
    await scene.pass(20_000);
    assert.deepEqual([scene.cluster.people.status("s"), scene.invariants.problem], [["192.0.2.161"], undefined]);
    scene.write("s", "192.0.2.162");
    assert.match(scene.invariants.problem ?? "", /s had 192\.0\.2\.161 and has 192\.0\.2\.162, although nobody asked for that/);
  }
  const announced = await Scene.atRest();
  announced.cluster.lan.startForeignHost("192.0.2.160");
  announced.cluster.people.setService("s", { ...strict, wanted: "192.0.2.160" });
  await announced.pass(20_000);
  assert.deepEqual([announced.cluster.people.status("s"), announced.invariants.problem], [[], undefined]);
  announced.speaker(0).announced.add("192.0.2.160");
  await announced.pass(13_000);
  assert.match(announced.invariants.problem ?? "", /192\.0\.2\.160 is in ingot-conflicts, and node-0 announces it since/);
});
