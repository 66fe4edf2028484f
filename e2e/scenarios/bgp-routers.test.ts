import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoNode } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { type Neighbor, type Route, type RouterKind, routerRefusal } from "#e2e/routers";
import { BgpNetwork, established, linkLocalOf, nodeAsn, type PlacedRouter, routesFrom, routesTo } from "./bgp-network.ts";

const kinds: readonly RouterKind[] = ["frr", "bird", "gobgp", "openbgpd"];

/** The first AS number has four octets, so that the node has the smaller one. */
const asnOf = (index: number): number => (index === 0 ? 4_200_000_001 : 65_010 + index);

/** Whether it takes IPv6 next hops for IPv4, without which a session of link-local addresses has nothing for IPv4. */
const unnumbered = (kind: RouterKind): boolean => kind === "frr" || kind === "bird";

/** OpenBGPD gets two octets and restores the number from AS_TRANS and AS4_PATH (RFC 6793). */
const unnumberedAsn = (kind: RouterKind | undefined): number => (kind === "openbgpd" ? 4_200_000_099 : nodeAsn);

const advertisements = `
  bgp-advertisements:
  - localpref: 150
    med: 20
    communities: [mine, no-export, "large:65001:1:2"]
  - aggregation-length: 24
    aggregation-length-v6: 64
    as-path-prepend: 2`;

