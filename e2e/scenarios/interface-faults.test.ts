import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type DemoNode, type DemoService, eventsOf } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { address, InterfaceNetwork, pool, routerAddress, v4 } from "./interface-network.ts";
import type { Flows } from "./udp-flows.ts";

interface Shown {
  readonly restored: number;
  readonly items: readonly { readonly prefix: string; readonly place: string; readonly restored: number }[];
}

suite("addresses stay in the nodes' kernels", { skip: await routerRefusal("bird") }, () => {
  let network: InterfaceNetwork;
  let nodes: readonly DemoNode[];
  let service: DemoService;

  before(async () => {
    network = await InterfaceNetwork.start();
    nodes = network.cluster.nodes;
    const annotations = { "metallb.io/loadBalancerIPs": address };
    service = await network.cluster.expose("web", ["node1", "node2", "node3"], { protocols: ["TCP", "UDP"], annotations });
    await service.address();
    await network.startDaemons("BIRD: OSPF and OSPFv3", "ospf");
    await network.spreadOver(v4, 3);
  });
  after(() => network[Symbol.asyncDispose]());

  const node = (name: string) => network.cluster.node(name);
  const shown = async (name: string): Promise<Shown> => JSON.parse((await node(name).speaker.get("/v1/kernel")).body);
  const isThere = async (name: string): Promise<boolean> =>
    (await node(name).host.run(["ip", "-o", "addr", "show", "dev", "kube-lb0"])).stdout.includes(v4);
  const ready = (name: string) => waitFor(`${name}'s speaker`, () => node(name).speaker.ready());

  test("what is deleted by hand is back, with all that is flushed and the interface itself; an event names it", async () => {
    const { host } = node("node1");
    for (const change of [
      `addr del ${v4} dev kube-lb0`,
      "addr flush dev kube-lb0",
      "link del kube-lb0",
      "link set kube-lb0 down",
    ]) {
      await host.run(["ip", ...change.split(" ")]);
      await waitFor(`the address after ${change}`, () => isThere("node1"));
    }
    await network.spreadOver(v4, 3);
    const { items } = await shown("node1");
    assert.deepEqual(
      items.map(({ prefix, place }) => `${prefix} ${place}`),
      [`${v4} placed`],
    );
    assert.ok((items[0]?.restored ?? 0) >= 2);
    const seen = async () => (await eventsOf(network.cluster, "Node", "node1")).find(({ reason }) => reason === "kernelRestored");
    const event = await waitFor("an event", seen);
    assert.match(event.message, /put back/);
  });

  test("a speaker that is killed leaves what it put there, and the next one takes it over without touching it", async () => {
    const { host, speaker } = node("node2");
    const watch = await host.spawn("monitor-node2", ["ip", "-o", "monitor", "address", "link"]);
    speaker.process.kill("SIGKILL");
    await speaker.process.exited;
    assert.ok(await isThere("node2"));
    await speaker.start();
    await ready("node2");
    await waitFor("its kernel", async () => (await shown("node2")).items.every(({ place }) => place === "placed"));
    await watch.stop();
    assert.deepEqual(
      watch.lines.filter((line) => line.includes("Deleted")),
      [],
    );
    assert.equal((await shown("node2")).restored, 0);
    await network.spreadOver(v4, 3);
  });

  test("a speaker that is stopped for some seconds and goes on changes nothing", async () => {
    const { speaker } = node("node3");
    speaker.process.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    assert.ok(await isThere("node3"));
    speaker.process.kill("SIGCONT");
    await ready("node3");
    assert.equal((await shown("node3")).restored, 0);
    await network.spreadOver(v4, 3);
  });

  test("speakers that are restarted one after the other lose no packet of a client that sends every 2 ms", async () => {
    const flows = await network.client.spawn("flows", [
      "node",
      fileURLToPath(new URL("udp-flows.ts", import.meta.url)),
      address,
      "80",
    ]);
    await flows.waitForLine(/answered/);
    for (const { name, speaker } of nodes) {
      await speaker.stop();
      assert.equal(await isThere(name), false, "it is withdrawn");
      await network.spreadOver(v4, 2);
      await speaker.start();
      await ready(name);
      await network.spreadOver(v4, 3);
    }
    await flows.stop();
    const { lost, sent, nodes: answered }: Flows = JSON.parse(await flows.waitForLine(/^\{/));
    assert.deepEqual([lost, Object.keys(answered).length], [[], 3], `of ${sent}`);
  });

  test("by the BGP of the speakers too: a router has the address from them, and kernels have it", async () => {
    await network.stopDaemons();
    await network.spreadOver(v4, 0);
    const peer = `peers: [{my-asn: 64512, peer-asn: 64513, peer-address: ${routerAddress}}]\n`;
    await network.startRouter("bgp");
    await network.cluster.configure(peer + pool().replace("protocol: interface", "protocol: [interface, bgp]"));
    await network.spreadOver(v4, 3);
    for (const { name } of nodes) assert.ok(await isThere(name));
    assert.match((await network.client.get(`http://${address}/`)).body, /^web-/);
  });
});
