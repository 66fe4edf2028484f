// Long: 10,000 Services that wait.
import assert from "node:assert/strict";
import { test } from "node:test";
import { secret, service } from "#pkg/k8s/testing";
import { FakeNetbox } from "#pkg/netbox/testing";
import { pass, tokenOf } from "../testing/netbox.ts";
import { namespace, type ServiceSpec, startWorld, type World } from "../testing/world.ts";

function poolText({ url }: FakeNetbox, name: string, addresses: string, mode: "allocate" | "record"): string {
  const rules = `{url: "${url}", token-secret: {name: netbox}, tags: [k8s, cluster-a], mode: ${mode}}`;
  return `- {name: ${name}, protocol: bgp, addresses: [${addresses}], netbox: ${rules}}\n`;
}

const other = "- {name: other, protocol: bgp, auto-assign: false, addresses: [203.0.113.0/30]}\n";

async function start(netbox: FakeNetbox, config: string): Promise<World> {
  const world = await startWorld(undefined);
  world.cluster.put("secrets", tokenOf(netbox));
  world.config(`address-pools:\n${config}`);
  await pass(world, 2_000);
  return world;
}

function put(world: World, key: string, spec: ServiceSpec = {}): void {
  world.cluster.put("services", service(key, { uid: `uid-${key.replace(/.*\//, "")}`, ...spec }));
}

const has = (world: World, ...keys: string[]) => keys.map((key) => `${key}=${world.cluster.service(key)?.ingress.join("+")}`);
const inPool = (pool: string): ServiceSpec => ({ annotations: { "metallb.io/address-pool": pool } });

/** NetBox answers no such request from now on. @returns ends that */
function hold(netbox: FakeNetbox, method = ""): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  netbox.beforeAnswer = () => (netbox.requests.at(-1)?.startsWith(method) ? promise : undefined);
  return () => {
    netbox.beforeAnswer = undefined;
    resolve();
  };
}

/** Lets time pass while NetBox does not answer. */
async function proceed(world: World): Promise<void> {
  world.clock.advanceBy(100);
  await world.settle();
}

test("once NetBox has no address left, none of those who asked for it counts in a quota for that", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/31", "2001:db8::/128");
  const take = () => netbox.add("2001:db8::/64", { description: "router" });
  const { id } = take();
  const pools = `${poolText(netbox, "dc1", '198.51.100.0/31, "2001:db8::/128"', "allocate")}${other}`;
  const world = await start(netbox, `${pools}quotas:\n- {namespaces: [team], services: 1}\n`);
  put(world, "default/first", { clusterIPs: ["10.96.0.1", "fd96::1"] });
  await pass(world, 290_000);
  netbox.addresses.delete(id);
  const answer = hold(netbox, "POST");
  const posts = () => netbox.requests.filter((request) => request.startsWith("POST")).length;
  for (const before = posts(); posts() === before; ) await proceed(world);
  put(world, "team/second", { ...inPool("dc1"), clusterIPs: ["fd96::2"] });
  await proceed(world);
  take();
  answer();
  await pass(world, 5_000);
  put(world, "team/third", inPool("other"));
  await pass(world, 1_000);
  const keys = ["default/first", "team/second", "team/third"];
  assert.deepEqual(has(world, ...keys), ["default/first=", "team/second=", "team/third=203.0.113.0"]);
});

test("when the records of a pool have been read, all that waited for them are decided on, whatever the first of them gets", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/31");
  for (const host of [0, 1]) netbox.add(`198.51.100.${host}/24`, { description: "router" });
  const pools = `${poolText(netbox, "dc1", "198.51.100.0/31", "record")}${other.replace("auto-assign: false, ", "")}`;
  const world = await start(netbox, pools);
  put(world, "default/first", { ...inPool("dc1"), ingress: ["203.0.113.3"] });
  await pass(world, 1_000);
  const answer = hold(netbox);
  await world.restart();
  put(world, "team/second");
  await world.settle();
  assert.deepEqual(has(world, "default/first", "team/second"), ["default/first=203.0.113.3", "team/second="]);
  answer();
  await pass(world, 2_000);
  assert.deepEqual(has(world, "default/first", "team/second"), ["default/first=203.0.113.3", "team/second=203.0.113.0"]);
});

