import assert from "node:assert/strict";
import { test } from "node:test";
import { asPassive } from "../draw-peers.ts";
import { bfdConfig, firstConfig } from "../history.ts";
import { Scene } from "./scene.ts";

test("a route through a node that is gone is found, and one that is missing", async () => {
  const scene = await Scene.atRest();
  scene.cluster.powerOff(0);
  await scene.pass(28_000);
  assert.equal(scene.invariants.problem, undefined, "the router still waits for its return");
  await scene.pass(8_000);
  assert.equal(scene.found, undefined, "then it has forgotten it");
  scene.cluster.router.routes = () => new Map([["198.51.100.0/32", ["at-0", "at-1"]]]);
  await scene.pass(200);
  assert.match(scene.found ?? "", /a route to 198\.51\.100\.0\/32 through at-0, which is gone/);
});

test("with BFD a router has no route any more a second after it has lost a node, and has it again when the way is mended", async () => {
  const scene = await Scene.atRest(bfdConfig);
  const lose = {
    powerOff: () => scene.cluster.powerOff(0),
    toRouter: () => scene.cluster.cutRouter(0, "toRouter"),
    toNode: () => scene.cluster.cutRouter(0, "toNode"),
  };
  for (const cut of ["toRouter", "toNode", "powerOff"] as const) {
    lose[cut]();
    await scene.pass(1_000);
    assert.deepEqual([...scene.cluster.router.routes().values()], [["at-1"]], cut);
    if (cut !== "powerOff") scene.cluster.cutRouter(0, undefined);
    else scene.cluster.startSpeaker(0);
    await scene.pass(40_000);
    assert.equal(scene.found, undefined, cut);
  }
  scene.cluster.router.reset = () => {};
  scene.cluster.powerOff(0);
  await scene.pass(4_000);
  assert.match(scene.invariants.problem ?? "", /a route to 198\.51\.100\.0\/32 through at-0, which is gone/);
});

test("a router that restarts has all routes again, and one that it keeps through a node that is gone, or does not get again, is found", async () => {
  const prefix = "198.51.100.0/32";
  for (const config of [firstConfig, bfdConfig])
    for (const how of ["graceful", "processes", "machine"] as const)
      for (const length of [500, 15_000]) {
        const scene = await Scene.atRest(config);
        const routes = () => scene.cluster.router.routes().get(prefix);
        scene.cluster.restartRouter(how, length);
        assert.deepEqual(routes(), how === "graceful" ? ["at-0", "at-1"] : undefined);
        await scene.pass(length - 100);
        assert.deepEqual(routes(), how === "graceful" && config === firstConfig ? ["at-0", "at-1"] : routes());
        await scene.pass(15_000);
        assert.deepEqual([routes(), scene.found], [["at-0", "at-1"], undefined], `${how} ${length}`);
      }
  const stale = await Scene.atRest();
  stale.cluster.restartRouter("graceful", 1_000);
  stale.cluster.powerOff(0);
  await stale.pass(20_000);
  assert.deepEqual([stale.cluster.router.routes().get(prefix), stale.invariants.problem], [["at-0", "at-1"], undefined]);
  await stale.pass(20_000);
  assert.deepEqual([stale.cluster.router.routes().get(prefix), stale.invariants.problem], [["at-1"], undefined]);
  stale.cluster.router.routes = () => new Map([[prefix, ["at-0", "at-1"]]]);
  await stale.pass(200);
  assert.match(stale.invariants.problem ?? "", /a route to 198\.51\.100\.0\/32 through at-0, which is gone/);
  const missing = await Scene.atRest();
  missing.cluster.restartRouter("processes", 1_000);
  missing.cluster.router.routes = () => new Map([[prefix, ["at-1"]]]);
  await missing.pass(20_000);
  assert.match(missing.invariants.problem ?? "", /the router has no route to 198\.51\.100\.0\/32 through at-0 since/);
});

test("a router that connects to nodes has their routes again after each end of a session, and one that a node does not let in is found", async () => {
  const scene = await Scene.atRest(asPassive(bfdConfig), undefined, { routerDials: true });
  const routes = () => scene.cluster.router.routes().get("198.51.100.0/32");
  const ends = {
    killed: () => scene.cluster.killSpeaker(0),
    off: () => scene.cluster.powerOff(0),
    restarted: () => scene.cluster.restartRouter("processes", 1_000),
    cut: () => scene.cluster.cutRouter(0, "both"),
  };
  for (const [name, end] of Object.entries(ends)) {
    end();
    await scene.pass(5_000);
    if (name === "killed" || name === "off") scene.cluster.startSpeaker(0);
    scene.cluster.cutRouter(0, undefined);
    await scene.pass(20_000);
    assert.deepEqual([routes(), scene.found], [["at-0", "at-1"], undefined], name);
  }
  scene.speaker(0).accept = (incoming) => incoming.open({ connected() {}, received() {}, closed() {} }).destroy();
  scene.cluster.restartRouter("processes", 1_000);
  await scene.pass(20_000);
  assert.match(scene.invariants.problem ?? "", /the router has no route to 198\.51\.100\.0\/32 through at-0 since/);
});
