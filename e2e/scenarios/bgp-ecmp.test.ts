import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { DemoNode } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import { type RouterKind, routerRefusal } from "#e2e/routers";
import { urlHost } from "#pkg/net";
import { BgpNetwork, established, nodeAsn, type PlacedRouter, routesFrom, routesTo } from "./bgp-network.ts";
import { metric } from "./observe.ts";
import type { Flows } from "./udp-flows.ts";

const kinds = ["frr", "bird"] as const satisfies readonly RouterKind[];
const routerAsn = 65010;

/** Three nodes, and routers that share traffic out among them. */
suite("routers spread flows over the nodes", { skip: await routerRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  const routers: PlacedRouter[] = [];
  const clients: Host[] = [];
  let nodes: readonly DemoNode[];

  const v4Of = (names: readonly string[]): string[] =>
    nodes.filter(({ name }) => names.includes(name)).map(({ addresses: [v4] }) => v4);

  before(async () => {
    network = await BgpNetwork.start({ nodes: 3 });
    nodes = network.cluster.nodes;
    for (const [index, kind] of kinds.entries()) {
      const neighbors = nodes.flatMap(({ addresses: [v4, v6] }) => [
        { address: v4, asn: nodeAsn, bfd: { intervalMs: 500, multiplier: 3 } },
        { address: v6, asn: nodeAsn, holdTimeSeconds: 3 },
      ]);
      const placed = await network.router(kind, index + 1, { asn: routerAsn, multipath: 8, neighbors });
      routers.push(placed);
      clients.push(await network.outside(placed));
    }
    const session = `my-asn: ${nodeAsn}, peer-asn: ${routerAsn}`;
    const peers = routers.map(
      ({ v4, v6 }) => `- {${session}, bfd-profile: fast, peer-address: ${v4}}
- {${session}, hold-time: 3s, peer-address: "${v6}"}
`,
    );
    await network.cluster.configure(`bfd-profiles: [{name: fast, receive-interval: 500, transmit-interval: 500}]
peers:
${peers.join("")}address-pools:
- name: main
  protocol: bgp
  avoid-buggy-ips: true
  addresses: [198.51.100.0/24, "2001:db8:1::1-2001:db8:1::ff"]
- name: weighted
  protocol: bgp
  auto-assign: false
  addresses: [203.0.113.1-203.0.113.9]
  bgp-advertisements: [{weight: endpoints}]
`);
    for (const placed of routers) await established(placed);
  });
  after(() => network[Symbol.asyncDispose]());

  /** Waits until the kernel of each router has exactly these nodes as next hops of a prefix; @returns the weights, by router. */
  async function spread(prefix: string, names: readonly string[]): Promise<number[][]> {
    return Promise.all(
      routers.map(({ router }) =>
        waitFor(`the kernel of ${router.kind} to have ${prefix} by ${names}`, async () => {
          const hops = (await router.kernelRoute(prefix))?.nextHops ?? [];
          assert.deepEqual(
            hops.map(({ address }) => address),
            v4Of(names),
          );
          return hops.map(({ weight }) => weight);
        }),
      ),
    );
  }

  /** Waits until Pods of these nodes and no others answer a client, of 64 connections. Nodes hear of endpoints in their own time. */
  async function answeredBy(client: Host, address: string, names: readonly string[]): Promise<void> {
    await waitFor(`${address} to be answered by ${names}`, async () => {
      const bodies = await Promise.all(Array.from({ length: 64 }, () => client.get(`http://${urlHost(address)}/`)));
      assert.deepEqual([...new Set(bodies.map(({ body }) => body.trim().replace(/.* on /, "")))].sort(), names);
      return true;
    });
  }

  async function stream(client: Host, address: string) {
    const script = fileURLToPath(new URL("udp-flows.ts", import.meta.url));
    const process = await client.spawn(`flows-${client.name}`, ["node", script, address, "80"]);
    await process.waitForLine(/^answered$/);
    return {
      async stop(): Promise<Flows> {
        await process.stop();
        return JSON.parse(await process.waitForLine(/^\{/));
      },
    };
  }

  test("an address under policy Local is at the nodes that serve it, for the router's kernel and for real flows, and follows them", async () => {
    const all = nodes.map(({ name }) => name);
    const service = await network.cluster.expose("local", all, { policy: "Local", families: ["IPv4", "IPv6"] });
    const [v4 = "", v6 = ""] = await waitFor("its addresses", async () => {
      const addresses = await service.addresses();
      return addresses.length === 2 && addresses;
    });
    await spread(`${v4}/32`, all);
    for (const [index, client] of clients.entries()) {
      await answeredBy(client, v4, all);
      await waitFor(`IPv6 by three nodes at ${kinds[index]}`, async () => {
        return (await routers[index]?.router.kernelRoute(`${v6}/128`))?.nextHops.length === 3;
      });
      await answeredBy(client, v6, all);
    }
    const [first, ...others] = all;
    await service.serveFrom(await network.cluster.startBackends("local-again", others));
    await spread(`${v4}/32`, others);
    for (const client of clients) await answeredBy(client, v4, others);
    assert.ok(first);
    await service.delete();
    for (const placed of routers) await routesFrom(placed, `${v4}/32`, []);
  });

  test("under policy Cluster all nodes announce, as long as there is an endpoint anywhere", async () => {
    const all = nodes.map(({ name }) => name);
    const service = await network.cluster.expose("anywhere", ["node2"]);
    const address = await service.address();
    await spread(`${address}/32`, all);
    for (const client of clients) await answeredBy(client, address, ["node2"]);
    await service.serveFrom([]);
    for (const placed of routers) await routesFrom(placed, `${address}/32`, []);
    await service.delete();
  });

  test("with weight: endpoints, FRR gives nodes flows by how many Pods they have", async () => {
    const service = await network.cluster.expose("weighted", ["node1", "node2", "node2", "node2"], {
      policy: "Local",
      annotations: { "metallb.universe.tf/address-pool": "weighted" },
    });
    const prefix = `${await service.address()}/32`;
    const [frr] = routers as [PlacedRouter, ...PlacedRouter[]];
    const [one = "", two = ""] = v4Of(["node1", "node2"]);
    const routes = await routesFrom(frr, prefix, [one, two]);
    assert.equal(routes.get(one)?.linkBandwidth, 125e6);
    assert.equal(routes.get(two)?.linkBandwidth, 375e6);
    await waitFor("weights in the kernel", async () => {
      const [light = 0, heavy = 0] = ((await frr.router.kernelRoute(prefix))?.nextHops ?? []).map(({ weight }) => weight);
      return Math.abs(heavy / light - 3) < 0.1;
    });
    await service.delete();
  });

  test("a speaker that is stopped loses no packet: its routes are avoided, then withdrawn", async () => {
    const all = nodes.map(({ name }) => name);
    const service = await network.cluster.expose("drained", all, { policy: "Local", protocols: ["UDP"] });
    const address = await service.address();
    await spread(`${address}/32`, all);
    const streams = await Promise.all(clients.map((client) => stream(client, address)));
    const [leaving, ...rest] = nodes as [DemoNode, ...DemoNode[]];
    leaving.speaker.process.kill("SIGTERM");
    const [frr] = routers as [PlacedRouter, ...PlacedRouter[]];
    await waitFor("the community graceful-shutdown", async () => {
      const route = (await routesTo(frr, `${address}/32`)).get(leaving.addresses[0]);
      return route?.communities.includes("65535:0");
    });
    const others = rest.map(({ name }) => name);
    await waitFor("FRR to avoid them", async () => {
      const hops = (await frr.router.kernelRoute(`${address}/32`))?.nextHops ?? [];
      return hops.length === 2;
    });
    assert.equal(leaving.speaker.process.exit, undefined, "it still waits for its routers");
    await leaving.speaker.process.exited;
    await spread(`${address}/32`, others);
    for (const [index, each] of streams.entries()) {
      const { lost, sent, nodes: from } = await each.stop();
      assert.deepEqual(lost, [], `${kinds[index]}: of ${sent}`);
      assert.deepEqual(Object.keys(from).sort(), all);
    }
    await leaving.speaker.start();
    await spread(`${address}/32`, all);
    await service.delete();
  });

  test("a node that is cut off is avoided: at once with BFD, else when its hold time is over", async () => {
    const all = nodes.map(({ name }) => name);
    const service = await network.cluster.expose("cut", all, { policy: "Local", families: ["IPv4", "IPv6"] });
    const [v4 = "", v6 = ""] = await waitFor("its addresses", async () => {
      const addresses = await service.addresses();
      return addresses.length === 2 && addresses;
    });
    const nextHops6 = async (count: number): Promise<void> => {
      for (const { router } of routers)
        await waitFor(`IPv6 by ${count} nodes at ${router.kind}`, async () => {
          return (await router.kernelRoute(`${v6}/128`))?.nextHops.length === count;
        });
    };
    await spread(`${v4}/32`, all);
    await nextHops6(3);
    for (const { speaker } of nodes)
      for (const { router, v4: peer } of routers)
        await waitFor(`BFD of ${speaker.name} and ${router.kind}`, async () => {
          return (await metric(speaker, "metallb_bfd_session_up", { peer })) === 1;
        });
    const [gone, ...rest] = nodes as [DemoNode, ...DemoNode[]];
    await network.cluster.lan.isolate(gone.host);
    await spread(
      `${v4}/32`,
      rest.map(({ name }) => name),
    );
    await nextHops6(2);
    await network.cluster.lan.rejoin(gone.host);
    await spread(`${v4}/32`, all);
    await nextHops6(3);
    await service.delete();
  });
});
