import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, textOf } from "#pkg/http/testing";
import { secret } from "#pkg/k8s/testing";
import { FakeNetbox } from "#pkg/netbox/testing";
import { controllerApi } from "../api.ts";
import { pass, tokenOf } from "../testing/netbox.ts";
import { namespace, type ServiceSpec, startWorld, type World } from "../testing/world.ts";

const pool = "198.51.100.0/29";
const uidOf = (name: string) => `uid-${name}`;
const record = (address: string, name: string) => `${address}: Kubernetes Service default/${name} (${uidOf(name)})`;
const tags = [{ slug: "k8s" }, { slug: "cluster-a" }];

function configOf({ url }: FakeNetbox, fields: string): string {
  return `address-pools:
- name: dc1
  protocol: bgp
  addresses: [${pool}]
  netbox: {url: "${url}", token-secret: {name: netbox}, tags: [k8s, cluster-a], ${fields}}
- name: other
  protocol: bgp
  auto-assign: false
  addresses: [203.0.113.0/30]
`;
}

/** Starts a controller that knows NetBox, and Services by their names. */
async function start(netbox: FakeNetbox, fields: string, services: Readonly<Record<string, ServiceSpec>> = {}): Promise<World> {
  const world = await startWorld(undefined, services);
  world.cluster.put("secrets", tokenOf(netbox));
  world.config(configOf(netbox, fields));
  await pass(world, 2_000);
  return world;
}

const spec = (name: string, more: ServiceSpec = {}): ServiceSpec => ({ uid: uidOf(name), ...more });

test("NetBox is told what Services hold, and an address that it knows for somebody else is given to nobody", async () => {
  await using netbox = await FakeNetbox.start();
  netbox.add("198.51.100.1/24", { description: "printer" });
  const world = await start(netbox, "mode: record");
  world.service("a", spec("a"));
  world.service("b", spec("b"));
  world.service("c", spec("c", { loadBalancerIP: "198.51.100.1" }));
  const lines = await pass(world, 2_000);
  assert.deepEqual(world.addresses("a", "b", "c"), ["a=198.51.100.0", "b=198.51.100.2", "c="]);
  assert.deepEqual(netbox.lines.slice(1), [record("198.51.100.0/32", "a"), record("198.51.100.2/32", "b")]);
  const refused = lines.find((line) => line.includes("default/c: Warning AllocationFailed"));
  assert.match(
    refused ?? "",
    /198\.51\.100\.1 of pool "dc1" is somebody else's in NetBox \("printer"\); request another address, or remove/,
  );
  netbox.addresses.delete(1);
  await pass(world, 310_000);
  assert.deepEqual(world.addresses("c"), ["c=198.51.100.1"], "what is free again goes to who waits for it");
  world.delete("a");
  await pass(world, 70_000);
  assert.ok(!netbox.lines.includes(record("198.51.100.0/32", "a")));
});

test("NetBox chooses: the Service waits for it, and gets what was recorded for it", async () => {
  await using netbox = await FakeNetbox.start(pool);
  netbox.add("198.51.100.0/24", { description: "router" });
  const world = await start(netbox, "mode: allocate", { early: spec("early") });
  assert.deepEqual(world.addresses("early"), ["early=198.51.100.1"]);
  world.service("late", spec("late", { annotations: { "metallb.io/address-pool": "dc1" } }));
  await pass(world, 2_000);
  assert.deepEqual(netbox.lines.slice(1), [record("198.51.100.1/24", "early"), record("198.51.100.2/24", "late")]);
  assert.deepEqual(world.addresses("late"), ["late=198.51.100.2"]);
});

test("NetBox chooses as many addresses as a Service asks for, and it waits for all of them", async () => {
  await using netbox = await FakeNetbox.start(pool);
  const world = await start(netbox, "mode: allocate");
  world.service("web", spec("web", { annotations: { "metallb.io/address-pool": "dc1,dc1,other" } }));
  await pass(world, 5_000);
  assert.deepEqual(world.addresses("web"), ["web=198.51.100.0+198.51.100.1+203.0.113.0"]);
  assert.deepEqual(netbox.lines, [record("198.51.100.0/24", "web"), record("198.51.100.1/24", "web")]);
});