test("a Service that asks NetBox for an address of one pool is in nobody's way in another", async () => {
  await using gold = await FakeNetbox.start("198.51.100.0/31");
  await using silver = await FakeNetbox.start("203.0.113.0/32");
  for (const host of [0, 1]) gold.add(`198.51.100.${host}/24`, { description: "router" });
  const taken = silver.add("203.0.113.0/24", { description: "router" });
  silver.token = gold.token;
  const pools = `${poolText(gold, "gold", "198.51.100.0/31", "allocate")}${poolText(silver, "silver", "203.0.113.0/32", "allocate").replace("netbox}", "silver}")}`;
  const world = await startWorld(undefined);
  world.cluster.put("secrets", tokenOf(gold));
  world.cluster.put("secrets", secret(`${namespace}/silver`, { token: silver.token, url: silver.url }, "netbox-token"));
  world.config(`address-pools:\n${pools}`);
  await pass(world, 2_000);
  put(world, "default/any");
  await pass(world, 2_000);
  put(world, "default/silver", inPool("silver"));
  await pass(world, 2_000);
  assert.deepEqual(has(world, "default/any", "default/silver"), ["default/any=", "default/silver="]);
  const answer = hold(gold, "POST");
  gold.addresses.clear();
  while (gold.requests.at(-1)?.startsWith("POST") !== true) await proceed(world);
  silver.addresses.delete(taken.id);
  for (let passed = 0; passed < 400_000; passed += 100) await proceed(world);
  assert.deepEqual(has(world, "default/any", "default/silver"), ["default/any=", "default/silver=203.0.113.0"]);
  answer();
});

test("a family of which NetBox has no prefix keeps nobody waiting for the other one, and is asked for once a minute", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/30");
  const world = await start(netbox, poolText(netbox, "dc1", '198.51.100.0/30, "2001:db8::/126"', "allocate"));
  const before = netbox.requests.length;
  for (let i = 1; i <= 50; i++) put(world, `default/six${i}`, { clusterIPs: [`fd96::${i}`] });
  await pass(world, 1_000);
  assert.ok(netbox.requests.length - before < 20, `${netbox.requests.slice(before)}`);
  put(world, "team/four");
  await pass(world, 1_000);
  assert.deepEqual(has(world, "team/four"), ["team/four=198.51.100.0"]);
  const asked = netbox.requests.length;
  await pass(world, 50_000);
  assert.equal(netbox.requests.length, asked);
  const [{ verdict } = { verdict: undefined }] = world.statuses("default/six1");
  assert.match(verdict?.message ?? "", /Cannot find prefix 2001:db8::\/126 in NetBox/);
});

test("NetBox hears of the addresses that Services of a pool hold already before it chooses one there", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/24");
  const world = await start(netbox, poolText(netbox, "dc1", "198.51.100.0/24", "record").replace(/, netbox: .*/, "}"));
  for (let i = 0; i < 60; i++) put(world, `default/old${i}`);
  await pass(world, 1_000);
  world.config(`address-pools:\n${poolText(netbox, "dc1", "198.51.100.0/24", "allocate")}`);
  put(world, "team/new");
  const lines = await pass(world, 5_000);
  assert.deepEqual([has(world, "team/new"), netbox.lines.length], [["team/new=198.51.100.60"], 61]);
  assert.deepEqual(
    lines.filter((line) => line.includes("ipamFailing")),
    [],
  );
});

test("a pool of which NetBox has no address left is full until it has one", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.1-198.51.100.2");
  const prefix = 'prefix: "198.51.100.1-198.51.100.2", mode: allocate';
  const text = poolText(netbox, "dc1", "198.51.100.0/30", "allocate").replace("mode: allocate", prefix);
  const world = await start(netbox, text); // NetBox offers neither end of most prefixes.
  const pool = () => Array.from(world.controller.view.pools(), ({ verdict, full }) => `${verdict.cause} ${full}`).join();
  for (const name of ["a", "b"]) put(world, `default/${name}`);
  await pass(world, 1_000);
  assert.equal(pool(), "available ");
  put(world, "default/c");
  await pass(world, 1_000);
  assert.equal(pool(), "full IPv4");
  world.cluster.remove("services", "default/a");
  await pass(world, 65_000);
  assert.equal(has(world, "default/c").join(), "default/c=198.51.100.1");
  assert.equal(pool(), "available ");
});

