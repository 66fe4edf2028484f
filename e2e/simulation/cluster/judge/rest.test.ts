import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../api/objects.ts";
import { ingressOf } from "../api/people.ts";
import { Scene, spec } from "./scene.ts";

test("an address that only one of two protocols announces is found, one that none may announce, and one at a node that is not preferred", async () => {
  const both = await Scene.atRest();
  both.cluster.people.setService("a", { ...spec, pool: "both" });
  both.cluster.people.setService("b", { ...spec, pool: "given" });
  await both.pass(10_000);
  assert.equal(both.found, undefined);
  const [address = ""] = both.cluster.people.status("a");
  const routes = both.cluster.router.routes();
  both.cluster.router.routes = () => new Map([...routes].filter(([prefix]) => !prefix.startsWith(address)));
  assert.match(both.found ?? "", /^192\.0\.2\.96 of a has routes through nobody, of at-0,at-1$/);
  both.cluster.router.routes = () => routes;
  for (const node of [0, 1]) both.speaker(node).announced.delete(address);
  assert.match(both.found ?? "", /^192\.0\.2\.96 of a is at nobody/);
  both.speaker(0).announced.add(address);
  assert.equal(both.found, undefined);
  both.speaker(0).announced.add(both.cluster.people.status("b")[0] ?? "");
  assert.match(both.found ?? "", /^203\.0\.113\.\d of b is at node-0, of nobody$/);
  const preferring = await Scene.atRest();
  const [owned = ""] = preferring.cluster.people.status("a");
  preferring.speaker(1).announced.delete(owned);
  preferring.speaker(0).announced.add(owned);
  assert.match(preferring.found ?? "", / of a is at node-0, of node-1$/);
});

test("a drained node keeps the routes of Services with policy Local while it has Pods, and one that lacks them is found", async () => {
  const scene = await Scene.atRest();
  scene.cluster.people.setService("a", { ...spec, pool: "both", isLocal: true, endpoints: [0, 1] });
  scene.cluster.nodes.setDrained(1, true);
  await scene.pass(20_000);
  assert.equal(scene.found, undefined);
  const routes = scene.cluster.router.routes();
  const left = new Map([...routes].map(([prefix, routers]) => [prefix, routers.filter((router) => router !== "at-1")]));
  scene.cluster.router.routes = () => left;
  assert.match(scene.found ?? "", /^192\.0\.2\.96 of a has routes through at-0, of at-0,at-1$/);
});

test("a Service that asks for several pools has an address of each, and one that is missing is found", async () => {
  const scene = await Scene.atRest();
  scene.cluster.people.setService("a", { ...spec, pool: "lan,routed,lan" });
  await scene.pass(10_000);
  assert.equal(scene.found, undefined);
  assert.equal(scene.cluster.people.status("a").length, 3);
  const status = scene.cluster.people.status("a");
  scene.cluster.people.status = (name) =>
    name === "a" ? status.slice(1) : ingressOf(scene.cluster.api.get("services", keyOf(name)));
  assert.match(scene.found ?? "", /^a asks for pools lan,routed,lan and has /);
});

test("Services that have nothing, and controllers none of which leads, are found", async () => {
  const scene = await Scene.atRest();
  for (const index of [0, 1]) scene.cluster.killController(index);
  assert.equal(scene.found, "not one controller leads");
  scene.cluster.people.setService("late", spec);
  assert.equal(scene.found, "late has nothing");
});

test("an address need not be at the preferred node while that waits for long, because it failed again and again", async () => {
  const scene = await Scene.atRest();
  scene.cluster.nodes.setEdge(1, true);
  for (const wellMs of [32_000, 62_000, 10_000]) {
    scene.cluster.machines.setPath(1, false);
    await scene.pass(2_000);
    scene.cluster.machines.setPath(1, true);
    await scene.pass(wellMs);
  }
  assert.ok(![...scene.cluster.owners().values()].flat().includes(1), "it waits");
  assert.equal(scene.found, undefined);
});
