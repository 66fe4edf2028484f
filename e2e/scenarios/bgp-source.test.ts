import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoNode } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { BgpNetwork, nodeAsn, type PlacedRouter, routesFrom, routesTo } from "./bgp-network.ts";
import { Tool } from "./tool.ts";

const routerAsn = 65010;
const [first4, second4] = ["10.98.0.11", "10.98.0.12"];
const [first6, second6] = ["fd00:98::11", "fd00:98::12"];

/** The router is on the LAN of eth0, and knows the node by addresses of another LAN alone. */
suite("sessions whose source is not the address that leads to the router", { skip: await routerRefusal("frr") }, () => {
  let network: BgpNetwork;
  let tool: Tool;
  let node: DemoNode;
  let frr: PlacedRouter;
  const prefixes = { v4: "198.51.100.1/32", v6: "2001:db8:1::/128" };

  before(async () => {
    network = await BgpNetwork.start({ nodes: 1 });
    tool = new Tool(network.cluster);
    [node] = network.cluster.nodes as [DemoNode];
    const families = ["IPv4", "IPv6"] as const;
    frr = await network.router("frr", 1, {
      asn: routerAsn,
      neighbors: [first4, second4, first6, second6].map((address) => ({ address, asn: nodeAsn, families, multihop: 2 })),
    });
    const [v4, v6] = node.addresses;
    await frr.host.route("10.98.0.0/24", v4);
    await frr.host.route("fd00:98::/64", v6);
    await configure("source-interface: eth1", "source-interface: eth1");
    await network.cluster.expose("web", ["node1"], { families });
  });
  after(async () => {
    tool[Symbol.dispose]();
    await network[Symbol.asyncDispose]();
  });

  async function configure(of4: string, of6: string): Promise<void> {
    const peer = (address: string, source: string) =>
      `{my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: "${address}", ebgp-multihop: true, connect-time: 1s, ${source}}`;
    await network.cluster.configure(`peers:
- ${peer(frr.v4, of4)}
- ${peer(frr.v6, of6)}
address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24, "2001:db8:1::/64"]}
`);
  }

  const address = (how: "add" | "del", text: string) =>
    node.host.run(["ip", "addr", how, text, "dev", "eth1", ...(how === "add" && text.includes(":") ? ["nodad"] : [])]);
  const waits = (router: string, why: RegExp) =>
    tool.explains(`peer/${router}`, new RegExp(`Pending \\(waitsForSource\\)[^]*${why.source}`));
  const nextHopIs = (prefix: string, from: string, hop: string) =>
    waitFor(`next hop ${hop}`, async () => (await routesTo(frr, prefix)).get(from)?.nextHops[0] === hop);

  test("an interface that the node does not have, or that has no address of the family, is waited for", async () => {
    assert.match(await waits(frr.v4, /this node has no interface eth1/), /To do: give the node the interface/);
    await node.host.attach(await network.cluster.lab.switch("other"));
    await address("add", `${first6}/64`);
    await routesFrom(frr, prefixes.v6, [first6]);
    await waits(frr.v4, /interface eth1 has no IPv4 address to connect from/);
    await address("add", `${first4}/24`);
    await routesFrom(frr, prefixes.v4, [first4, first6]);
    for (const from of [first4, first6]) {
      await nextHopIs(prefixes.v4, from, first4);
      await nextHopIs(prefixes.v6, from, first6);
    }
  });

  test("a session stays while its address does, and goes to another one with it", async () => {
    await address("add", "fd00:98::1/64");
    await address("add", `${second6}/64`);
    await address("del", "fd00:98::1/64");
    await address("del", `${first4}/24`);
    await waits(frr.v4, /interface eth1 has no IPv4 address to connect from/);
    await address("add", `${second4}/24`);
    await nextHopIs(prefixes.v4, second4, second4);
    await nextHopIs(prefixes.v6, first6, first6);
    await address("del", `${first6}/64`);
    await nextHopIs(prefixes.v6, second6, second6);
    await address("del", `${second6}/64`); // As the kernel does by default with the link.
    await node.host.link("eth1").down();
    await waits(frr.v6, /interface eth1 is down, or has no address/);
    await node.host.link("eth1").up();
    await address("add", `${second6}/64`);
    await nextHopIs(prefixes.v6, second6, second6);
  });

  test("a source address of either family is taken as it is", async () => {
    await address("add", `${first6}/64`);
    await configure(`source-address: ${second4}`, `source-address: "${first6}"`);
    await nextHopIs(prefixes.v4, second4, second4);
    await nextHopIs(prefixes.v6, first6, first6);
  });
});
