import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { annotations } from "#pkg/service";
import { configText, coreOptions, startWorld, type World } from "../../testing/world.ts";
import { Context } from "../context.ts";
import type { ControllerEvent } from "../events.ts";
import { createState } from "../state.ts";
import { step } from "../step.ts";
import { ExternalIPs } from "./external-ips.ts";

const pools = configText("main 10.0.0.0-10.0.0.9");
const other = { type: "ClusterIP", externalIPs: ["10.0.0.0"] };

function causeOf(world: World, name: string): string | undefined {
  const [found] = world.controller.view.statuses(`default/${name}`, world.clock.now());
  return found?.verdict.cause;
}

/** Until conditions were looked at again, too. */
async function rest(world: World): Promise<string[]> {
  const lines = await world.settle();
  world.clock.advanceBy(1_000);
  return [...lines, ...(await world.settle())];
}

const told = (lines: readonly string[]) => lines.filter((line) => line.includes("addressClaimed"));

test("a Service whose address and port another one has among its externalIPs is told so once, and is well when that is over", async () => {
  const world = await startWorld(pools, { web: {} });
  world.service("thief", other);
  const [event, ...more] = told(await rest(world));
  assert.match(event ?? "", /default\/web.*Service default\/thief has 10\.0\.0\.0 among its spec\.externalIPs.*TCP port 80/);
  assert.deepEqual(more, []);
  assert.equal(causeOf(world, "web"), "externalIPs");
  world.service("thief", { ...other, externalIPs: ["10.0.0.0", "192.0.2.1"] });
  assert.deepEqual(told(await rest(world)), []);
  world.service("thief", { type: "ClusterIP" });
  const ended = (await rest(world)).filter((line) => line.includes("addressConflictEnded"));
  assert.equal(ended.length, 1);
  assert.match(ended[0] ?? "", /default\/web: Normal addressConflictEnded: /);
  assert.equal(causeOf(world, "web"), "assigned");
  world.service("thief", other);
  assert.equal(told(await rest(world)).length, 1, "it is another fault");
});

test("another port, another address, its own externalIPs, and those that kube-proxy passes over are no fault of a Service", async () => {
  const world = await startWorld(pools, { web: { externalIPs: ["10.0.0.0"] } });
  world.service("port", { ...other, ports: [{ name: "", protocol: "TCP", port: 81 }] });
  world.service("protocol", { ...other, ports: [{ name: "", protocol: "UDP", port: 80 }] });
  world.service("elsewhere", { type: "ClusterIP", externalIPs: ["10.0.0.1", "no address"] });
  world.service("headless", { ...other, clusterIPs: [] });
  world.service("name", { ...other, type: "ExternalName", clusterIPs: [] });
  assert.deepEqual(told(await rest(world)), []);
  assert.equal(causeOf(world, "web"), "assigned");
});

test("a Service of another namespace is not named to the Service's owner, and is to the operator", async () => {
  const world = await startWorld(pools, { web: {} });
  world.service("team/thief", other);
  const [event = ""] = told(await rest(world));
  assert.match(event, /a Service of another namespace has 10\.0\.0\.0/);
  assert.doesNotMatch(event, /thief/);
  const [found] = world.controller.view.statuses("default/web", world.clock.now());
  assert.deepEqual(found?.verdict.evidence, [{ name: "named by", value: "team/thief", source: "spec.externalIPs" }]);
});

test("a controller that starts tells of what is there, and an address that comes later than the claim is told of, too", async () => {
  const world = await startWorld(pools, { web: {}, thief: other });
  world.service("late");
  world.service("second", { type: "ClusterIP", externalIPs: ["10.0.0.1"] });
  await rest(world);
  assert.deepEqual([causeOf(world, "web"), causeOf(world, "late")], ["externalIPs", "externalIPs"]);
  await world.restart();
  assert.equal(told(await rest(world)).length, 2);
});

test("a step looks at few Services, however many name addresses, and however many share those", () => {
  const state = createState(coreOptions);
  const ports = (index: number) => [{ name: "", protocol: "TCP", port: index + 1 }];
  const shared = { annotations: { [annotations.sharing]: "k" }, ingress: ["10.0.0.0"] };
  const holders = Array.from({ length: 400 }, (_, i) => service(`default/web${i}`, { ...shared, ports: ports(i) }));
  const thieves = Array.from({ length: 1_000 }, (_, i) => service(`team/thief${i}`, { ...other, ports: ports(9_999) }));
  let [looked, most] = [0, 0];
  step(state, { type: "begin" }, 0);
  const get = state.services.get.bind(state.services);
  state.services.get = (key) => {
    looked++;
    return get(key);
  };
  const queue: ControllerEvent[] = [];
  const dispatch = (event: ControllerEvent, now = 0): void => {
    looked = 0;
    for (const effect of step(state, event, now))
      if (effect.type === "readConfig") queue.push({ type: "configRead", secretText: pools, parsed: parseConfig(pools) });
      else if (effect.type === "portion" || effect.type === "judgePortion") queue.push(effect);
    most = Math.max(most, looked);
  };
  const configMap = { about: undefined, version: "1", secretText: pools, mayRenumber: false };
  dispatch({ type: "configMap", now: configMap });
  dispatch({ type: "services", changed: [...holders, ...thieves].map((now) => ({ key: now.key, now })) });
  for (const { key } of [...holders, ...thieves]) dispatch({ type: "service", key });
  for (const event of [{ type: "seen", isCurrent: true }, { type: "lead" }] as const) dispatch(event);
  for (let event = queue.shift(); event !== undefined; event = queue.shift()) dispatch(event);
  assert.equal(state.allocator.held("default/web399")?.addresses.join(), "10.0.0.0");
  most = 0;
  dispatch({ type: "services", changed: [{ key: "team/thief0", now: { ...(thieves[0] as Service), externalIPs: [] } }] });
  dispatch({ type: "service", key: "team/thief0" });
  for (let now = 1_000; now < 10_000; now += 1_000) dispatch({ type: "timer", chance: 0.5 }, now);
  assert.ok(most > 0 && most < 20_000, `${most}`);
});

test("a Service of another load balancer, or of another type by now, is told nothing", async () => {
  const world = await startWorld(pools, { web: {}, other });
  world.service("cloud", { isClaimed: false, otherClass: "example.com/cloud", ingress: ["10.0.0.0"] });
  world.service("former", { type: "NodePort", ingress: ["10.0.0.0"] });
  const named = told(await rest(world)).map((line) => line.replace(/:.*/, ""));
  assert.deepEqual(named, ["default/web"]);
});

test("a look at a Service costs some thousand ports, however many Services with a thousand each name its address", () => {
  let looked = 0;
  const ports = (protocol: string) =>
    Array.from({ length: 1_001 }, (_, index) => ({
      name: "",
      port: index + 1,
      get protocol() {
        looked++;
        return protocol;
      },
    }));
  const externalIPs = new ExternalIPs(new Context(1));
  const web = { ...service("default/web", { ingress: ["10.0.0.0"] }), ports: ports("UDP") };
  const services = new Map([[web.key, web]]);
  for (let index = 0; index < 100; index++) {
    const thief = { ...service(`team/thief${index}`, other), ports: ports("TCP") };
    services.set(thief.key, thief);
    externalIPs.changed(thief.key, thief, undefined);
  }
  assert.equal(externalIPs.problemOf(web, services), undefined);
  assert.ok(looked > 0 && looked <= 3_000, `${looked}`);
});