test("a controller that starts again asks for nothing twice, and uses what was recorded before it could", async () => {
  await using netbox = await FakeNetbox.start(pool);
  netbox.add("198.51.100.3/24", { description: `Kubernetes Service default/web (${uidOf("web")})`, tags });
  const world = await start(netbox, "mode: allocate", { web: spec("web"), held: spec("held", { ingress: ["198.51.100.5"] }) });
  assert.deepEqual(world.addresses("web", "held"), ["web=198.51.100.3", "held=198.51.100.5"]);
  assert.deepEqual(netbox.lines, [record("198.51.100.3/24", "web"), record("198.51.100.5/32", "held")]);
});

test("without NetBox Services keep what they have, new ones wait, and the pool says why", async () => {
  await using netbox = await FakeNetbox.start(pool);
  const world = await start(netbox, "mode: allocate", { old: spec("old", { ingress: ["198.51.100.5"] }) });
  netbox.faults.push(...Array.from({ length: 200 }, () => "error" as const));
  world.service("new", spec("new"));
  const lines = await pass(world, 3_000);
  assert.deepEqual(world.addresses("old", "new"), ["old=198.51.100.5", "new="]);
  const [verdict] = [...world.controller.view.pools()].map((each) => each.verdict);
  assert.match(
    `${verdict?.cause}: ${verdict?.message}`,
    /^ipamFailing: pool dc1: Cannot .*: NetBox answers 500: .*database is locked/,
  );
  assert.ok(
    lines.some((line) => /config: Warning ipamFailing: Pool "dc1": Cannot/.test(line)),
    lines.join("\n"),
  );
  netbox.faults.length = 0;
  await pass(world, 60_000);
  assert.deepEqual(world.addresses("new"), ["new=198.51.100.0"]);
});

test("an address that is held here and recorded for another there stays, and the Service's owner is told once", async () => {
  await using netbox = await FakeNetbox.start();
  netbox.add("198.51.100.4/24", { description: "printer" });
  const world = await startWorld(undefined, { web: spec("web", { ingress: ["198.51.100.4"] }) });
  world.cluster.put("secrets", tokenOf(netbox));
  world.config(configOf(netbox, "mode: record"));
  const events = (await pass(world, 400_000)).filter((line) => line.includes("recordedElsewhere"));
  assert.deepEqual(events, [
    'default/web: Warning recordedElsewhere: NetBox has a record of 198.51.100.4 that is not this cluster\'s: "printer". The Service keeps the address',
  ]);
  assert.deepEqual(world.addresses("web"), ["web=198.51.100.4"]);
  assert.deepEqual(netbox.lines, ["198.51.100.4/24: printer"]);
});

test("a Secret that is missing, or has no token, is named, however long, and used at once when it is there", async () => {
  await using netbox = await FakeNetbox.start(pool);
  const world = await startWorld(configOf(netbox, "mode: record"));
  await pass(world, 900_000);
  const problem = () => [...world.controller.view.pools()][0]?.verdict.message;
  assert.match(problem() ?? "", /Secret metallb-system\/netbox/);
  world.cluster.put("secrets", secret(`${namespace}/netbox`, { other: "x" }, "netbox-token"));
  await pass(world, 10_000);
  assert.match(problem() ?? "", /has no key "token", but other/);
  world.cluster.put("secrets", tokenOf(netbox));
  await pass(world, 1_000);
  assert.match(problem() ?? "", /0 of 8 IPv4 addresses of pool dc1 are in use/);
});

test("a Service that waits for NetBox is told what NetBox lacks, also where that changes while it waits", async () => {
  await using netbox = await FakeNetbox.start(pool);
  const world = await startWorld(configOf(netbox, "mode: allocate"));
  world.service("web", spec("web"));
  const told = async () => (await pass(world, 20_000)).filter((line) => line.includes("AllocationFailed")).at(-1) ?? "";
  assert.match(await told(), /default\/web: Warning .* for this Service yet: .*Secret metallb-system\/netbox/);
  world.cluster.put("secrets", secret(`${namespace}/netbox`, { other: "x" }, "netbox-token"));
  assert.match(await told(), /default\/web: Warning .* has no key "token", but other/);
});