/** Four kinds of routers, each with an iBGP session over IPv4 with a password, one of eBGP over IPv6, and one over link-local addresses. */
suite("four kinds of routers learn an address", { skip: await routerRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  const routers: PlacedRouter[] = [];
  let own: { readonly v4: string; readonly v6: string; readonly linkLocal: string };

  before(async () => {
    network = await BgpNetwork.start({ nodes: 1 });
    const [node] = network.cluster.nodes;
    assert.ok(node);
    const [v4, v6] = node.addresses;
    own = { v4, v6, linkLocal: await linkLocalOf(node) };
    const families = ["IPv4", "IPv6"] as const;
    for (const [index, kind] of kinds.entries()) {
      const asn = asnOf(index);
      const linkLocal: Partial<Neighbor> = unnumbered(kind)
        ? { families, extendedNextHop: true }
        : { fourOctetAsn: kind !== "openbgpd" };
      routers.push(
        await network.router(kind, index + 1, {
          asn,
          neighbors: [
            { address: v4, asn, families, password: "correct-horse" },
            { address: v6, asn: nodeAsn, families, ttlSecurityHops: 1 },
            { address: `${own.linkLocal}%eth0`, asn: unnumberedAsn(kind), ...linkLocal },
          ],
        }),
      );
    }
    await configure("[ipv4, ipv6]");
    await network.cluster.expose("web", ["node1"], { families: ["IPv4", "IPv6"] });
  });
  after(() => network[Symbol.asyncDispose]());

  /** @param families of the sessions of eBGP over IPv6 */
  async function configure(families: string): Promise<void> {
    const peers = routers.map(
      ({ v4, v6, linkLocal }, index) => `
- {name: v4-${index}, my-asn: ${asnOf(index)}, peer-asn: internal, peer-address: ${v4}, password: correct-horse}
- {name: v6-${index}, my-asn: ${nodeAsn}, peer-asn: external, peer-address: "${v6}", ttl-security: 1, families: ${families}}
- {name: ll-${index}, my-asn: ${unnumberedAsn(kinds[index])}, peer-asn: ${asnOf(index)}, peer-address: "${linkLocal}", interface: eth0}`,
    );
    await network.cluster.configure(`bgp-communities: {mine: "65001:7"}
peers:${peers.join("")}
address-pools:
- name: main
  protocol: bgp
  avoid-buggy-ips: true
  addresses: [198.51.100.0/24, "2001:db8:1::/64"]${advertisements}
`);
  }

  for (const [index, kind] of kinds.entries())
    test(`${kind}: every session is up, and carries what is configured`, async () => {
      const placed = routers[index] as PlacedRouter;
      await established(placed);
      const linkLocal = `${own.linkLocal}%eth0`;
      const all = [own.v4, own.v6, linkLocal];
      const unnumbered4 = unnumbered(kind) ? all : [own.v4, own.v6];
      const v4 = await routesFrom(placed, "198.51.100.1/32", unnumbered4);
      const v6 = await routesFrom(placed, "2001:db8:1::/128", all);
      const received = (route: Route | undefined) => {
        assert.ok(route);
        const { asPath, origin, med, communities, largeCommunities, stale } = route;
        return { asPath, origin, med, communities: communities.toSorted(), largeCommunities, stale };
      };
      const both = { communities: ["65001:7", "65535:65281"], largeCommunities: ["65001:1:2"], origin: "incomplete", med: 20 };
      for (const routes of [v4, v6]) {
        assert.deepEqual(received(routes.get(own.v4)), { ...both, asPath: [], stale: false });
        assert.equal(routes.get(own.v4)?.localPref, 150, "iBGP carries it");
        assert.deepEqual(received(routes.get(own.v6)), { ...both, asPath: [nodeAsn], stale: false });
        assert.notEqual(routes.get(own.v6)?.localPref, 150, "eBGP does not");
      }
      assert.deepEqual(received(v6.get(linkLocal)), { ...both, asPath: [unnumberedAsn(kind)], stale: false });
      assert.deepEqual(v4.get(own.v4)?.nextHops, [own.v4]);
      assert.deepEqual(v4.get(own.v6)?.nextHops, [own.v4]);
      assert.equal(v6.get(own.v4)?.nextHops[0], own.v6);
      assert.equal(v6.get(own.v6)?.nextHops[0], own.v6);

      const wide4 = await routesFrom(placed, "198.51.100.0/24", unnumbered4);
      const wide6 = await routesFrom(placed, "2001:db8:1::/64", all);
      for (const routes of [wide4, wide6]) {
        assert.deepEqual(received(routes.get(own.v4)), {
          ...both,
          asPath: [],
          stale: false,
          med: undefined,
          communities: [],
          largeCommunities: [],
        });
        assert.deepEqual(routes.get(own.v6)?.asPath, [nodeAsn, nodeAsn, nodeAsn]);
      }
    });

  test("IPv6 next hops are addresses that the node keeps: no deprecated one, and no host route's beside one of the subnet", async () => {
    const [placed] = routers as [PlacedRouter, ...PlacedRouter[]];
    const { host } = network.cluster.nodes[0] as DemoNode;
    const nextHop = async () => (await routesTo(placed, "2001:db8:1::/128")).get(own.v4)?.nextHops[0];
    const hopIs = (wanted: string) =>
      waitFor(`next hop ${wanted}`, async () => {
        assert.equal(await nextHop(), wanted);
        return true;
      });
    const set = (how: string, address: string, ...lifetime: string[]) =>
      host.run(["ip", "addr", how, address, "dev", "eth0", ...lifetime, ...(how === "del" ? [] : ["nodad"])]);
    await hopIs(own.v6);
    await set("add", "fd00:30::1/128");
    await set("add", "fd00:30::2/64", "preferred_lft", "0");
    await set("add", "fd00:30::3/64");
    await set("del", `${own.v6}/64`);
    await hopIs("fd00:30::3");
    await set("change", "fd00:30::2/64", "preferred_lft", "forever");
    await set("change", "fd00:30::3/64", "preferred_lft", "0");
    await hopIs("fd00:30::2");
    await set("add", `${own.v6}/64`);
    for (const last of ["1/128", "2/64", "3/64"]) await set("del", `fd00:30::${last}`);
    await hopIs(own.v6);
  });

  test("a session carries the families that are chosen for it, whatever the router offers", async () => {
    await configure("[ipv4]");
    const linkLocal = `${own.linkLocal}%eth0`;
    for (const placed of routers) {
      await routesFrom(placed, "2001:db8:1::/128", [own.v4, linkLocal]);
      const all = [own.v4, own.v6, ...(unnumbered(placed.router.kind) ? [linkLocal] : [])];
      await routesFrom(placed, "198.51.100.1/32", all);
      await established(placed);
    }
  });
});
