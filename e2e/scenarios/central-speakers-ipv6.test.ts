// Scenario: what routing daemons and kernels make of paths to nodes without IPv4.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoNode, Workload } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { kernelRoute, type RouterKind, routerRefusal } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter } from "./bgp-network.ts";
import { says } from "./observe.ts";
import { Tool } from "./tool.ts";

const kinds = ["frr", "bird"] as const satisfies readonly RouterKind[];
const routerAsn = 65010;

suite("central speakers on nodes that have IPv6 addresses alone", { skip: await routerRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  let nodes: readonly DemoNode[];
  let centrals: readonly Workload[];
  let routers: readonly PlacedRouter[];
  const stack = new AsyncDisposableStack();

  before(async () => {
    network = stack.use(await BgpNetwork.start({ nodes: 2, families: ["IPv6"], centralSpeakers: 2 }));
    ({ nodes, centralSpeakers: centrals } = network.cluster);
    const neighbors = nodes.map(({ addresses: [address] }) => {
      return { address, asn: nodeAsn, addPath: true, families: ["IPv6"] } as const;
    });
    const make = (kind: RouterKind, index: number) =>
      network.router(kind, index + 1, { asn: routerAsn, neighbors, multipath: 4 });
    routers = await Promise.all(kinds.map(make));
    await configure("90s");
    for (const router of routers) await established(router);
  });
  after(() => stack.disposeAsync());

  function configure(holdTime: string): Promise<unknown> {
    const peers = routers.map(
      ({ v6 }) =>
        `- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: "${v6}", hold-time: ${holdTime}, connect-time: 1s, families: [ipv4, ipv6], add-path: true}\n`,
    );
    return network.cluster.configure(`peers:
${peers.join("")}address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24, "2001:db8:1::/64"]}
`);
  }

  async function leadToBoth({ host, router }: PlacedRouter): Promise<void> {
    const wanted = nodes.map(({ addresses: [v6] }) => v6).sort();
    await waitFor(`${router.kind} to lead to both nodes`, async () => {
      const hops = (await kernelRoute(host, "2001:db8:1::/128"))?.nextHops ?? [];
      assert.deepEqual([...new Set(hops.map(({ address }) => address))].sort(), wanted);
      return true;
    });
  }

  test("both lead to all nodes, also when one of them dies; IPv4 has no next hop, and the verdict says so", async () => {
    await network.cluster.expose("web", ["node1", "node2"], { families: ["IPv6"] });
    for (const router of routers) await leadToBoth(router);
    const [first] = centrals as [Workload];
    first.process.kill("SIGKILL");
    await first.process.exited;
    for (const router of routers) await leadToBoth(router);
    await first.start();
    await network.cluster.expose("old", ["node1"], { families: ["IPv4"] });
    for (const central of centrals) await says(central, "noNextHop", "service", "default/old");
  });

  test("a peer that is edited while its router is away has a session by the new values once it is back, and the other router keeps its own paths", async () => {
    const [away, other] = routers as [PlacedRouter, PlacedRouter];
    await away.router.stop("SIGKILL");
    await configure("60s");
    await leadToBoth(other);
    await away.router.start();
    await leadToBoth(away);
    using tool = new Tool(network.cluster);
    await tool.explains("svc/web", /^Service default\/web: Announced/);
    for (const central of centrals) {
      const peers: readonly { readonly session?: { readonly holdTimeSeconds: number } }[] = JSON.parse(
        (await central.get("/v1/bgp/peers")).body,
      );
      assert.deepEqual(
        peers.map(({ session }) => session?.holdTimeSeconds),
        [60, 60],
        JSON.stringify(peers),
      );
    }
  });
});
