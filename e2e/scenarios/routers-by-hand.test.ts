// Scenario: what four routing daemons make of the configurations in docs/routers.md.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import type { DemoService, Workload } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import { type Router, type RouterKind, routerRefusal, startBird, startRouter } from "#e2e/routers";
import { urlHost } from "#pkg/net";
import { BgpNetwork, type PlacedRouter } from "./bgp-network.ts";
import { says } from "./observe.ts";

/** A section of a page in docs. */
function section(name: string, heading: string): string {
  const page = readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
  const [text] = new RegExp(`^## ${heading}\n[\\s\\S]*?(?=^## )`, "m").exec(page) ?? [];
  return text ?? assert.fail(`docs/${name} has no section ${heading}`);
}

/** The text of the block of this language in a section. */
function block(language: string, of = byHand): string {
  const [, text] = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "m").exec(of) ?? [];
  return text ?? assert.fail(`the section has no block ${language}`);
}

const byHand = section("routers.md", "By hand");
const unnumbered = section("bgp.md", "Unnumbered");
/** Of daemons that need another program for unnumbered peers. */
const others = byHand.slice(byHand.indexOf("### Unnumbered"));

const kinds: readonly RouterKind[] = ["frr", "bird", "gobgp", "openbgpd"];
/** Daemons that give routes to the kernel. */
const forwarding: readonly RouterKind[] = ["frr", "bird"];
const routerAsn = 65010;
const prefixes = ["198.51.100.1/32", "2001:db8:1::/128"] as const;
const skip = await routerRefusal(...kinds);

const names: Readonly<Record<RouterKind, string>> = { frr: "FRR", bird: "BIRD", gobgp: "GoBGP", openbgpd: "OpenBGPD" };

/** The page's table of what each daemon can do: name -> capability -> whether. */
const said = new Map(
  [...byHand.matchAll(/^\| (FRR|BIRD|GoBGP|OpenBGPD) [\d.]+ \| (yes|no)[^|]* \| (yes|no)[^|]* \| (yes|no)[^|]* \|/gm)].map(
    ([, name = "", role, longLived, addPath]) => [
      name,
      { role: role === "yes", LLGR: longLived === "yes", "ADD-PATH": addPath === "yes" },
    ],
  ),
);

/** Capabilities that a session agreed to. */
interface Agreed {
  readonly peerRole?: string;
  readonly longLivedGracefulRestart?: boolean;
  readonly addPath?: readonly string[];
}

