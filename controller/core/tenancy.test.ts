import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { namespace, service } from "#pkg/k8s/testing";
import { TimedLog } from "#pkg/log/testing";
import { annotations } from "#pkg/service";
import { configText, type ServiceSpec, startWorld, World } from "../testing/world.ts";

const pool = (addresses: string, fields: string) => `${configText(`a ${addresses}`)}${fields.replaceAll(/^/gm, "  ")}\n`;

function put(world: World, key: string, spec: ServiceSpec = {}): void {
  world.cluster.put("services", service(key, spec));
}

function statusOf(world: World, ...keys: string[]): string[] {
  return keys.map((key) => world.cluster.service(key)?.ingress.join("+") ?? "gone");
}

const fenced = pool("10.0.0.0-10.0.0.9", "namespaces: [team-a]");

test("a Service outside the fence is told so by its pool's name, and by none that is not its business", async () => {
  const world = await startWorld(fenced, { "team-a/in": {}, "team-b/out": {} });
  put(world, "team-b/named", { annotations: { [annotations.pool]: "a" } });
  put(world, "team-b/asking", { annotations: { [annotations.addresses]: "10.0.0.0" } });
  assert.deepEqual(
    await world.settle(),
    [
      'team-b/asking: Warning AllocationFailed: Failed to allocate IP for "team-b/asking": pool "a" is not for namespace "team-b"; request a pool or an address that is, or ask the administrators of the cluster for this one',
      'team-b/named: Warning AllocationFailed: Failed to allocate IP for "team-b/named": pool "a" is not for namespace "team-b"; request a pool or an address that is, or ask the administrators of the cluster for this one',
    ].sort((a, b) => (a.includes("named") ? -1 : b.includes("named") ? 1 : 0)),
  );
  assert.deepEqual(statusOf(world, "team-a/in", "team-b/out"), ["10.0.0.0", ""]);
  const [out] = world.statuses("team-b/out");
  assert.deepEqual([out?.verdict.state, out?.verdict.cause], ["Pending", "noPoolFits"]);
});

test("who is fenced out later keeps the address, with one event and a gauge, also after a restart", async () => {
  const world = await startWorld(pool("10.0.0.0-10.0.0.9", "priority: 1"), { "team-b/web": {} });
  await world.settle();
  world.config(fenced);
  const said =
    'team-b/web: Normal AddressNotAllowed: it keeps ["10.0.0.0"], which it would not be given now: pool "a" is not for namespace "team-b"';
  assert.deepEqual(
    (await world.settle()).filter((line) => line.startsWith("team-b")),
    [said],
  );
  const gauge = () => world.metric("ingot_allocator_addresses_not_allowed", { pool: "a" });
  assert.deepEqual([await gauge(), statusOf(world, "team-b/web")], [1, ["10.0.0.0"]]);
  put(world, "team-b/web", { ingress: ["10.0.0.0"], labels: { a: "b" } });
  assert.deepEqual(await world.settle(), []);
  const [status] = world.statuses("team-b/web");
  assert.deepEqual([status?.verdict.state, status?.verdict.cause], ["Assigned", "notAllowed"]);
  await world.restart();
  await world.settle();
  assert.deepEqual([await gauge(), statusOf(world, "team-b/web")], [1, ["10.0.0.0"]]);
});

test("an address of another team's pool that somebody wrote into a status is not adopted", async () => {
  const world = await startWorld(fenced, { "team-b/web": {} });
  put(world, "team-b/web", { ingress: ["10.0.0.7"] });
  await world.settle();
  assert.deepEqual(statusOf(world, "team-b/web"), [""]);
});

const byLabels = pool("10.0.0.0-10.0.0.9", "namespace-selectors: [{match-labels: {tenant: a}}]\nsharing: namespace");

