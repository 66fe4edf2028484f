// Smoke: who gets which address.
import assert from "node:assert/strict";
import { after, before, beforeEach, suite, test } from "node:test";
import { type DemoCluster, eventsOf } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import {
  addressesOf,
  answer,
  applyService,
  assigned,
  eventOf,
  metric,
  owner,
  serviceReference,
  startCluster,
} from "./observe.ts";

const configuration = `address-pools:
- name: small
  protocol: layer2
  addresses: [172.30.0.200-172.30.0.202]
- name: reserved
  protocol: layer2
  auto-assign: false
  addresses: [172.30.0.220-172.30.0.221, fd00:30::220-fd00:30::22f]
`;
const annotation = (name: string) => `metallb.universe.tf/${name}`;

suite("who gets which address", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  before(async () => {
    cluster = await startCluster({ nodes: 1, configuration });
  });
  after(() => cluster[Symbol.asyncDispose]());
  beforeEach(async () => {
    const services = await cluster.api.list("v1", "Service", "default");
    for (const { metadata } of services)
      if (metadata.name !== "kubernetes") await cluster.api.delete(serviceReference(metadata.name));
    await waitFor(
      "all addresses to be free",
      async () => (await metric(cluster.controller, "metallb_allocator_addresses_in_use_total")) === 0,
    );
  });

  const requests: { name: string; request: Parameters<typeof applyService>[2]; want: string[] }[] = [
    { name: "by spec.loadBalancerIP", request: { spec: { loadBalancerIP: "172.30.0.202" } }, want: ["172.30.0.202"] },
    {
      name: "by annotation",
      request: { annotations: { [annotation("loadBalancerIPs")]: "172.30.0.221" } },
      want: ["172.30.0.221"],
    },
    { name: "by pool", request: { annotations: { [annotation("address-pool")]: "reserved" } }, want: ["172.30.0.220"] },
    {
      name: "of each family by pool",
      request: {
        annotations: { [annotation("address-pool")]: "reserved" },
        spec: { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"] },
      },
      want: ["172.30.0.220", "fd00:30::220"],
    },
  ];
  for (const { name, request, want } of requests) {
    test(`an address is requested ${name}`, async () => {
      await applyService(cluster, "asking", request);
      assert.deepEqual(await assigned(cluster, "asking"), want);
    });
  }

  test("TCP and UDP Services share one address, and both are reached there", async () => {
    const annotations = { [annotation("allow-shared-ip")]: "dns" };
    const tcp = await cluster.expose("dns-tcp", ["node1"], { annotations, port: 53, protocols: ["TCP"] });
    const udp = await cluster.expose("dns-udp", ["node1"], { annotations, port: 53, protocols: ["UDP"] });
    const address = await tcp.address();
    assert.equal(await udp.address(), address);
    await owner(cluster, address);
    await waitFor("an answer over TCP", async () => {
      assert.equal(await answer(cluster, address, 53), "dns-tcp-1 on node1");
      return true;
    });
    const script = `
      const socket = require("node:dgram").createSocket("udp4");
      socket.once("message", (data) => { console.log(String(data)); socket.close(); });
      const asking = setInterval(() => socket.send("hello", 53, process.argv[1]), 200);
      socket.once("close", () => clearInterval(asking));`;
    const { stdout } = await cluster.client.run([process.execPath, "-e", script, address]);
    assert.equal(stdout.trim(), "dns-udp-1 on node1 hello");
    await tcp.delete();
    await udp.delete();
  });

  test("two Services that ask for one address: an event on the second says who holds it", async () => {
    await applyService(cluster, "first", { spec: { loadBalancerIP: "172.30.0.201" } });
    await assigned(cluster, "first");
    await applyService(cluster, "second", { spec: { loadBalancerIP: "172.30.0.201" } });
    await eventOf(cluster, "second", "AllocationFailed", /172\.30\.0\.201.*default\/first/);
    assert.deepEqual(await addressesOf(cluster, "second"), []);
    await cluster.api.delete(serviceReference("first"));
    assert.deepEqual(await assigned(cluster, "second"), ["172.30.0.201"]);
  });

  test("a pool that is full: the one that waits has an event, and gets the first address that is freed", async () => {
    for (const name of ["one", "two", "three"]) {
      await applyService(cluster, name);
      await assigned(cluster, name);
    }
    await applyService(cluster, "waiting");
    await eventOf(cluster, "waiting", "AllocationFailed", /small/);
    const freed = await addressesOf(cluster, "two");
    await cluster.api.delete(serviceReference("two"));
    assert.deepEqual(await assigned(cluster, "waiting"), freed);
  });

  test("a Service that stops being a load balancer loses its address, and the next one gets it", async () => {
    await applyService(cluster, "former", { spec: { loadBalancerIP: "172.30.0.200" } });
    await assigned(cluster, "former");
    await applyService(cluster, "next", { spec: { loadBalancerIP: "172.30.0.200" } });
    await eventOf(cluster, "next", "AllocationFailed", /default\/former/);
    await cluster.api.patch(serviceReference("former"), { spec: { type: "ClusterIP", loadBalancerIP: null } });
    assert.deepEqual(await assigned(cluster, "next"), ["172.30.0.200"]);
    assert.deepEqual(await addressesOf(cluster, "former"), []);
  });

  test("a controller that is restarted, in order or not, leaves every address where it is", async () => {
    for (const name of ["alpha", "beta", "gamma"]) await applyService(cluster, name);
    const before = [];
    for (const name of ["alpha", "beta", "gamma"]) before.push(await assigned(cluster, name));
    for (const stop of [() => cluster.controller.stop(), () => cluster.controller.process.kill("SIGKILL")]) {
      await stop();
      await cluster.controller.process.exited;
      await applyService(cluster, `meanwhile`); // It would fit, if one of theirs were taken for free.
      await cluster.controller.start();
      await waitFor("the controller to be ready", () => cluster.controller.ready());
      await eventOf(cluster, "meanwhile", "AllocationFailed", /small/);
      const after = [];
      for (const name of ["alpha", "beta", "gamma"]) after.push(await addressesOf(cluster, name));
      assert.deepEqual(after, before);
    }
  });

  test("a malformed annotation is an event on its Service, and hinders nobody else", async () => {
    await applyService(cluster, "malformed", { annotations: { [annotation("loadBalancerIPs")]: "172.30.0.300" } });
    await eventOf(cluster, "malformed", "AllocationFailed", /172\.30\.0\.300/);
    await applyService(cluster, "sound");
    assert.deepEqual(await assigned(cluster, "sound"), ["172.30.0.200"]);
    const warnings = (await eventsOf(cluster, "Service", "malformed")).filter(({ type }) => type === "Warning");
    assert.deepEqual(
      warnings.map(({ count }) => count),
      [1],
      "one event",
    );
  });

  test("a Service of another load balancer class is left alone", async () => {
    await applyService(cluster, "other", { spec: { loadBalancerClass: "example.com/other" } });
    await applyService(cluster, "ours");
    await assigned(cluster, "ours");
    assert.deepEqual(await addressesOf(cluster, "other"), []);
    assert.deepEqual(await eventsOf(cluster, "Service", "other"), []);
  });
});
