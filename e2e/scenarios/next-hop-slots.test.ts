// Scenario: what kernels and routing daemons do with flows when a node with next-hop slots dies.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { DemoNode } from "#e2e/demo-cluster";
import { type Host, type LabProcess, type WaitOptions, waitFor } from "#e2e/lab";
import { type KernelRoute, kernelRoute, type RouterKind, routerRefusal } from "#e2e/routers";
import { BgpNetwork, established, type Gateway, nodeAsn, type PlacedRouter } from "./bgp-network.ts";
import { says } from "./observe.ts";
import { routeChanges } from "./route-changes.ts";
import type { TcpFlows } from "./tcp-flows.ts";

const kinds = ["frr", "bird"] as const satisfies readonly RouterKind[];
const routerAsn = 65010;
const slots = Array.from({ length: 16 }, (_, index) => `172.30.0.${192 + index}`);
const slots6 = Array.from({ length: 16 }, (_, index) => `fd00:30::${(0xc0 + index).toString(16)}`);
const flows = 64;
const port = 81;
const podPort = 8081;
const program = new URL("./tcp-flows.ts", import.meta.url).pathname;
const total = (counts: readonly number[]) => counts.reduce((sum, one) => sum + one, 0);

/** Connections of one client to one address. */
interface Stream {
  readonly name: string;
  readonly address: string;
  readonly gateway: Gateway;
  readonly client: LabProcess;
}

interface WholeStream extends Stream {
  /** How many of its connections each node has. */
  readonly counts: readonly number[];
}

