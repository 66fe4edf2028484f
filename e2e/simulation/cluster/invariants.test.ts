import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "#pkg/clock";
import { fairWeather, firstConfig } from "./history.ts";
import { Invariants } from "./invariants.ts";
import { keyOf, type ServiceSpec } from "./objects.ts";
import { SimulatedCluster } from "./simulated-cluster.ts";

const spec: ServiceSpec = {
  pool: "lan",
  isDual: false,
  wanted: undefined,
  sharing: undefined,
  port: 80,
  endpoints: [0, 1],
  isLocal: false,
};

/** Two nodes, three Services, at rest. */
class Scene {
  readonly invariants = new Invariants();
  readonly cluster: SimulatedCluster;

  private constructor() {
    const changed = (...[change, byPeople]: Parameters<ConstructorParameters<typeof SimulatedCluster>[0]["onChange"]>) => {
      if (this.cluster !== undefined) this.invariants.changed(this.cluster, change, byPeople);
    };
    this.cluster = new SimulatedCluster({
      seed: 1,
      nodes: 2,
      loss: 0,
      weather: fairWeather,
      config: firstConfig,
      onChange: changed,
    });
    this.cluster.setService("a", spec);
    this.cluster.setService("b", spec);
    this.cluster.setService("r", { ...spec, pool: "routed" });
  }

  static async atRest(): Promise<Scene> {
    const scene = new Scene();
    await scene.pass(10_000);
    assert.equal(scene.found, undefined);
    return scene;
  }

  async pass(duration: Millis): Promise<void> {
    for (let passed = 0; passed < duration; passed += 100) {
      await this.cluster.pass(100);
      this.invariants.check(this.cluster);
    }
  }

  get found(): string | undefined {
    return this.invariants.problem ?? this.invariants.checkAtRest(this.cluster);
  }

  /** Writes a status as a controller would. */
  write(name: string, ...addresses: string[]): void {
    const ingress = addresses.map((ip) => ({ ip }));
    this.cluster.api.patch("services", keyOf(name), { status: { loadBalancer: { ingress } } }, "status");
  }

  speaker(node: number) {
    const speaker = this.cluster.speakers.get(node);
    assert.ok(speaker);
    return speaker;
  }
}

test("an address that two Services have, and one that changes by itself, are found", async () => {
  const scene = await Scene.atRest();
  scene.write("b", ...scene.cluster.status("a"));
  assert.match(scene.found ?? "", /default\/b had 192\.0\.2\.\d and has 192\.0\.2\.\d, although nobody changed it/);
  const other = await Scene.atRest();
  other.cluster.setService("c", { ...spec, endpoints: [0] });
  other.write("c", ...other.cluster.status("a"));
  other.write("a");
  other.write("a", ...other.cluster.status("c"));
  assert.match(other.found ?? "", /is at a and c, which may not share it|nobody changed it/);
});

test("a change of what a Service asks for may change its address", async () => {
  const scene = await Scene.atRest();
  scene.cluster.setService("a", { ...spec, pool: "sticky" });
  await scene.pass(10_000);
  assert.equal(scene.found, undefined);
  assert.match(scene.cluster.status("a").join(), /^192\.0\.2\.3\d$/);
});

test("an address that two nodes answer for is found after the time of a hand-over, and one of nobody at rest", async () => {
  const scene = await Scene.atRest();
  const [address = ""] = scene.cluster.status("a");
  for (const node of [0, 1]) scene.speaker(node).announced.add(address);
  await scene.pass(5_000);
  assert.equal(scene.invariants.problem, undefined);
  await scene.pass(5_000);
  assert.match(scene.found ?? "", /is at node-0 and node-1 since/);
  const other = await Scene.atRest();
  for (const node of [0, 1]) other.speaker(node).announced.delete(other.cluster.status("a")[0] ?? "");
  assert.match(other.found ?? "", /of a is at nobody, of node-0,node-1/);
});

test("a route through a node that is gone is found, and one that is missing", async () => {
  const scene = await Scene.atRest();
  scene.cluster.powerOff(0);
  await scene.pass(28_000);
  assert.equal(scene.invariants.problem, undefined, "the router still waits for its return");
  await scene.pass(8_000);
  assert.equal(scene.found, undefined, "then it has forgotten it");
  scene.cluster.router.routes = () => new Map([["198.51.100.0/32", ["node-0", "node-1"]]]);
  await scene.pass(200);
  assert.match(scene.found ?? "", /a route to 198\.51\.100\.0\/32 through node-0, which is gone/);
});

test("Services that have nothing, and controllers none of which leads, are found", async () => {
  const scene = await Scene.atRest();
  for (const index of [0, 1]) scene.cluster.killController(index);
  assert.equal(scene.found, "not one controller leads");
  scene.cluster.setService("late", spec);
  assert.equal(scene.found, "late has nothing");
});

test("one seed always gives the same course of events", async () => {
  const [one, other] = [await Scene.atRest(), await Scene.atRest()];
  for (const { cluster, pass } of [one, other].map((scene) => ({ cluster: scene.cluster, pass: scene.pass.bind(scene) }))) {
    cluster.powerOff(1);
    await pass(20_000);
  }
  assert.deepEqual(one.cluster.lines, other.cluster.lines);
  assert.ok(one.cluster.lines.length > 5);
});
