import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "#pkg/clock";
import type { ApiWeather } from "./api-connection.ts";
import { bfdConfig, fairWeather, firstConfig, movedConfig } from "./history.ts";
import { Invariants } from "./invariants.ts";
import { keyOf, type ServiceSpec } from "./objects.ts";
import { ingressOf, SimulatedCluster } from "./simulated-cluster.ts";

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
  readonly weather: ApiWeather = { ...fairWeather };
  readonly cluster: SimulatedCluster;

  private constructor(config: string) {
    const changed = (...[change, byPeople]: Parameters<ConstructorParameters<typeof SimulatedCluster>[0]["onChange"]>) => {
      if (this.cluster !== undefined) this.invariants.changed(this.cluster, change, byPeople);
    };
    this.cluster = new SimulatedCluster({
      seed: 1,
      nodes: 2,
      loss: 0,
      withoutNetAdmin: [],
      weather: this.weather,
      config,
      onChange: changed,
    });
    this.cluster.setService("a", spec);
    this.cluster.setService("b", spec);
    this.cluster.setService("r", { ...spec, pool: "routed" });
  }

  static async atRest(config = firstConfig): Promise<Scene> {
    const scene = new Scene(config);
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
  assert.match(scene.found ?? "", /: node-0 and node-1 answer, since/);
  const other = await Scene.atRest();
  for (const node of [0, 1]) other.speaker(node).announced.delete(other.cluster.status("a")[0] ?? "");
  assert.match(other.found ?? "", /of a is at nobody, of node-1/);
});

test("an address of nobody for more than 8 s is found, and two owners of which one stops for a moment again and again", async () => {
  const nobody = await Scene.atRest();
  const [address = ""] = nobody.cluster.status("a");
  for (const node of [0, 1]) nobody.speaker(node).announced.delete(address);
  await nobody.pass(8_000);
  assert.equal(nobody.invariants.problem, undefined);
  await nobody.pass(200);
  assert.match(
    nobody.invariants.problem ?? "",
    /192\.0\.2\.\d: nobody of node-0,node-1 answers, and node-0 or node-1 could, since/,
  );
  const two = await Scene.atRest();
  for (let i = 0; i < 3; i++) {
    for (const node of [0, 1]) two.speaker(node).announced.add(address);
    await two.pass(4_000);
    two.speaker(0).announced.delete(address);
    await two.pass(100);
  }
  assert.match(two.invariants.problem ?? "", /: node-0 and node-1 answer, since/);
});

test("a node that names another owner than the one that answers is found, but for one that has lost the API", async () => {
  for (const hasLostApi of [false, true]) {
    const scene = await Scene.atRest();
    const [address = ""] = scene.cluster.status("a");
    scene.speaker(0).connection.isCut = hasLostApi;
    const { placements } = scene.speaker(0).state;
    const [placement] = placements.get(address) ?? [];
    assert.ok(placement?.owner === "node-1");
    placements.set(address, [{ ...placement, owner: "node-0" }]);
    await scene.pass(9_000);
    const found = /192\.0\.2\.\d: node-0 says node-0, node-1 says node-1; node-1 answers, since/;
    if (hasLostApi) assert.equal(scene.invariants.problem, undefined);
    else assert.match(scene.invariants.problem ?? "", found);
  }
});

test("the kernel of a speaker whose way to the API is cut gives its watches up after 5 s, in each cut anew", async () => {
  const scene = await Scene.atRest();
  const { connection, state } = scene.speaker(0);
  const hasLostApi = () => state.apiView.lostSince !== Infinity;
  connection.isCut = true;
  await scene.pass(3_000);
  connection.isCut = false;
  connection.isCut = true;
  await scene.pass(4_000);
  assert.equal(hasLostApi(), false);
  await scene.pass(4_000);
  assert.equal(hasLostApi(), true);
});

test("a speaker that starts and announces while it reaches none of those that do is found", async () => {
  const scene = await Scene.atRest();
  scene.cluster.killSpeaker(1);
  await scene.pass(3_000);
  scene.cluster.ring.cutOff([1]);
  scene.cluster.startSpeaker(1);
  await scene.pass(20_000);
  assert.equal(scene.invariants.problem, undefined);
  scene.speaker(1).announced.add("192.0.2.1");
  await scene.pass(100);
  assert.match(scene.invariants.problem ?? "", /node-1 announces, and has reached none of those that are Ready/);
  const other = await Scene.atRest();
  for (const node of [0, 1]) other.cluster.killSpeaker(node);
  await other.pass(3_000);
  other.cluster.ring.cutOff([1]);
  other.cluster.startSpeaker(1);
  await other.pass(20_000);
  assert.equal(other.invariants.problem, undefined, "nobody else is Ready");
  assert.ok(other.speaker(1).announced.size > 0);
});