test("labels of namespaces decide, from when they change, and take nothing away", async () => {
  const world = await startWorld(configText("a 10.0.0.0-10.0.0.9"));
  world.cluster.put("namespaces", namespace("x", { tenant: "a" }));
  world.cluster.put("namespaces", namespace("y"));
  world.config(byLabels);
  await world.settle();
  put(world, "x/1");
  put(world, "y/1");
  await world.settle();
  assert.deepEqual(statusOf(world, "x/1", "y/1"), ["10.0.0.0", ""]);
  world.cluster.put("namespaces", namespace("y", { tenant: "a" }));
  world.cluster.put("namespaces", namespace("x", { tenant: "b" }));
  const lines = await world.settle();
  assert.ok(lines.includes('y/1: Normal IPAllocated: Assigned IP ["10.0.0.1"]'), lines.join("\n"));
  assert.ok(lines.some((line) => line.startsWith("x/1: Normal AddressNotAllowed")));
  assert.deepEqual(statusOf(world, "x/1", "y/1"), ["10.0.0.0", "10.0.0.1"]);
  world.cluster.remove("namespaces", "y");
  world.cluster.remove("services", "y/1");
  await world.settle();
  world.cluster.put("namespaces", namespace("y", { tenant: "a" }));
  put(world, "y/1");
  await world.settle();
  assert.deepEqual(statusOf(world, "y/1"), ["10.0.0.1"]);
});

test("without the right to read Namespaces such a configuration is refused with the missing rule, until it is there", async () => {
  const world = await startWorld(configText("a 10.0.0.0-10.0.0.9"));
  world.cluster.forbidden.add("namespaces");
  world.cluster.put("namespaces", namespace("x", { tenant: "a" }));
  world.config(byLabels);
  assert.deepEqual(await world.settle(), [
    'metallb-system/config: Warning ConfigStale: configuration not used, the previous one stays in force: address-pools[0].namespace-selectors at line 6, column 3: the controller may not read the labels of Namespaces: its service account needs a ClusterRole with the rule apiGroups [""], resources [namespaces], verbs [list, watch], as the component manifests/components/namespaces adds it; kubectl -n metallb-system get configmap config -o yaml | ingotctl validate - lists all: correct them',
  ]);
  world.cluster.forbidden.delete("namespaces");
  assert.deepEqual(await world.settle(), [
    "metallb-system/config: Normal ConfigLoaded: configuration loaded",
    "metallb-system/ingot-status: written",
  ]);
  put(world, "x/1");
  await world.settle();
  assert.deepEqual(statusOf(world, "x/1"), ["10.0.0.0"]);
});

test("after a restart without that right the configuration stays in force, and lets nobody in by labels", async () => {
  const world = await startWorld(undefined);
  world.cluster.put("namespaces", namespace("x", { tenant: "a" }));
  world.config(byLabels);
  put(world, "x/1");
  await world.settle();
  world.cluster.forbidden.add("namespaces");
  await world.restart();
  put(world, "x/2");
  await world.settle();
  assert.deepEqual(statusOf(world, "x/1", "x/2"), ["10.0.0.0", ""]);
  assert.equal(world.controller.view.refused, undefined);
  world.cluster.forbidden.delete("namespaces");
  await world.settle();
  assert.deepEqual(statusOf(world, "x/1", "x/2"), ["10.0.0.0", "10.0.0.1"]);
});

const reserving = pool("10.0.0.0-10.0.0.2", "reserved:\n- 10.0.0.2\n- {addresses: [10.0.0.1], service: team-a/web}");

test("a reservation that comes too late is told to the operator and to who has the address, and moves nobody", async () => {
  const world = await startWorld(configText("a 10.0.0.0-10.0.0.2"), { "team-b/0": {}, "team-b/1": {} });
  await world.settle();
  world.config(reserving);
  const lines = await world.settle();
  assert.ok(
    lines.includes(
      "metallb-system/config: Normal ReservedAddressHeld: reserved addresses stay with the Services that hold them: 10.0.0.1 with team-b/1",
    ),
    lines.join("\n"),
  );
  assert.ok(
    lines.some((line) => /^team-b\/1: Normal AddressNotAllowed: .* address 10\.0\.0\.1 of pool "a" is reserved$/.test(line)),
  );
  put(world, "team-a/web");
  put(world, "team-b/2");
  await world.settle();
  assert.deepEqual(statusOf(world, "team-b/1", "team-a/web", "team-b/2"), ["10.0.0.1", "", ""]);
  world.cluster.remove("services", "team-b/1");
  await world.settle();
  assert.deepEqual(statusOf(world, "team-a/web", "team-b/2"), ["10.0.0.1", ""]);
  assert.equal(await world.metric("ingot_allocator_addresses_reserved", { pool: "a" }), 1);
  assert.equal(await world.metric("metallb_allocator_addresses_total", { pool: "a" }), 2);
});