suite("next-hop slots: a node that dies takes its own connections and no others", { skip: await routerRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  let nodes: readonly DemoNode[];
  let v4: string;
  let v6: string;
  let routers: readonly PlacedRouter[] = [];
  let narrow: readonly PlacedRouter[] = []; // Without ADD-PATH.
  const gateways = new Map<string, Gateway>(); // name -> router
  const clients = new Map<string, Host>(); // name of its router -> client

  before(async () => {
    network = await BgpNetwork.start({ nodes: 4 });
    nodes = network.cluster.nodes;
    const neighbors = nodes.map(({ addresses: [address] }) => ({
      address,
      asn: nodeAsn,
      addPath: true,
      families: ["IPv4", "IPv6"] as const,
      bfd: { intervalMs: 500, multiplier: 3 },
    }));
    routers = await Promise.all(
      kinds.map((kind, index) => network.router(kind, index + 1, { asn: routerAsn, multipath: 64, neighbors })),
    );
    const narrowed = neighbors.map((neighbor) => ({ ...neighbor, addPath: false }));
    narrow = await Promise.all(
      kinds.map((kind, index) => network.router(kind, index + 4, { asn: routerAsn, multipath: 64, neighbors: narrowed })),
    );
    const still = await network.gateway("static", 3);
    for (const [prefix, hops] of [["198.51.100.0/24", slots] as const, ["2001:db8:1::/64", slots6] as const])
      await still.host.output(["ip", "route", "add", prefix, ...hops.flatMap((hop) => ["nexthop", "via", hop])]);
    for (const gateway of [...routers, still]) {
      gateways.set(gateway.host.name, gateway);
      clients.set(gateway.host.name, await network.outside(gateway));
    }
    const peers = [...routers, ...narrow].map(
      ({ v4 }) =>
        `- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${v4}, families: [ipv4, ipv6], add-path: true, bfd-profile: fast}\n`,
    );
    await network.cluster.configure(`bfd-profiles: [{name: fast, receive-interval: 500, transmit-interval: 500}]
peers:
${peers.join("")}address-pools:
- name: main
  protocol: bgp
  addresses: [198.51.100.0/24, "2001:db8:1::1-2001:db8:1::ff"]
  next-hop-slots: [172.30.0.192/28, "fd00:30::c0/124"]
`);
    for (const router of [...routers, ...narrow]) await established(router);
    const service = await network.cluster.expose("web", [], { families: ["IPv4", "IPv6"] });
    await service.serveFrom(
      await network.cluster.startBackends(
        "web",
        nodes.map(({ name }) => name),
      ),
    );
    [v4 = "", v6 = ""] = await waitFor("its addresses", async () => {
      const addresses = await service.addresses();
      return addresses.length === 2 && addresses;
    });
    await Promise.all(nodes.map((node, index) => serve(node, index + 1)));
  });
  after(() => network[Symbol.asyncDispose]());

  /** Has the node's kernel translate the destination as kube-proxy's rules do, to a Pod of the node itself. */
  async function serve({ host, name }: DemoNode, number: number): Promise<void> {
    for (const [family, to, pod] of [["ip", v4, `10.244.${number}.1`] as const, ["ip6", v6, `fd00:244:${number}::1`] as const])
      for (const line of [
        `add table ${family} proxy`,
        `add chain ${family} proxy pre { type nat hook prerouting priority dstnat; }`,
        `add rule ${family} proxy pre ${family} daddr ${to} tcp dport ${port} dnat to ${family === "ip" ? pod : `[${pod}]`}:${podPort}`,
      ])
        await host.output(["nft", line]);
    const pods = [`10.244.${number}.1`, `fd00:244:${number}::1`];
    await host.spawn(`echo-${name}`, [process.execPath, program, "serve", `${podPort}`, ...pods]);
  }

  /** The next hops of an address in the kernel of a router. */
  async function hops({ host, number }: Gateway, address: string): Promise<readonly string[]> {
    const [single, wide] = address.includes(":") ? [`${address}/128`, "2001:db8:1::/64"] : [`${address}/32`, "198.51.100.0/24"];
    const route: KernelRoute | undefined = await kernelRoute(host, number === 3 ? wide : single);
    return (route?.nextHops ?? []).map(({ address }) => address);
  }

  async function open(name: string, address: string): Promise<Stream> {
    const [gateway, host] = [gateways.get(name) ?? assert.fail(), clients.get(name) ?? assert.fail()];
    const client = await host.spawn(`flows-${name}-${address}`, [
      process.execPath,
      program,
      "long",
      address,
      `${port}`,
      `${flows}`,
    ]);
    await client.waitForLine(/^connected$/);
    return { name: `${name} ${address}`, address, gateway, client };
  }

  /**
   * With all connections. Where this machine stood still for longer than BFD waits, slots moved, and some connections broke as they were opened.
   * A node that was taken for gone then has no slots for five minutes.
   */
  async function openWhole(name: string, address: string): Promise<WholeStream> {
    for (let attempt = 1; ; attempt++) {
      const stream = await open(name, address);
      try {
        await reaches(stream, flows, { timeout: 20_000 });
        const counts = await perNode(stream);
        assert.equal(total(counts), flows, `${stream.name}: ${counts}`);
        return { ...stream, counts };
      } catch (error) {
        await stream.client.stop();
        if (attempt === 3) throw error;
      }
    }
  }

  /** All of them whole at the same time: slots that moved while a later one was opened broke connections of an earlier one. */
  async function openAllWhole(asked: readonly (readonly [name: string, address: string])[]): Promise<readonly WholeStream[]> {
    const streams: WholeStream[] = [];
    for (const [name, address] of asked) streams.push(await openWhole(name, address));
    for (let attempt = 1; ; attempt++) {
      const found = await Promise.all(streams.map(perNode));
      const moved = streams.flatMap(({ counts }, index) => (isDeepStrictEqual(counts, found[index]) ? [] : [index]));
      if (moved.length === 0) return streams;
      assert.ok(
        attempt < 3,
        `connections moved: ${streams.map(({ name, counts }, index) => `${name} ${counts} -> ${found[index]}`)}`,
      );
      for (const index of moved) {
        await streams[index]?.client.stop();
        streams[index] = await openWhole(...(asked[index] ?? assert.fail()));
      }
    }
  }

  /** How many of a client's connections each node has. A node may still have some of an earlier client, whose end reached another node. */
  async function perNode({ gateway: { number, host }, address }: Stream): Promise<readonly number[]> {
    const client = clients.get(host.name) ?? assert.fail();
    const of = (line: string, column: number) => line.trim().split(/\s+/)[column]?.replace(/.*:/, "") ?? "";
    const lines = async (at: Host, ...filter: string[]) => {
      const text = await at.output(["ss", "-Htn", "state", "established", ...filter]);
      return text.split("\n").filter((line) => line.trim() !== "");
    };
    const to = address.includes(":") ? `[${address}]` : address;
    const ports = new Set((await lines(client, "dport", "=", `:${port}`, "and", "dst", "=", to)).map((line) => of(line, 2)));
    const from = address.includes(":") ? `[fd00:31:${number}::100]` : `172.31.${number}.100`;
    return Promise.all(
      nodes.map(async (node) => {
        const found = await lines(node.host, "sport", "=", `:${podPort}`, "and", "dst", "=", from);
        return found.filter((line) => ports.has(of(line, 3))).length;
      }),
    );
  }

  async function reaches({ client }: Stream, answering: number, options?: WaitOptions): Promise<TcpFlows> {
    const soon = client.lines.length + 7; // Answers from then on are to questions asked since.
    const attempt = () => {
      const line = client.lines.length < soon ? undefined : client.lines.at(-1);
      if (line === undefined) return undefined;
      const now = JSON.parse(line) as TcpFlows;
      if (now.answering !== answering) throw new Error(line);
      return now;
    };
    return waitFor(`${answering} connections that answer`, attempt, options);
  }

  /** The next hops in the kernel of a router that takes one path of each node, but for those of nodes that are not among these. */
  async function hopsFrom(router: PlacedRouter, from: readonly DemoNode[]): Promise<readonly string[]> {
    const names = from.map(({ addresses: [address] }) => address);
    const routes = await router.router.routes();
    const of = routes.filter(({ prefix, from }) => prefix === `${v4}/32` && names.includes(from));
    return of.flatMap(({ nextHops }) => nextHops).sort();
  }

  test("a router that takes one path of each node has one to a slot of its own from each", async () => {
    for (const router of narrow)
      await waitFor(`${router.host.name} to have as many next hops as there are nodes`, async () => {
        const found = await hops(router, v4);
        assert.deepEqual([found.length, found.every((hop) => slots.includes(hop))], [nodes.length, true]);
        return true;
      });
    const { speaker } = nodes[0] ?? assert.fail();
    await says(speaker, "addPathNotNegotiated", "peer", `${narrow[0]?.v4}:179`);
  });

  test("a Service under policy Local is refused, with the reason", async () => {
    await network.cluster.expose("local", ["node1"], { policy: "Local" });
    await Promise.all(nodes.map(({ speaker }) => says(speaker, "localBySlots", "service", "default/local")));
  });

  test("by ADD-PATH to FRR and BIRD, and by static routes; IPv4 and IPv6", async () => {
    for (const gateway of gateways.values())
      for (const [address, all] of [[v4, slots] as const, [v6, slots6] as const])
        await waitFor(`${gateway.host.name} to have all slots as next hops of ${address}`, async () => {
          assert.deepEqual(await hops(gateway, address), all);
          return true;
        });
    const streams = await openAllWhole(
      [...gateways.keys()].flatMap((name) => [v4, v6].map((address) => [name, address] as const)),
    );
    const monitors = await Promise.all(
      [...gateways.values()].map(async ({ host }) => host.spawn(`monitor-${host.name}`, ["ip", "monitor", "route"])),
    );
    const isUsed = (index: number) => streams.every(({ counts: { [index]: its = 0 } }) => its >= 4 && its <= flows - 4);
    const died = nodes.findIndex((_, index) => isUsed(index));
    const dead = nodes[died] ?? assert.fail(`no node has connections of all: ${streams.map(({ counts }) => counts).join("; ")}`);
    const others = nodes.filter((node) => node !== dead);
    const ofOthers = await Promise.all(narrow.map((router) => hopsFrom(router, others)));
    // As where its power is cut. One that is only cut off would believe for a moment after its return that it has its slots still.
    await network.cluster.lan.isolate(dead.host);
    dead.speaker.process.kill("SIGKILL");
    await dead.speaker.process.exited;
    for (const stream of streams) {
      const ofDead = stream.counts[died] ?? 0;
      await reaches(stream, flows - ofDead);
    }
    for (const { router } of [...routers, ...narrow])
      await waitFor("the router to notice", async () => (await router.neighbors()).some(({ state }) => state !== "established"));
    for (const gateway of gateways.values())
      for (const [address, all] of [[v4, slots] as const, [v6, slots6] as const])
        assert.deepEqual(await hops(gateway, address), all, gateway.host.name);
    for (const [index, router] of narrow.entries()) assert.deepEqual(await hops(router, v4), ofOthers[index], router.host.name);
    // A daemon may write it again, the same. FRR takes an IPv6 route away and adds it again at once.
    for (const monitor of monitors)
      for (const [address, all] of [
        [v4, slots],
        [v6, slots6],
      ] as const) {
        const shown = routeChanges(monitor.lines, address);
        assert.deepEqual(
          shown.filter((hops) => hops !== all.join(" ") && !(hops === "Deleted" && address === v6)),
          [],
          monitor.name,
        );
      }
    await network.cluster.lan.rejoin(dead.host);
    await dead.speaker.start();
    for (const router of [...routers, ...narrow]) await established(router);
    for (const stream of streams) {
      const ofDead = stream.counts[died] ?? 0;
      await reaches(stream, flows - ofDead);
    }
  });
});
