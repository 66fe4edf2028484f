// Scenario: what routing daemons and kernels make of paths that two speakers announce for all nodes.
// Long: routers wait before they take a session again.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type DemoNode, type DemoService, filter, type Workload } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import { kernelRoute, type RouterKind, routerRefusal } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter } from "./bgp-network.ts";
import { says } from "./observe.ts";
import { routeChanges } from "./route-changes.ts";
import { Tool } from "./tool.ts";
import type { Flows } from "./udp-flows.ts";

const kinds = ["frr", "bird"] as const satisfies readonly RouterKind[];
const routerAsn = 65010;
/** Packets that were under way as routes changed. */
const maxLost = 5;

suite("two central speakers announce for all nodes", { skip: await routerRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  let nodes: readonly DemoNode[];
  let centrals: readonly Workload[];
  let service: DemoService;
  let v4: string;
  let v6: string;
  let routers: readonly PlacedRouter[] = [];
  let narrow: PlacedRouter; // Without ADD-PATH.
  const clients = new Map<PlacedRouter, Host>(); // router -> host behind it

  before(async () => {
    network = await BgpNetwork.start({ nodes: 4, centralSpeakers: 2 });
    nodes = network.cluster.nodes;
    centrals = network.cluster.centralSpeakers;
    const neighbors = nodes.slice(0, 2).map(({ addresses: [address] }) => ({
      address,
      asn: nodeAsn,
      addPath: true,
      families: ["IPv4", "IPv6"] as const,
    }));
    const common = { asn: routerAsn, multipath: 16 };
    routers = await Promise.all(kinds.map((kind, index) => network.router(kind, index + 1, { ...common, neighbors })));
    const narrowed = neighbors.map((neighbor) => ({ ...neighbor, addPath: false }));
    narrow = await network.router("frr", 3, { ...common, neighbors: narrowed });
    for (const router of [...routers, narrow]) clients.set(router, await network.outside(router));
    await network.cluster.configure(configuration());
    for (const router of [...routers, narrow]) await established(router);
    service = await network.cluster.expose("web", ["node1", "node2", "node3", "node4"], {
      families: ["IPv4", "IPv6"],
      protocols: ["UDP"],
    });
    [v4 = "", v6 = ""] = await waitFor("its addresses", async () => {
      const addresses = await service.addresses();
      return addresses.length === 2 && addresses;
    });
  });
  after(() => network?.[Symbol.asyncDispose]());

  function configuration(): string {
    const peers = [...routers, narrow].map(
      ({ v4 }) =>
        `- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${v4}, families: [ipv4, ipv6], add-path: true, drain-when-cordoned: true}\n`,
    );
    return `peers:
${peers.join("")}- {my-asn: ${nodeAsn}, peer-asn: external, peer-address: gateway}
address-pools:
- name: main
  protocol: bgp
  avoid-buggy-ips: true
  addresses: [198.51.100.0/24, "2001:db8:1::1-2001:db8:1::ff"]
  bgp-advertisements: [{}]
- name: weighted
  protocol: bgp
  auto-assign: false
  addresses: [203.0.113.1-203.0.113.9]
  bgp-advertisements: [{weight: endpoints}]
`;
  }

  async function hops({ host }: PlacedRouter, address: string): Promise<readonly string[]> {
    const route = await kernelRoute(host, `${address}/${address.includes(":") ? 128 : 32}`);
    return (route?.nextHops ?? []).map(({ address }) => address).sort();
  }

  /** Waits until the kernels of these routers lead to these nodes, and to no others. */
  async function leadTo(wanted: readonly DemoNode[], of = routers): Promise<void> {
    for (const router of of)
      for (const [address, family] of [[v4, 0] as const, [v6, 1] as const])
        await waitFor(`${router.host.name} to lead to ${wanted.map(({ name }) => name)} for ${address}`, async () => {
          assert.deepEqual(await hops(router, address), wanted.map(({ addresses }) => addresses[family]).sort());
          return true;
        });
  }

  /** Waits until a router has that many paths from each central speaker: one that has just begun may not know all nodes yet. */
  async function hasPaths({ router }: PlacedRouter, count: number): Promise<void> {
    await waitFor(`${router.kind} to have ${count} paths from both`, async () => {
      // One that waits for a speaker to be back is not from there.
      const paths = (await router.routes()).filter(({ prefix, stale }) => prefix === `${v4}/32` && !stale);
      assert.equal(paths.length, centrals.length * count, JSON.stringify(paths));
      return true;
    });
  }

  /** Nodes that another node's speaker has found dead. */
  function lostNodes(): ReadonlySet<string> {
    const lines = nodes.flatMap(({ speaker }) => speaker.process.lines).filter((line) => line.includes('"member failed"'));
    return new Set(lines.map((line): string => JSON.parse(line).member));
  }

  async function stream(router: PlacedRouter, address: string): Promise<{ stop(): Promise<Flows> }> {
    const script = fileURLToPath(new URL("udp-flows.ts", import.meta.url));
    const host = clients.get(router) ?? assert.fail();
    const process = await host.spawn(`flows-${host.name}-${address}`, ["node", script, address, "80"]);
    await process.waitForLine(/^answered$/);
    return {
      async stop() {
        await process.stop();
        return JSON.parse(await process.waitForLine(/^\{/));
      },
    };
  }

  test("routers with ADD-PATH have each node as a next hop, of both families, and no node has a session", async () => {
    await leadTo(nodes);
    using tool = new Tool(network.cluster);
    await tool.explains("svc/web", [
      /^Service default\/web: Announced/,
      /\/32 to 172\.30\.0\.241:179: sent, with next hop 172\.30\.0\.11 and 172\.30\.0\.12 and 172\.30\.0\.13 and 172\.30\.0\.14 /,
    ]);
    for (const { speaker } of nodes) assert.deepEqual(JSON.parse((await speaker.get("/v1/bgp/peers")).body), []);
    for (const router of routers)
      for (const address of [v4, v6]) {
        const { nodes: reached } = await (await stream(router, address)).stop();
        assert.ok(Object.keys(reached).length >= 2, `${router.host.name}: ${JSON.stringify(reached)}`);
      }
  });

  test("a router that honours graceful-shutdown leads to no cordoned node, and one without ADD-PATH gets another", async () => {
    const [cordoned, ...others] = nodes as [DemoNode, ...DemoNode[]];
    const cordon = (unschedulable: boolean) =>
      network.cluster.api.patch(
        { apiVersion: "v1", kind: "Node", metadata: { name: cordoned.name } },
        { spec: { unschedulable } },
      );
    await cordon(true);
    await leadTo(others, routers.slice(0, 1)); // FRR does without being told.
    for (const [address, family] of [[v4, 0] as const, [v6, 1] as const])
      await waitFor("the router without ADD-PATH to lead to another node", async () => {
        const found = await hops(narrow, address);
        return found.length === 1 && others.some(({ addresses }) => addresses[family] === found[0]);
      });
    await cordon(false);
    await leadTo(nodes);
  });

  test("ingotctl tries the address through each node, and says what the loss of a node would change", async () => {
    using tool = new Tool(network.cluster);
    const { out } = await waitFor("the address to be tried", async () => {
      const probed = await tool.run("probe", v4);
      for (const { name, addresses } of nodes) {
        assert.match(probed.out, new RegExp(`${name}: by way of node\\d on eth0`));
        assert.match(probed.out, new RegExp(`central/node1: announces it by way of .*${name} \\(${addresses[0]}\\)`));
      }
      return probed;
    });
    assert.doesNotMatch(out, /not tried|Nobody could try it/);
    const lost = await tool.run("simulate", "lose", "node1");
    assert.match(lost.out, new RegExp(`${v4}/32 +172\\.30\\.0\\.241:179 +4 +3`));
    assert.match(lost.out, /Note: central\/node2 announces by BGP for all nodes/);
    const other = tool.file("other.yaml", configuration().replace("bgp-advertisements: [{}]", "bgp-advertisements: [{med: 7}]"));
    assert.match((await tool.run("diff", other)).out, new RegExp(`${v4}/32 +172\\.30\\.0\\.241:179 +changed +4 nodes +- +med 7`));
  });

  test("a router without ADD-PATH has one next hop, the same from both, and the verdict says so", async () => {
    await waitFor("one next hop", async () => {
      assert.equal((await hops(narrow, v4)).length, 1);
      return true;
    });
    for (const central of centrals) await says(central, "addPathNotNegotiated", "peer", `${narrow.v4}:179`);
    const { lost, sent } = await (await stream(narrow, v4)).stop();
    assert.ok(lost.length <= maxLost, `${lost.length} of ${sent}`);
  });

  test("a router of each node's own has no session, and both say so", async () => {
    for (const central of centrals) await says(central, "routerOfNode", "peer", "gateway:179");
  });

  test("either central speaker is replaced, or dies, and no route changes while the other lives", async () => {
    const streams = await Promise.all([...routers, narrow].map(async (router) => [router, await stream(router, v4)] as const));
    const monitors = await Promise.all(
      [...routers, narrow].map(({ host }) => host.spawn(`monitor-${host.name}`, ["ip", "-4", "monitor", "route"])),
    );
    for (const [index, central] of centrals.entries()) {
      if (index === 0) await central.stop();
      else {
        central.process.kill("SIGKILL");
        await central.process.exited;
      }
      await central.start();
      await waitFor(`${central.name} to be ready`, () => central.ready());
      for (const router of routers) await hasPaths(router, nodes.length);
      await hasPaths(narrow, 1);
    }
    for (const [router, each] of streams) {
      const { lost, sent } = await each.stop();
      assert.ok(lost.length <= maxLost, `${router.host.name}: ${lost.length} of ${sent}`);
    }
    await leadTo(nodes);
    // A daemon may write it again, the same. On a machine that is too busy, the ring may have found a node dead that lives.
    const lost = lostNodes();
    const kept = nodes.filter(({ name }) => !lost.has(name)).map(({ addresses: [address] }) => address);
    for (const monitor of monitors) {
      const changes = [...new Set(routeChanges(monitor.lines, v4))];
      if (monitor.name.includes(narrow.host.name)) assert.ok(changes.length <= 1 + 2 * lost.size, changes.join());
      else
        for (const change of changes) {
          const hops = change.split(" ");
          assert.deepEqual(
            kept.filter((address) => !hops.includes(address)),
            [],
            `${monitor.name}: ${change}`,
          );
        }
    }
  });

  test("where both are gone for a moment, routers keep the paths (graceful restart)", async () => {
    const streams = await Promise.all(routers.map(async (router) => [router, await stream(router, v4)] as const));
    for (const central of centrals) {
      central.process.kill("SIGKILL");
      await central.process.exited;
    }
    await leadTo(nodes);
    for (const central of centrals) await central.start();
    for (const router of routers) await hasPaths(router, nodes.length);
    await leadTo(nodes);
    for (const [router, each] of streams) {
      const { lost, sent } = await each.stop();
      assert.ok(lost.length <= maxLost, `${router.host.name}: ${lost.length} of ${sent}`);
    }
  });

  test("two that do not see each other, and half of the nodes each, lead to all nodes together", async () => {
    const sides = [0, 1].map((side) => nodes.filter((_, index) => index % 2 === side));
    const mends: (() => Promise<void>)[] = [];
    for (const [index, side] of sides.entries()) {
      const others = sides[1 - index] ?? [];
      const from = others.flatMap(({ addresses: [v4, v6] }) => [`ip saddr ${v4}`, `ip6 saddr ${v6}`]);
      const drops = from.flatMap((each) => ["tcp", "udp"].map((kind) => `${each} ${kind} dport { 7946, 7947 } drop;`));
      const hosts = side.map(({ host }) => host);
      mends.push(await filter(hosts, "inet", [`chain in { type filter hook input priority 0; ${drops.join(" ")} }`]));
    }
    await waitFor("each to have paths to its half alone", async () => {
      for (const router of routers) {
        const paths = (await router.router.routes()).filter(({ prefix }) => prefix === `${v4}/32`);
        assert.equal(paths.length, nodes.length, JSON.stringify(paths));
      }
      return true;
    });
    await leadTo(nodes);
    for (const mend of mends) await mend();
    for (const router of routers) await hasPaths(router, nodes.length);
    await leadTo(nodes);
  });

  test("with weight: endpoints each path has its node's share", async () => {
    const annotations = { "metallb.universe.tf/address-pool": "weighted" };
    const weighted = await network.cluster.expose("weighted", ["node1", "node2", "node2", "node2"], {
      policy: "Local",
      annotations,
    });
    const address = await weighted.address();
    const [frr = assert.fail()] = routers;
    await waitFor("weights in the kernel", async () => {
      const found = ((await frr.router.kernelRoute(`${address}/32`))?.nextHops ?? []).map(({ address, weight }) => ({
        address,
        weight,
      }));
      assert.deepEqual(
        found.map(({ address }) => address),
        nodes.slice(0, 2).map(({ addresses: [v4] }) => v4),
      );
      return Math.abs((found[1]?.weight ?? 0) / (found[0]?.weight ?? 1) - 3) < 0.1;
    });
    await weighted.delete();
  });

  test("a node that dies goes, and comes back with its speaker", async () => {
    const [, , , last] = nodes as [DemoNode, DemoNode, DemoNode, DemoNode];
    last.speaker.process.kill("SIGKILL");
    await last.speaker.process.exited;
    await leadTo(nodes.filter((node) => node !== last));
    await last.speaker.start();
    await leadTo(nodes);
  });

  test("drained and excluded nodes have no traffic, and a Local Service has the nodes with an endpoint", async () => {
    const label = (name: string, labels: Readonly<Record<string, string | null>>) =>
      network.cluster.api.patch({ apiVersion: "v1", kind: "Node", metadata: { name } }, { metadata: { labels } });
    const [first, second] = nodes as [DemoNode, DemoNode];
    await label("node1", { "ingot.dev/drain": "" });
    await leadTo(nodes.filter((node) => node !== first));
    await label("node1", { "ingot.dev/drain": null });
    await leadTo(nodes);
    const taint = (taints: readonly object[]) =>
      network.cluster.api.patch({ apiVersion: "v1", kind: "Node", metadata: { name: "node2" } }, { spec: { taints } });
    await taint([{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }]);
    await leadTo(nodes.filter((node) => node !== second));
    await taint([]);
    await leadTo(nodes);
    const local = await network.cluster.expose("local", ["node2"], { policy: "Local" });
    const address = await local.address();
    for (const router of routers)
      await waitFor(`${router.host.name} to lead to node2 alone`, async () => {
        assert.deepEqual(await hops(router, address), [second.addresses[0]]);
        return true;
      });
  });

  test("an address of a family that no node has an InternalIP of is announced by nobody, and both say so", async () => {
    for (const { name, addresses } of nodes)
      await network.cluster.api.patch(
        { apiVersion: "v1", kind: "Node", metadata: { name } },
        { status: { addresses: [{ type: "InternalIP", address: addresses[0] }] } },
        "status",
      );
    for (const central of centrals) await says(central, "noNextHop", "address", v6);
    for (const router of routers)
      await waitFor(`${router.host.name} to have no route`, async () => {
        assert.deepEqual([(await hops(router, v4)).length, await hops(router, v6)], [nodes.length, []]);
        return true;
      });
  });
});