test("a kernel that goes on answering after its speaker was killed has the address's lifetime for that, and no more", async () => {
  const all = [false, true].flatMap((isRenewed) => [false, true].map((isBack) => ({ isRenewed, isBack })));
  for (const { isRenewed, isBack } of all) {
    const scene = await Scene.atRest();
    scene.cluster.setService("n", { ...spec, pool: "nic" });
    await scene.pass(5_000);
    const [address = ""] = scene.cluster.status("n");
    const [owner = -1, ...more] = scene.cluster.owners().get(address) ?? [];
    assert.ok(owner >= 0 && more.length === 0, `${address} is at ${owner},${more}`);
    const { nicAddresses } = scene.speaker(owner);
    scene.cluster.killSpeaker(owner);
    await scene.pass(3_000);
    assert.equal(scene.cluster.owners().get(address)?.length, 2);
    if (isBack) {
      scene.cluster.startSpeaker(owner);
      scene.speaker(owner).connection.isCut = true; // So that it does not find out what is wanted.
    }
    for (let i = 0; i < 20; i++) {
      if (isRenewed) nicAddresses.set(address);
      await scene.pass(1_000);
    }
    assert.equal(scene.invariants.problem !== undefined, isRenewed, scene.invariants.problem);
    if (!isRenewed) assert.deepEqual(scene.cluster.owners().get(address), [1 - owner]);
  }
});

test("an address of a NIC is at a node whose speaker may put it there, or at none; a speaker that announces one and may not is found", async () => {
  const scene = await Scene.atRest();
  scene.cluster.setService("n", { ...spec, pool: "nic" });
  await scene.pass(5_000);
  const [address = ""] = scene.cluster.status("n");
  const ownersOf = () => scene.cluster.owners().get(address) ?? [];
  const [owner = -1] = ownersOf();
  const other = 1 - owner;
  for (const [node, then] of [
    [owner, [other]],
    [other, []],
  ] as const) {
    scene.cluster.setNetAdmin(node, false);
    scene.cluster.killSpeaker(node);
    scene.cluster.startSpeaker(node);
    await scene.pass(20_000);
    assert.deepEqual(ownersOf(), then);
    assert.equal(scene.found, undefined);
  }
  scene.speaker(owner).announced.add(address);
  scene.speaker(owner).leftToKernel.add(address);
  await scene.pass(100);
  assert.match(scene.found ?? "", /announces 192\.0\.2\.112, and its speaker may not put that on its NIC/);
});

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

test("addresses are moved only by people that allow it", async () => {
  const scene = await Scene.atRest();
  scene.cluster.setConfig(movedConfig, false);
  await scene.pass(5_000);
  assert.match(scene.cluster.status("a").join(), /^192\.0\.2\.\d$/);
  scene.cluster.setConfig(movedConfig, true);
  await scene.pass(5_000);
  assert.match(scene.cluster.status("a").join(), /^192\.0\.2\.1\d\d$/);
  scene.cluster.setConfig(firstConfig, true);
  await scene.pass(5_000);
  assert.match(scene.cluster.status("a").join(), /^192\.0\.2\.\d$/);
  assert.equal(scene.found, undefined);
});

test("an address that only one of two protocols announces is found, one that none may announce, and one at a node that is not preferred", async () => {
  const both = await Scene.atRest();
  both.cluster.setService("a", { ...spec, pool: "both" });
  both.cluster.setService("b", { ...spec, pool: "given" });
  await both.pass(10_000);
  assert.equal(both.found, undefined);
  const [address = ""] = both.cluster.status("a");
  const routes = both.cluster.router.routes();
  both.cluster.router.routes = () => new Map([...routes].filter(([prefix]) => !prefix.startsWith(address)));
  assert.match(both.found ?? "", /^192\.0\.2\.96 of a has routes through nobody, of at-0,at-1$/);
  both.cluster.router.routes = () => routes;
  for (const node of [0, 1]) both.speaker(node).announced.delete(address);
  assert.match(both.found ?? "", /^192\.0\.2\.96 of a is at nobody/);
  both.speaker(0).announced.add(address);
  assert.equal(both.found, undefined);
  both.speaker(0).announced.add(both.cluster.status("b")[0] ?? "");
  assert.match(both.found ?? "", /^203\.0\.113\.\d of b is at node-0, of nobody$/);
  const preferring = await Scene.atRest();
  const [owned = ""] = preferring.cluster.status("a");
  preferring.speaker(1).announced.delete(owned);
  preferring.speaker(0).announced.add(owned);
  assert.match(preferring.found ?? "", / of a is at node-0, of node-1$/);
});

test("a Service that asks for several pools has an address of each, and one that is missing is found", async () => {
  const scene = await Scene.atRest();
  scene.cluster.setService("a", { ...spec, pool: "lan,routed,lan" });
  await scene.pass(10_000);
  assert.equal(scene.found, undefined);
  assert.equal(scene.cluster.status("a").length, 3);
  const status = scene.cluster.status("a");
  scene.cluster.status = (name) => (name === "a" ? status.slice(1) : ingressOf(scene.cluster.api.get("services", keyOf(name))));
  assert.match(scene.found ?? "", /^a asks for pools lan,routed,lan and has /);
});

test("Services that have nothing, and controllers none of which leads, are found", async () => {
  const scene = await Scene.atRest();
  for (const index of [0, 1]) scene.cluster.killController(index);
  assert.equal(scene.found, "not one controller leads");
  scene.cluster.setService("late", spec);
  assert.equal(scene.found, "late has nothing");
});

test("two controllers that may write are found, as when none may use the Lease for long; afterwards one leads", async () => {
  const scene = await Scene.atRest();
  scene.weather.forbidden = "leases";
  await scene.pass(28_000);
  assert.equal(scene.invariants.problem, undefined);
  await scene.pass(12_000);
  assert.match(scene.found ?? "", /controller-0 and controller-1 may both write/);
  scene.weather.forbidden = undefined;
  await scene.pass(20_000);
  const after = new Invariants();
  after.check(scene.cluster);
  assert.equal(after.problem ?? after.checkAtRest(scene.cluster), undefined);
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