/** Four routers on the nodes' LAN, each with the page's configuration; and a host behind each that forwards. */
class Scene implements AsyncDisposable {
  readonly network: BgpNetwork;
  readonly routers: readonly PlacedRouter[];
  readonly #clients: ReadonlyMap<PlacedRouter, Host>;
  readonly #service: DemoService;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    network: BgpNetwork,
    placed: readonly PlacedRouter[],
    clients: ReadonlyMap<PlacedRouter, Host>,
    service: DemoService,
    stack: AsyncDisposableStack,
  ) {
    this.network = network;
    this.routers = placed;
    this.#clients = clients;
    this.#service = service;
    this.#stack = stack;
  }

  static async start(centralSpeakers: number): Promise<Scene> {
    await using stack = new AsyncDisposableStack();
    const network = stack.use(await BgpNetwork.start({ nodes: 2, centralSpeakers }));
    const placed: PlacedRouter[] = [];
    const clients = new Map<PlacedRouter, Host>();
    for (const [index, kind] of kinds.entries()) {
      const router = await network.router(kind, index + 1, { asn: routerAsn, neighbors: [], whole: block(kind) });
      placed.push(router);
      if (forwarding.includes(kind)) clients.set(router, await network.outside(router));
    }
    const service = await network.cluster.expose("web", ["node1", "node2"], { families: ["IPv4", "IPv6"] });
    return new Scene(network, placed, clients, service, stack.move());
  }

  /** @param peers in place of the page's one */
  configure(peers?: readonly string[]): Promise<void> {
    const yaml = block("yaml").replace("protocol: bgp\n", "protocol: bgp\n  avoid-buggy-ips: true\n");
    const given = peers?.map((peer) => `- ${peer}\n`).join("");
    return this.network.cluster.configure(given === undefined ? yaml : yaml.replace(/^- name: tor\n(?: {2}.*\n)+/m, given));
  }

  /** Waits until a router has so many paths to each address, by way of both nodes; or none. */
  async hasPaths({ router }: PlacedRouter, count: number): Promise<void> {
    for (const [family, prefix] of prefixes.entries())
      await waitFor(
        `${router.kind} to have ${count} paths to ${prefix}`,
        async () => {
          const paths = (await router.routes()).filter((route) => route.prefix === prefix);
          const hops = new Set(paths.flatMap(({ nextHops }) => nextHops).filter((hop) => !hop.startsWith("fe80:")));
          const nodes = this.network.cluster.nodes.map(({ addresses }) => `${addresses[family]}`);
          assert.equal(paths.length, count, JSON.stringify(paths));
          assert.deepEqual([...hops].sort(), count === 0 ? [] : nodes.sort());
          return true;
        },
        { timeout: 90_000 },
      );
  }

  /** Waits until clients behind routers that forward have answers from the Service, of both families. */
  async hasTraffic(): Promise<void> {
    const addresses = await this.#service.addresses();
    assert.equal(addresses.length, 2);
    for (const client of this.#clients.values())
      for (const address of addresses)
        await waitFor(`${client.name} to reach ${address}`, async () => {
          const { body } = await client.get(`http://${urlHost(address)}:80/`, { timeout: 2_000 });
          return body.length > 0;
        });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** What a speaker and a router have agreed to, as the speaker sees it. */
async function sessionWith(speaker: Workload, { v4 }: PlacedRouter): Promise<Agreed> {
  const peers = JSON.parse((await speaker.get("/v1/bgp/peers")).body) as readonly { peer: string; session?: Agreed }[];
  return peers.find(({ peer }) => peer === `${v4}:179`)?.session ?? assert.fail(`no session with ${v4}`);
}

const common = "my-asn: 65001, families: [ipv4, ipv6], add-path: true, role: customer, long-lived-stale-time: 4h";
const addressed = ({ v4 }: PlacedRouter) => `{peer-asn: ${routerAsn}, peer-address: ${v4}, ${common}}`;

suite("routers with the page's configuration, and sessions of each node", { skip }, () => {
  let scene: Scene;

  before(async () => {
    scene = await Scene.start(0);
    // Each router is a next hop of the nodes' default route.
    const hops = scene.routers.flatMap(({ v4 }) => ["nexthop", "via", v4]);
    for (const { host } of scene.network.cluster.nodes) await host.run(["ip", "-4", "route", "replace", "default", ...hops]);
  });
  after(() => scene?.[Symbol.asyncDispose]());

  async function haveRoutes(): Promise<void> {
    for (const router of scene.routers) await scene.hasPaths(router, 2);
  }

  test("gateways, as the page has them: all routers have both routes, and those that forward have traffic", async () => {
    await scene.configure();
    await haveRoutes();
    await scene.hasTraffic();
  });

  test("what each router agrees to is what the page says", async () => {
    const [speaker] = scene.network.cluster.nodes.map((node) => node.speaker);
    for (const router of scene.routers) {
      const { peerRole, longLivedGracefulRestart, addPath } = await sessionWith(speaker ?? assert.fail(), router);
      const found = { role: peerRole === "provider", LLGR: longLivedGracefulRestart === true, "ADD-PATH": addPath?.length === 2 };
      const { kind } = router.router;
      assert.deepEqual(found, said.get(names[kind]), kind);
    }
  });

  test("peers with values from the node", async () => {
    await scene.configure([]);
    for (const router of scene.routers) await scene.hasPaths(router, 0);
    const { api, nodes } = scene.network.cluster;
    for (const { name } of nodes) {
      const annotations = Object.fromEntries(scene.routers.map(({ v4, router }) => [`example.com/${router.kind}`, v4]));
      await api.patch({ apiVersion: "v1", kind: "Node", metadata: { name } }, { metadata: { annotations } });
    }
    const told = ({ router }: PlacedRouter) =>
      `{name: ${router.kind}, peer-asn: ${routerAsn}, from-node: {peer-address: {annotation: example.com/${router.kind}}}, ${common}}`;
    await scene.configure(scene.routers.map(told));
    await haveRoutes();
    await scene.hasTraffic();
  });
});

suite("routers with the page's configuration, whose speakers stay away", { skip }, () => {
  let scene: Scene;

  before(async () => {
    scene = await Scene.start(0);
    await scene.configure(scene.routers.map((router) => addressed(router).replace("}", ", graceful-restart-time: 1s}")));
    for (const router of scene.routers) await scene.hasPaths(router, 2);
  });
  after(() => scene?.[Symbol.asyncDispose]());

  test("FRR and BIRD keep the routes as the last resort, and traffic goes on", async () => {
    const { nodes } = scene.network.cluster;
    for (const { speaker } of nodes) speaker.process.kill("SIGKILL");
    for (const { speaker } of nodes) await speaker.process.exited;
    const bird = scene.routers.find(({ router }) => router.kind === "bird") ?? assert.fail();
    await waitFor("BIRD's routes to be LLGR_STALE", async () => {
      const routes = await bird.router.routes();
      assert.equal(routes.length, 4);
      return routes.every(({ communities }) => communities.includes("65535:6"));
    });
    await scene.hasTraffic();
    for (const { speaker } of nodes) await speaker.start();
    for (const router of scene.routers) await scene.hasPaths(router, 2);
    await waitFor("fresh routes", async () => (await bird.router.routes()).every(({ communities }) => communities.length === 0));
  });
});

suite("routers with the page's configuration, and central speakers", { skip }, () => {
  let scene: Scene;

  before(async () => {
    scene = await Scene.start(2);
    await scene.configure(scene.routers.map(addressed));
  });
  after(() => scene?.[Symbol.asyncDispose]());

  test("all routers have a path to each node from each central speaker, and those that forward have traffic", async () => {
    for (const router of scene.routers) await scene.hasPaths(router, 4);
    await scene.hasTraffic();
  });
});

suite("routers with the page's configuration for an unnumbered peer", { skip }, () => {
  let network: BgpNetwork;
  const stack = new AsyncDisposableStack();
  const placed = new Map<RouterKind, Router>();
  const texts: Readonly<Record<RouterKind, string>> = {
    frr: block("frr", unnumbered),
    bird: block("bird", unnumbered),
    gobgp: block("gobgp", others),
    openbgpd: block("openbgpd", others),
  };

  before(async () => {
    network = stack.use(await BgpNetwork.start({ nodes: 1 }));
    const { lab, nodes } = network.cluster;
    const [node = assert.fail()] = nodes;
    const hosts = new Map<RouterKind, Host>();
    for (const [index, kind] of kinds.entries()) {
      // A cable with two ends: on a switch the kernel would know other neighbors.
      const host = await lab.host(kind, { forwarding: true });
      await host.ip(`link add eth0 type veth peer name eth${index + 1} netns ${node.host.name}`, "link set eth0 up");
      await node.host.ip(`link set eth${index + 1} up`);
      hosts.set(kind, host);
    }
    const interfaces = kinds.map((_, index) => `eth${index + 1}`).join(", ");
    const yaml = block("yaml", unnumbered).replace("[eth0, eth1]", `[${interfaces}]`);
    const addresses = "- 198.51.100.1-198.51.100.255\n  - 2001:db8:1::1-2001:db8:1::ff";
    await network.cluster.configure(yaml.replace("- 198.51.100.0/24", addresses));
    await network.cluster.expose("web", ["node1"], { families: ["IPv4", "IPv6"] });
    for (const [kind, host] of hosts) {
      const place = { lab, host };
      if (!forwarding.includes(kind)) stack.use(await startBird(place, block("bird", others)));
      const start = () =>
        startRouter(kind, place, { asn: routerAsn, routerId: "172.30.0.240", neighbors: [], whole: texts[kind] });
      // GoBGP ends where the kernel does not know the node yet.
      placed.set(kind, stack.use(await waitFor(`${kind} to start`, start)));
    }
  });
  after(() => stack.disposeAsync());

  for (const kind of kinds)
    test(`${kind} has the routes that it can carry`, async () => {
      const router = placed.get(kind) ?? assert.fail();
      const wanted = kind === "openbgpd" ? ["2001:db8:1::1/128"] : ["198.51.100.1/32", "2001:db8:1::1/128"];
      await waitFor(
        `${kind} to have ${wanted.join(" and ")}`,
        async () => {
          const routes = await router.routes();
          assert.deepEqual(routes.map(({ prefix }) => prefix).sort(), wanted);
          assert.ok(
            routes.every(({ nextHops }) => nextHops.some((hop) => hop.startsWith("fe80:"))),
            JSON.stringify(routes),
          );
          return true;
        },
        { timeout: 90_000 },
      );
    });

  test("the speaker says that OpenBGPD takes no IPv4", async () => {
    const [node = assert.fail()] = network.cluster.nodes;
    await says(node.speaker, "familyNotNegotiated", "peer", "eth4:179");
  });
});

suite("FRR and BIRD with the configurations of docs/central-speakers.md and docs/bgp.md", { skip }, () => {
  const pages = [section("central-speakers.md", "What routers get"), section("bgp.md", "The router's side")];
  const stack = new AsyncDisposableStack();
  const paths = new Map<PlacedRouter, number>(); // router -> how many it is to have: BIRD takes several from a speaker where it is told to

  before(async () => {
    const network = stack.use(await BgpNetwork.start({ nodes: 2, centralSpeakers: 2 }));
    for (const [index, page] of pages.entries())
      for (const [nth, kind] of forwarding.entries()) {
        const number = 2 * index + nth + 1;
        const text = block(kind, page)
          .replace(/\b10\.0\.[01]\.0\/24\b/g, "172.30.0.0/24")
          .replace(/\b10\.0\.[01]\.1\b/g, `172.30.0.${240 + number}`);
        const router = await network.router(kind, number, { asn: 64513, neighbors: [], whole: text });
        paths.set(router, kind === "frr" || text.includes("add paths rx") ? 4 : 2);
      }
    const peers = [...paths.keys()].map(({ v4 }) => `- {my-asn: 64512, peer-asn: 64513, peer-address: ${v4}, add-path: true}\n`);
    await network.cluster.configure(`peers:
${peers.join("")}address-pools:
- {name: main, protocol: bgp, addresses: [198.51.100.1-198.51.100.9]}
`);
    await network.cluster.expose("web", ["node1", "node2"]);
  });
  after(() => stack.disposeAsync());

  test("all have routes from both central speakers, and the kernel's route leads to the nodes", async () => {
    assert.deepEqual([...paths.values()], [4, 4, 4, 2]);
    for (const [{ router, host }, count] of paths)
      await waitFor(`${host.name} to have ${count} paths`, async () => {
        assert.equal((await router.routes()).filter(({ prefix }) => prefix === prefixes[0]).length, count);
        const hops = (await router.kernelRoute(prefixes[0]))?.nextHops ?? [];
        assert.equal(new Set(hops.map(({ address }) => address)).size, count / 2);
        return true;
      });
  });
});
