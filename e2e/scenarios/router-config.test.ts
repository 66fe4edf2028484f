import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { waitFor } from "#e2e/lab";
import { type RouterKind, routerRefusal } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter } from "./bgp-network.ts";
import { Tool } from "./tool.ts";

const kinds: readonly RouterKind[] = ["frr", "bird", "gobgp", "openbgpd"];
const asnOf = (index: number): number => 65_010 + index;
const pool = (name: string, addresses: string) =>
  `- {name: ${name}, protocol: bgp, avoid-buggy-ips: true, addresses: ${addresses}}\n`;

suite("routers run the configuration that ingotctl writes for them", { skip: await routerRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  const routers: PlacedRouter[] = [];

  before(async () => {
    network = await BgpNetwork.start({ nodes: 2 });
    await configure(pool("main", '[198.51.100.0/24, "2001:db8:1::/64"]'));
    using tool = new Tool(network.cluster);
    for (const [index, kind] of kinds.entries()) {
      const { out, err, status } = await tool.run("router-config", `--for=${kind}`, `--peer=${kind}`);
      assert.equal(status, 0, err);
      routers.push(await network.router(kind, index + 1, { asn: asnOf(index), neighbors: [], text: out, multipath: 2 }));
    }
    await network.cluster.expose("web", ["node1", "node2"], { families: ["IPv4", "IPv6"] });
  });
  after(() => network[Symbol.asyncDispose]());

  async function configure(pools: string): Promise<void> {
    const peers = kinds.map((kind, index) => {
      const bfd = kind === "frr" || kind === "bird" ? ", bfd-profile: fast" : "";
      return `- {name: ${kind}, my-asn: ${nodeAsn}, peer-asn: ${asnOf(index)}, peer-address: 172.30.0.${241 + index}, password: PASSWORD, families: [ipv4, ipv6]${bfd}}\n`;
    });
    await network.cluster.configure(`bfd-profiles: [{name: fast, receive-interval: 500, transmit-interval: 500}]
peers:
${peers.join("")}address-pools:
${pools}`);
  }

  const ways = async ({ router }: PlacedRouter, prefix: string): Promise<number> =>
    (await router.routes()).filter((route) => route.prefix === prefix).length;
  const bothWays = (placed: PlacedRouter, prefix: string) =>
    waitFor(`${placed.router.kind} to have ${prefix} from both nodes`, async () => (await ways(placed, prefix)) === 2);

  for (const [index, kind] of kinds.entries())
    test(`${kind}: sessions with both nodes carry both families, and the kernel uses both ways`, async () => {
      const placed = routers[index] as PlacedRouter;
      await waitFor("two neighbors", async () => (await placed.router.neighbors()).length === 2);
      await established(placed);
      for (const prefix of ["198.51.100.1/32", "2001:db8:1::/128"]) await bothWays(placed, prefix);
      if (kind === "frr" || kind === "bird")
        await waitFor("the kernel's route to lead to both", async () => {
          const route = await placed.router.kernelRoute("198.51.100.1/32");
          return route?.nextHops.length === 2;
        });
    });

  test("filters keep out a pool that the configuration did not have when it was read", async () => {
    await configure(pool("main", '[198.51.100.0/24, "2001:db8:1::/64"]') + pool("other", "[203.0.113.0/24]"));
    const annotations = { "metallb.universe.tf/address-pool": "other" };
    await network.cluster.expose("late", ["node1", "node2"], { annotations });
    for (const { speaker, name } of network.cluster.nodes)
      await waitFor(`${name} to announce it`, async () => {
        const views = JSON.parse((await speaker.get("/v1/bgp/peers")).body) as { prefixesAnnounced: number }[];
        return views.every(({ prefixesAnnounced }) => prefixesAnnounced === 3);
      });
    // A route behind it in the same sessions shows that the router has read it.
    await network.cluster.expose("last", ["node1", "node2"], { annotations: { "metallb.universe.tf/address-pool": "main" } });
    for (const placed of routers) {
      await bothWays(placed, "198.51.100.2/32");
      assert.equal(await ways(placed, "203.0.113.1/32"), 0, placed.router.kind);
    }
  });
});