test("a token that is replaced after a long time is used at once", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/30");
  const world = await start(netbox, poolText(netbox, "dc1", "198.51.100.0/30", "allocate"));
  netbox.token = "89abcdef012345670123456789abcdef01234567";
  put(world, "default/web");
  await pass(world, 1_800_000);
  for (const before = netbox.requests.length; netbox.requests.length === before; ) await pass(world, 100);
  world.cluster.put("secrets", tokenOf(netbox));
  await pass(world, 2_000);
  assert.deepEqual(has(world, "default/web"), ["default/web=198.51.100.0"]);
});

test("a token that may not remove records keeps nobody waiting, and is told once a minute", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/29");
  const world = await start(netbox, poolText(netbox, "dc1", "198.51.100.0/29", "allocate"));
  const names = ["a", "b", "c", "d"];
  for (const name of names) put(world, `default/${name}`);
  await pass(world, 2_000);
  netbox.forbidden = "DELETE";
  for (const name of names) world.cluster.remove("services", `default/${name}`);
  const before = netbox.requests.length;
  await pass(world, 605_000);
  const removals = netbox.requests.slice(before).filter((request) => request.startsWith("DELETE")).length;
  assert.ok(removals >= 9 && removals <= 10, `${removals} removals`);
  put(world, "default/web");
  await pass(world, 1_000);
  assert.deepEqual(has(world, "default/web"), ["default/web=198.51.100.4"]);
  const [{ verdict } = assert.fail()] = [...world.controller.view.pools()];
  assert.match(verdict.message, /Cannot remove the record of 198\.51\.100\.0: NetBox answers 403: You do not have permission/);
  netbox.forbidden = undefined;
  await pass(world, 61_000);
  assert.equal(netbox.lines.length, 1);
});

test("a Service for which NetBox has nothing left is told that once, and its pool stays full", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/31", "2001:db8::/128");
  for (const host of [0, 1]) netbox.add(`198.51.100.${host}/24`, { description: "router" });
  const world = await start(netbox, poolText(netbox, "dc1", '198.51.100.0/31, "2001:db8::/128"', "allocate"));
  put(world, "default/four");
  put(world, "default/six", { clusterIPs: ["fd96::1"] });
  await pass(world, 2_000);
  world.cluster.remove("services", "default/six");
  await pass(world, 5_000);
  const pool = () => Array.from(world.controller.view.pools(), ({ verdict, since }) => `${verdict.cause} ${since}`).join();
  const before = pool();
  assert.match(before, /^full /);
  assert.deepEqual(await pass(world, 700_000), []);
  assert.equal(pool(), before);
});

const count = 500;

test("however many Services wait for NetBox, an address that is free there again costs few decisions", async () => {
  await using netbox = await FakeNetbox.start("198.51.100.0/31");
  const [taken] = [0, 1].map((host) => netbox.add(`198.51.100.${host}/24`, { description: "router" }));
  const world = await start(netbox, poolText(netbox, "dc1", "198.51.100.0/31", "allocate"));
  put(world, "crowd/first");
  await pass(world, 2_000);
  for (let i = 0; i < count; i++) put(world, `crowd/w${i}`);
  await pass(world, 2_000);
  const decisions = async () => (await world.metric("metallb_k8s_client_updates_total")) ?? 0;
  const before = await decisions();
  netbox.addresses.delete(taken?.id ?? 0);
  await pass(world, 310_000);
  assert.deepEqual(has(world, "crowd/first", "crowd/w0"), ["crowd/first=198.51.100.0", "crowd/w0="]);
  assert.ok((await decisions()) - before < 20, `${(await decisions()) - before} decisions`);
});
