import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoNode } from "#e2e/demo-cluster";
import type { Switch } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { BgpNetwork, nodeAsn, type PlacedRouter, routesFrom } from "./bgp-network.ts";
import { assigned, says } from "./observe.ts";
import { Tool } from "./tool.ts";

const routerAsn = 65010;
const families = ["IPv4", "IPv6"] as const;
/** The ends of a link on which the node has IPv6 only. */
const far = { node: "fd00:99::11", router: "fd00:99::241" };

suite("ingotctl explains which routes a session cannot carry", { skip: await routerRefusal("bird") }, () => {
  let network: BgpNetwork;
  let tool: Tool;
  let node: DemoNode;
  let bird: PlacedRouter;
  before(async () => {
    network = await BgpNetwork.start({ nodes: 1 });
    tool = new Tool(network.cluster);
    [node] = network.cluster.nodes as [DemoNode];
    const neighbors = [
      { address: node.addresses[0], asn: nodeAsn },
      { address: far.node, asn: nodeAsn, families },
    ];
    bird = await network.router("bird", 1, { asn: routerAsn, neighbors });
    const other: Switch = await network.cluster.lab.switch("other");
    await node.host.attach(other, { addresses: [`${far.node}/64`] });
    await bird.host.attach(other, { addresses: [`${far.router}/64`, "10.99.0.241/24"] });
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await network?.[Symbol.asyncDispose]();
  });

  const configure = (address: string) =>
    network.cluster.configure(`peers:
- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: "${address}"}
address-pools:
- {name: four, protocol: bgp, addresses: [198.51.100.0/24]}
- {name: six, protocol: bgp, addresses: ["2001:db8::/120"]}
`);

  test("a router that does not take routes of IPv6, until it does", async () => {
    await configure(bird.v4);
    const six = await network.cluster.expose("six", ["node1"], { spec: { ipFamilies: ["IPv6"] } });
    await tool.explains("svc/six", [
      /Peer .*\(familyNotNegotiated\)/s,
      /^Service default\/six: Pending \(routeNotCarried\)/,
      /cannot carry it to 172\.30\.0\.241:179 \(the router does not take routes of this family\)/,
      /Peer 172\.30\.0\.241:179 of node node1: Degraded \(familyNotNegotiated\)/,
      /cannot carry 1 IPv6 prefix: the router does not offer IPv6 unicast/,
      /To do: enable IPv6 unicast for this node on the router/,
    ]);
    const neighbors = [{ address: node.addresses[0], asn: nodeAsn, families }];
    await bird.router.reload({
      asn: routerAsn,
      routerId: bird.v4,
      neighbors: [...neighbors, { address: far.node, asn: nodeAsn, families }],
    });
    await tool.explains("svc/six", /^Service default\/six: Announced/);
    await routesFrom(bird, `${await six.address()}/128`, [node.addresses[0]]);
  });

  test("an interface without an IPv4 address to be the next hop, until it gets one, and again when that goes", async () => {
    await configure(far.router);
    await network.cluster.expose("four", ["node1"], { spec: { ipFamilies: ["IPv4"] } });
    await followsNextHop();
  });

  test("the same by a speaker that may not open packet sockets", async () => {
    const { speaker } = node;
    await speaker.stop();
    speaker.without = ["net_raw"];
    await speaker.start();
    await followsNextHop();
  });

  async function followsNextHop(): Promise<void> {
    const [address = ""] = await assigned(network.cluster, "four");
    const prefix = `${address}/32`;
    await tool.explains("svc/four", [
      /Peer .*\(noNextHop\)/s,
      /^Service default\/four: Pending \(routeNotCarried\)/,
      /cannot carry 1 IPv4 prefix: interface eth1 of the session has no IPv4 address to be the next hop/,
      /To do: give it one, or the advertisement a next-hop/,
    ]);
    await node.host.ip("addr add 10.99.0.11/24 dev eth1");
    await routesFrom(bird, prefix, [far.node]);
    await tool.explains("svc/four", /^Service default\/four: Announced .*with next hop 10\.99\.0\.11/s);
    await node.host.ip("addr del 10.99.0.11/24 dev eth1");
    await says(node.speaker, "noNextHop", "peer", `[${far.router}]:179`);
    await routesFrom(bird, prefix, []);
    const neighbor = (await bird.router.neighbors()).find(({ address }) => address === far.node);
    assert.equal(neighbor?.state, "established");
    assert.equal((await says(node.speaker, "routeNotCarried", "service", "default/four")).state, "Pending");
  }
});