const limited = `${configText("a 10.0.0.0-10.0.0.9")}quotas:\n- {pools: [a], ipv4: 2}\n`;

test("of Services that race for the last address of a quota one gets it, and the next as soon as one is freed", async () => {
  const world = await startWorld(limited, { "team-a/1": {}, "team-a/2": {}, "team-a/3": {}, "team-b/1": {} });
  assert.deepEqual(statusOf(world, "team-a/1", "team-a/2", "team-a/3", "team-b/1"), ["10.0.0.0", "10.0.0.1", "", "10.0.0.2"]);
  const [third] = world.statuses("team-a/3");
  assert.match(third?.verdict.message ?? "", /namespace "team-a" has 2 of 2 IPv4 addresses of pool "a"$/);
  put(world, "team-a/4");
  await world.settle();
  world.cluster.remove("services", "team-b/1");
  await world.settle();
  assert.deepEqual(statusOf(world, "team-a/3"), [""]);
  world.cluster.remove("services", "team-a/1");
  await world.settle();
  assert.deepEqual(statusOf(world, "team-a/3", "team-a/4"), ["10.0.0.0", ""]);
  const of = { quota: "quotas[0]", namespace: "team-a", resource: "ipv4" };
  assert.deepEqual([await world.metric("ingot_quota_used", of), await world.metric("ingot_quota_limit", of)], [2, 2]);
  assert.equal(await world.metric("ingot_quota_used", { namespace: "team-b" }), undefined);
});

test("a quota below what is in use takes nothing, says so, and holds after a restart", async () => {
  const world = await startWorld(limited, { "team-a/1": {}, "team-a/2": {} });
  world.config(limited.replace("ipv4: 2", "ipv4: 1"));
  await world.settle();
  const exceeded = () => world.metric("ingot_quota_exceeded", { quota: "quotas[0]", namespace: "team-a" });
  assert.deepEqual([await exceeded(), statusOf(world, "team-a/1", "team-a/2")], [1, ["10.0.0.0", "10.0.0.1"]]);
  await world.restart();
  put(world, "team-a/3");
  await world.settle();
  assert.deepEqual([await exceeded(), statusOf(world, "team-a/1", "team-a/3")], [1, ["10.0.0.0", ""]]);
  world.cluster.remove("services", "team-a/1");
  await world.settle();
  assert.deepEqual(statusOf(world, "team-a/3"), [""]);
  world.cluster.remove("services", "team-a/2");
  await world.settle();
  assert.deepEqual([await exceeded(), statusOf(world, "team-a/3")], [0, ["10.0.0.0"]]);
});

test("a namespace that leaves those that a quota counts together lets the others have more", async () => {
  const together = `${configText("a 10.0.0.0-10.0.0.9")}quotas:\n- {namespace-selectors: [{match-labels: {tier: free}}], together: true, services: 1}\n`;
  const world = await startWorld(undefined);
  for (const name of ["x", "y"]) world.cluster.put("namespaces", namespace(name, { tier: "free" }));
  world.config(together);
  await world.settle();
  put(world, "x/1");
  await world.settle();
  put(world, "y/1");
  await world.settle();
  assert.deepEqual(statusOf(world, "x/1", "y/1"), ["10.0.0.0", ""]);
  world.cluster.put("namespaces", namespace("x", { tier: "paid" }));
  await world.settle();
  assert.deepEqual(statusOf(world, "x/1", "y/1"), ["10.0.0.0", "10.0.0.1"]);
});

test("a closed pool drains: who has an address keeps it, and what is freed goes to nobody", async () => {
  const world = await startWorld(configText("a 10.0.0.0-10.0.0.9"), { "team-a/1": {}, "team-a/2": {} });
  world.config(`${pool("10.0.0.0-10.0.0.9", "closed: true")}- {name: b, protocol: layer2, addresses: [10.1.0.0/30]}\n`);
  await world.settle();
  world.cluster.remove("services", "team-a/1");
  put(world, "team-a/3");
  put(world, "team-a/4", { annotations: { [annotations.pool]: "a" } });
  const lines = await world.settle();
  assert.ok(
    lines.some((line) =>
      line.includes('Failed to allocate IP for "team-a/4": pool "a" is closed: no new address of it is given'),
    ),
  );
  assert.deepEqual(statusOf(world, "team-a/2", "team-a/3", "team-a/4"), ["10.0.0.1", "10.1.0.0", ""]);
});