test("a token goes to no other URL than the one that its own Secret names, and only from a Secret that is marked", async () => {
  await using netbox = await FakeNetbox.start(pool);
  await using other = await FakeNetbox.start(pool);
  const world = await startWorld(configOf(other, "mode: record"), { web: spec("web") });
  world.cluster.put("secrets", tokenOf(netbox));
  const problem = () => [...world.controller.view.pools()][0]?.verdict.message;
  await pass(world, 10_000);
  assert.match(problem() ?? "", /Secret metallb-system\/netbox is for another NetBox: its key "url" is not "http:/);
  for (const elsewhere of ["/evil", "/../x", "?q", "#f"]) {
    world.config(configOf({ ...netbox, url: `${netbox.url}${elsewhere}` } as FakeNetbox, "mode: record"));
    await pass(world, 2_000);
  }
  world.config(configOf(netbox, "mode: record"));
  world.cluster.put("secrets", tokenOf(netbox, ""));
  await pass(world, 10_000);
  assert.match(problem() ?? "", /is not marked for this use: .* ingot-use=netbox-token/);
  assert.deepEqual([netbox.requests, other.requests], [[], []]);
});

const twoPools = (netbox: FakeNetbox, fields: string, more = "") => `address-pools:
- name: dc1
  protocol: bgp
  addresses: [${pool}, 2001:db8::/125]
  netbox: {url: "${netbox.url}", token-secret: {name: netbox}, tags: [k8s, cluster-a], ${fields}}
- name: other
  protocol: bgp
  addresses: [203.0.113.0/30]
${more}`;

test("a Service shares an address that NetBox chose for another one, and everybody's verdict can be asked for", async () => {
  await using netbox = await FakeNetbox.start(pool);
  const world = await start(netbox, "mode: allocate");
  const shares = { annotations: { "metallb.io/allow-shared-ip": "k" } };
  world.service("a", spec("a", shares));
  await pass(world, 2_000);
  world.service("b", spec("b", { ...shares, ports: [{ name: "", protocol: "TCP", port: 81 }] }));
  const lines = await pass(world, 2_000);
  assert.deepEqual(world.addresses("a", "b"), ["a=198.51.100.0", "b=198.51.100.0"]);
  assert.ok(!lines.some((line) => /object Object|AllocationFailed/.test(line)), lines.join("\n"));
  const route = controllerApi({ terms: world, recorder: world.recorder, clock: world.clock })["/v1/services"];
  const { services } = JSON.parse(textOf((await route?.(asked())) ?? assert.fail()));
  assert.equal(services.length, 2);
  assert.equal(netbox.lines.length, 1);
});

test("a Service that becomes dual-stack gets both families of the pool that NetBox keeps, by two records", async () => {
  await using netbox = await FakeNetbox.start(pool, "2001:db8::/125");
  const world = await start(netbox, "mode: allocate", {});
  world.config(twoPools(netbox, "mode: allocate"));
  world.service("web", spec("web"));
  await pass(world, 2_000);
  assert.deepEqual(world.addresses("web"), ["web=203.0.113.0"]);
  world.change("web", { clusterIPs: ["10.96.0.1", "fd96::1"] });
  const lines = await pass(world, 2_000);
  assert.deepEqual(world.addresses("web"), ["web=198.51.100.0+2001:db8::"]);
  assert.ok(
    lines.includes(
      'default/web: Normal ClearAssignment: Released ["203.0.113.0"] for ["198.51.100.0" "2001:db8::"]: pool "other" has no IPv6 addresses',
    ),
    lines.join("\n"),
  );
  await pass(world, 900_000);
  assert.deepEqual([netbox.lines.length, netbox.requests.filter((request) => /^POST|^DELETE/.test(request)).length], [2, 2]);
});

test("a Service that NetBox has nothing for keeps what it has, and NetBox is left alone", async () => {
  await using netbox = await FakeNetbox.start(pool, "2001:db8::/125");
  for (let i = 0; i < 8; i++) netbox.add(`2001:db8::${i}/64`, { description: "router" });
  const world = await start(netbox, "mode: allocate", {});
  world.config(twoPools(netbox, "mode: allocate"));
  world.service("web", spec("web"));
  await pass(world, 2_000);
  world.change("web", { clusterIPs: ["10.96.0.1", "fd96::1"] });
  await pass(world, 900_000);
  assert.deepEqual(world.addresses("web"), ["web=203.0.113.0"]);
  assert.deepEqual(netbox.lines.slice(8), []);
  const asked = netbox.requests.filter((request) => /^POST|^DELETE/.test(request)).length;
  assert.ok(asked <= 5, `${asked} requests`);
});

test("NetBox is not asked for an address while another pool that the Service names is full", async () => {
  await using netbox = await FakeNetbox.start(pool);
  const world = await start(netbox, "mode: allocate");
  for (const name of ["1", "2", "3", "4"])
    world.service(name, spec(name, { annotations: { "metallb.io/address-pool": "other" } }));
  world.service("web", spec("web", { annotations: { "metallb.io/address-pool": "dc1,other" } }));
  await pass(world, 300_000);
  assert.deepEqual([world.addresses("web"), netbox.lines], [["web="], []]);
  world.delete("1");
  await pass(world, 5_000);
  assert.deepEqual(world.addresses("web"), ["web=198.51.100.0+203.0.113.0"]);
});

test("a namespace beyond its quota takes nothing of NetBox, and gets what it may when it frees something", async () => {
  await using netbox = await FakeNetbox.start(pool);
  const world = await start(netbox, "mode: allocate");
  world.config(`${configOf(netbox, "mode: allocate")}quotas:\n- {namespaces: [default], ipv4: 1}\n`);
  const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
  for (const name of names) world.service(name, spec(name));
  const lines = await pass(world, 2_000);
  assert.deepEqual(
    world.addresses(...names).filter((text) => !text.endsWith("=")),
    ["a=198.51.100.0"],
  );
  assert.equal(netbox.lines.length, 1);
  assert.ok(
    lines.some((line) =>
      /default\/b: .*has 0 of 1 IPv4 addresses, others of its Services wait for 1, .*; delete a Service/.test(line),
    ),
    lines.join("\n"),
  );
  world.delete("a");
  await pass(world, 2_000);
  assert.deepEqual(world.addresses("b", "c"), ["b=198.51.100.1", "c="]);
  await pass(world, 900_000);
  assert.equal(netbox.lines.length, 1);
});

test("what NetBox chose for a Service that it has nothing else for goes back when others use the quota", async () => {
  await using netbox = await FakeNetbox.start(pool, "2001:db8::/125");
  for (let i = 0; i < 8; i++) netbox.add(`2001:db8::${i}/64`, { description: "router" });
  const ours = () => netbox.lines.slice(8);
  const world = await start(netbox, "mode: allocate");
  world.config(`${twoPools(netbox, "mode: allocate")}quotas:\n- {namespaces: [default], pools: [dc1], ipv4: 1}\n`);
  const inPool = { annotations: { "metallb.io/address-pool": "dc1" } };
  world.service("waits", spec("waits", { ...inPool, clusterIPs: ["10.96.0.1", "fd96::1"] }));
  await pass(world, 2_000);
  assert.deepEqual(ours(), [record("198.51.100.0/24", "waits")]);
  world.service("web", spec("web", inPool));
  await pass(world, 120_000);
  assert.deepEqual(world.addresses("waits", "web"), ["waits=", "web=198.51.100.1"]);
  assert.deepEqual(ours(), [record("198.51.100.1/24", "web")]);
});

for (const [onRelease, want] of [
  ["delete", []],
  ["deprecate", ["deprecated"]],
  ["keep", ["active"]],
] as const)
  test(`a pool that leaves the configuration releases its records: ${onRelease}`, async () => {
    await using netbox = await FakeNetbox.start(pool);
    const world = await start(netbox, `mode: allocate, on-release: ${onRelease}`, { web: spec("web") });
    assert.deepEqual(world.addresses("web"), ["web=198.51.100.0"]);
    const without = "address-pools: [{name: new, protocol: bgp, addresses: [192.0.2.0/29]}]";
    world.config(without, { "ingot.dev/allow-renumber": "true" });
    await pass(world, 200_000);
    assert.deepEqual(world.addresses("web"), ["web=192.0.2.0"]);
    assert.deepEqual(
      Array.from(netbox.addresses.values(), ({ status }) => status.value),
      want,
    );
    const { length } = netbox.requests;
    await pass(world, 900_000);
    assert.equal(netbox.requests.length, length, "NetBox is not asked any more");
  });

test("records of a pool that is configured anew stay with their Services", async () => {
  await using netbox = await FakeNetbox.start(pool);
  const world = await start(netbox, "mode: allocate", { web: spec("web") });
  const numbers = [...netbox.addresses.keys()];
  world.config(configOf(netbox, "mode: record, role: vip"));
  await pass(world, 400_000);
  assert.deepEqual([...netbox.addresses.keys()], numbers);
  world.config(configOf(netbox, "mode: record").replace(/ {2}netbox.*\n/, ""));
  await pass(world, 400_000);
  assert.deepEqual([...netbox.addresses.keys()], numbers, "an address in use keeps its record");
});

test("of many records few are told at once, and of those that NetBox has said before nothing", async () => {
  await using netbox = await FakeNetbox.start(pool);
  const hosts = Array.from({ length: 1_200 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  for (const host of hosts) netbox.add(`${host}/16`, { description: "router" });
  netbox.pageSize = 500;
  const world = await startWorld(undefined);
  world.cluster.put("secrets", tokenOf(netbox));
  world.config(configOf(netbox, "mode: record").replace(`[${pool}]`, "[10.1.0.0/21]"));
  await pass(world, 3_000);
  const inputs = () => [...world.recorder.lines()].flat().map((line) => JSON.parse(line).input);
  const told = () => inputs().flatMap(({ type, foreign }) => (type === "ipam" ? [foreign["@map"].length] : []));
  assert.equal(
    told().reduce((sum, count) => sum + count, 0),
    hosts.length,
  );
  assert.ok(Math.max(...told()) <= 500, `${told()}`);
  netbox.add("10.1.5.0/16", { description: "router" });
  await pass(world, 310_000);
  assert.equal(
    told().reduce((sum, count) => sum + count, 0),
    hosts.length + 1,
  );
});

test("a controller that starts gives nothing that NetBox may know for somebody else, until it has read that or failed to", async () => {
  await using netbox = await FakeNetbox.start(pool);
  for (const host of [0, 1, 2]) netbox.add(`198.51.100.${host}/24`, { description: "router" });
  const world = await start(netbox, "mode: record", { a: {} });
  assert.deepEqual(world.addresses("a"), ["a=198.51.100.3"]);
  const { promise, resolve } = Promise.withResolvers<void>();
  netbox.beforeAnswer = () => promise;
  await world.restart();
  world.service("b");
  await world.settle();
  assert.deepEqual(world.addresses("a", "b"), ["a=198.51.100.3", "b="]);
  netbox.beforeAnswer = undefined;
  resolve();
  await pass(world, 2_000);
  assert.deepEqual(world.addresses("a", "b"), ["a=198.51.100.3", "b=198.51.100.4"]);
  netbox.faults.push(...Array<"noAnswer">(20).fill("noAnswer"));
  await world.restart();
  world.service("c");
  await pass(world, 500);
  assert.notEqual(`${world.addresses("c")}`, "c=");
});

test("what NetBox knows for somebody else is given to nobody where the pool is configured anew while NetBox does not answer", async () => {
  await using netbox = await FakeNetbox.start(pool);
  for (const host of [0, 1]) netbox.add(`198.51.100.${host}/24`, { description: "router" });
  const world = await start(netbox, "mode: record", { a: {} });
  netbox.faults.push(...Array<"noAnswer">(60).fill("noAnswer"));
  world.config(configOf(netbox, "mode: record, on-release: keep").replace("dc1", "dc2").replace(pool, "198.51.100.0/30"));
  await pass(world, 2_000);
  world.service("b");
  world.service("c");
  await pass(world, 2_000);
  assert.deepEqual(world.addresses("a", "b", "c"), ["a=198.51.100.2", "b=198.51.100.3", "c="]);
});

test("a pool that is widened gives nothing new before NetBox has said what it has there", async () => {
  await using netbox = await FakeNetbox.start(pool);
  netbox.add("198.51.100.1/24", { description: "router" });
  const world = await startWorld(undefined, { a: {}, b: {} });
  world.cluster.put("secrets", tokenOf(netbox));
  world.config(configOf(netbox, "mode: record").replace(pool, "198.51.100.0/32"));
  await pass(world, 2_000);
  world.config(configOf(netbox, "mode: record"));
  await pass(world, 2_000);
  assert.deepEqual(world.addresses("a", "b"), ["a=198.51.100.0", "b=198.51.100.2"]);
});

test("a record that somebody gave another address, of another pool, is left alone", async () => {
  await using netbox = await FakeNetbox.start();
  const world = await start(netbox, "mode: record", { a: spec("a") });
  world.service("b", spec("b", { annotations: { "metallb.io/address-pool": "other" } }));
  world.delete("a");
  await pass(world, 1_000);
  const [record] = netbox.addresses.values();
  netbox.addresses.set(1, { ...(record ?? assert.fail()), address: "203.0.113.0/24" });
  const { length } = netbox.requests;
  await pass(world, 200_000);
  assert.deepEqual([netbox.lines.length, netbox.requests.slice(length)], [1, ["GET /api/ipam/ip-addresses/1/"]]);
});
