import assert from "node:assert/strict";
import { test } from "node:test";
import { configText, startWorld, type World } from "../../testing/world.ts";

const pools = configText("main 10.0.0.0-10.0.0.9");
const other = { type: "ClusterIP", externalIPs: ["10.0.0.0"] };

function causeOf(world: World, name: string): string | undefined {
  const [found] = world.controller.view.statuses(`default/${name}`, world.clock.now());
  return found?.verdict.cause;
}

const told = (lines: readonly string[]) => lines.filter((line) => line.includes("addressClaimed"));

test("a Service whose address and port another one has among its externalIPs is told so once, and is well when that is over", async () => {
  const world = await startWorld(pools, { web: {} });
  world.service("thief", other);
  const [event, ...more] = told(await world.settle());
  assert.match(event ?? "", /default\/web.*Service default\/thief has 10\.0\.0\.0 among its spec\.externalIPs.*TCP port 80/);
  assert.deepEqual(more, []);
  assert.equal(causeOf(world, "web"), "externalIPs");
  world.service("thief", { ...other, externalIPs: ["10.0.0.0", "192.0.2.1"] });
  assert.deepEqual(told(await world.settle()), []);
  world.service("thief", { type: "ClusterIP" });
  await world.settle();
  assert.equal(causeOf(world, "web"), "assigned");
  world.service("thief", other);
  assert.equal(told(await world.settle()).length, 1, "it is another fault");
});

test("another port, another address, its own externalIPs, and those that kube-proxy passes over are no fault of a Service", async () => {
  const world = await startWorld(pools, { web: { externalIPs: ["10.0.0.0"] } });
  world.service("port", { ...other, ports: [{ name: "", protocol: "TCP", port: 81 }] });
  world.service("protocol", { ...other, ports: [{ name: "", protocol: "UDP", port: 80 }] });
  world.service("elsewhere", { type: "ClusterIP", externalIPs: ["10.0.0.1", "no address"] });
  world.service("headless", { ...other, clusterIPs: [] });
  world.service("name", { ...other, type: "ExternalName", clusterIPs: [] });
  assert.deepEqual(told(await world.settle()), []);
  assert.equal(causeOf(world, "web"), "assigned");
});

test("a Service of another namespace is not named to the Service's owner, and is to the operator", async () => {
  const world = await startWorld(pools, { web: {} });
  world.service("team/thief", other);
  const [event = ""] = told(await world.settle());
  assert.match(event, /a Service of another namespace has 10\.0\.0\.0/);
  assert.doesNotMatch(event, /thief/);
  const [found] = world.controller.view.statuses("default/web", world.clock.now());
  assert.deepEqual(found?.verdict.evidence, [{ name: "named by", value: "team/thief", source: "spec.externalIPs" }]);
});

test("a controller that starts tells of what is there, and an address that comes later than the claim is told of, too", async () => {
  const world = await startWorld(pools, { web: {}, thief: other });
  world.service("late");
  world.service("second", { type: "ClusterIP", externalIPs: ["10.0.0.1"] });
  await world.settle();
  assert.deepEqual([causeOf(world, "web"), causeOf(world, "late")], ["externalIPs", "externalIPs"]);
  await world.restart();
  assert.equal(told(await world.settle()).length, 2);
});