test("a Service whose labels change keeps its address, and gets another by them once it has none", async () => {
  const world = await startWorld(pool("10.0.0.0-10.0.0.9", "service-selectors: [{match-labels: {exposure: public}}]"), {
    "x/web": { labels: { exposure: "public" } },
  });
  put(world, "x/web", { ingress: ["10.0.0.0"], labels: { exposure: "none" } });
  const lines = await world.settle();
  assert.deepEqual([lines.length, statusOf(world, "x/web")], [1, ["10.0.0.0"]]);
  assert.match(lines[0] ?? "", /^x\/web: Normal AddressNotAllowed: .*pool "a" is for Services with other labels$/);
  put(world, "x/web", { ingress: ["10.0.0.0"], labels: { exposure: "public" } });
  assert.deepEqual(await world.settle(), []);
  const [status] = world.statuses("x/web");
  assert.equal(status?.verdict.cause, "assigned");
});

test("a tenant's edits write 1,000 lines to the controller's log, and those of another tenant are all there", async () => {
  const timed = new TimedLog();
  const world = new World({ log: timed.log });
  world.config(pool("10.0.0.0-10.0.0.9", "priority: 1"));
  world.controller.start();
  for (let i = 0; i < 1_200; i++) {
    put(world, "team-a/web", { annotations: { [annotations.addresses]: `10.0.${i % 2}.${i % 250}` } });
    if (i % 300 === 0) put(world, `team-b/${i}`);
    await world.settle();
  }
  const lines = timed.take().map(({ service, event }) => `${service} ${event}`);
  assert.equal(lines.filter((line) => line.startsWith("team-a/")).length, 1_000);
  assert.deepEqual(
    lines.filter((line) => line.startsWith("team-b/")),
    [0, 300, 600, 900].map((i) => `team-b/${i} ipAllocated`),
  );
});

test("property: each line of the controller's log that edits of Services cause names a Service of those edited", async () => {
  const edit = fc.record({
    name: fc.constantFrom("team-a/web", "team-a/api", "team-a/mail"),
    deleted: fc.boolean(),
    spec: fc.record({
      type: fc.constantFrom("LoadBalancer", "LoadBalancer", "ClusterIP"),
      ingress: fc.constantFrom([], ["10.0.0.3"], ["192.0.2.9"], ["nonsense"]),
      uid: fc.constantFrom("1", "2"),
      annotations: fc.dictionary(
        fc.constantFrom(annotations.pool, annotations.addresses, annotations.sharing),
        fc.constantFrom("a", "b", "10.0.0.1", "10.0.0.2", "192.0.2.1", ""),
        { maxKeys: 2 },
      ),
    }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { maxLength: 20 }), async (edits) => {
      const timed = new TimedLog("debug");
      const world = new World({ log: timed.log });
      world.config(pool("10.0.0.0-10.0.0.2", "conflict-probe: strict"));
      world.occupied("10.0.0.1");
      world.controller.start();
      await world.settle();
      timed.take();
      for (const { name, deleted, spec } of edits) {
        if (deleted) world.cluster.remove("services", name);
        else put(world, name, spec);
        await world.settle();
      }
      const others = timed.take().filter(({ service }) => !`${service}`.startsWith("team-a/"));
      assert.deepEqual(others, []);
    }),
  );
});

test("a Service that shares its address against a rule of the pool's is well again once it has it alone", async () => {
  const port = (port: number) => ({ ports: [{ name: "", protocol: "TCP", port }], annotations: { [annotations.sharing]: "k" } });
  const world = await startWorld(pool("10.0.0.0-10.0.0.0", "priority: 1"), { "x/web": port(80), "y/other": port(81) });
  world.config(pool("10.0.0.0-10.0.0.0", "sharing: namespace"));
  await world.settle();
  const causes = () => [...world.statuses()].map(({ verdict }) => verdict.cause);
  assert.deepEqual(causes(), ["notAllowed", "notAllowed"]);
  world.cluster.remove("services", "y/other");
  await world.settle();
  assert.deepEqual(causes(), ["assigned"]);
  assert.equal(await world.metric("ingot_allocator_addresses_not_allowed", { pool: "a" }), 0);
});
