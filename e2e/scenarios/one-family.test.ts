import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { BgpNetwork, nodeAsn, type PlacedRouter, routesFrom } from "./bgp-network.ts";
import { answered, owner } from "./observe.ts";

const pools = `address-pools:
- {name: lan, protocol: layer2, addresses: ["fd00:30::200-fd00:30::2ff"]}
- {name: routed, protocol: bgp, addresses: [198.51.100.0/24, "2001:db8:1::/64"]}
`;

suite("nodes that have IPv6 addresses alone", { skip: await routerRefusal("frr") }, () => {
  let network: BgpNetwork;
  let router: PlacedRouter;

  before(async () => {
    network = await BgpNetwork.start({ nodes: 2, families: ["IPv6"] });
    const neighbors = network.cluster.nodes.map(({ addresses: [v6] }) => {
      return { address: v6, asn: nodeAsn, families: ["IPv4", "IPv6"], extendedNextHop: true } as const;
    });
    router = await network.router("frr", 1, { asn: 65010, neighbors });
  });
  after(() => network[Symbol.asyncDispose]());

  const peer = (more = "") => `peers:
- {my-asn: ${nodeAsn}, peer-asn: 65010, peer-address: "${router.v6}", families: [ipv4, ipv6]${more}}
`;

  test("another node takes an address over when its owner is killed", async () => {
    const { cluster } = network;
    await cluster.configure(pools);
    const annotations = { "metallb.universe.tf/address-pool": "lan" };
    const web = await cluster.expose("web", ["node1", "node2"], { families: ["IPv6"], annotations });
    const address = await web.address();
    const former = await owner(cluster, address);
    former.speaker.process.kill("SIGKILL");
    await waitFor("another owner", async () => (await owner(cluster, address)).name !== former.name);
    await answered(cluster, address, /^web-/);
    await former.speaker.process.exited;
    await former.speaker.start();
    await web.delete();
  });

  test("a router has routes of both families over IPv6; its advertisements change no source that source-interface names", async () => {
    const { cluster } = network;
    // FRR advertises itself for extended next hops, so that each node has an address of SLAAC, the newest.
    await waitFor("the address by SLAAC", async () => {
      const shown = await Promise.all(cluster.nodes.map(({ host }) => host.output(["ip", "-6", "addr", "show", "dev", "eth0"])));
      return shown.every((each) => /inet6 fd00:30::ff:fe00:\w+\/64 scope global dynamic/.test(each));
    });
    await cluster.configure(peer() + pools);
    const [node] = cluster.nodes;
    assert.ok(node);
    const advice = /set source-interface, so that the session comes from fd00:30::11; or make fd00:30::ff:fe00:\w+,/;
    await waitFor("the remedy", async () => advice.test((await node.speaker.get("/v1/verdicts")).body));
    await cluster.configure(peer(", source-interface: eth0") + pools);
    const annotations = { "metallb.universe.tf/address-pool": "routed" };
    await cluster.expose("routed", ["node1", "node2"], { families: ["IPv6", "IPv4"], annotations });
    const sources = cluster.nodes.map(({ addresses: [v6] }) => v6);
    for (const prefix of ["198.51.100.0/32", "2001:db8:1::/128"]) await routesFrom(router, prefix, sources);
  });
});
