import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { type Host, type Switch, waitFor } from "#e2e/lab";
import { type Route, type Router, type RouterConfiguration, type RouterKind, startRouter } from "#e2e/routers";
import type { Family } from "#pkg/net";
import { startCluster } from "./observe.ts";

export const nodeAsn = 65001;

/** A host on the cluster's LAN that passes packets on, and its addresses there. */
export interface Gateway {
  readonly host: Host;
  readonly number: number;
  readonly v4: string;
  readonly v6: string;
  /** Without the interface. */
  readonly linkLocal: string;
}

/** One with a routing daemon. */
export interface PlacedRouter extends Gateway {
  readonly router: Router;
}

/**
 * A demo cluster whose nodes have routers as neighbors: 172.30.0.241, .242, … and fd00:30::241, ::242, …. Behind each of them there
 * may be a host that reaches the nodes and their addresses through it alone.
 */
export class BgpNetwork implements AsyncDisposable {
  readonly cluster: DemoCluster;
  readonly #stack: AsyncDisposableStack;

  private constructor(cluster: DemoCluster, stack: AsyncDisposableStack) {
    this.cluster = cluster;
    this.#stack = stack;
  }

  /** Without peers: routers are to be there before the speakers look for them. */
  static async start(options: {
    readonly nodes: number;
    readonly families?: readonly Family[];
    readonly controllers?: number;
    readonly netAdmin?: boolean;
    readonly forwarding?: boolean;
    readonly speakerArguments?: readonly string[];
    readonly speakerNodeArguments?: readonly string[];
    readonly centralSpeakers?: number;
    readonly ring?: boolean;
    readonly logs?: string;
  }): Promise<BgpNetwork> {
    await using stack = new AsyncDisposableStack();
    const cluster = stack.use(await startCluster({ ...options, configuration: "address-pools: []" }));
    return new BgpNetwork(cluster, stack.move());
  }

  /** A router with this number and its daemon. */
  async router(
    kind: RouterKind,
    number: number,
    configuration: Pick<RouterConfiguration, "asn" | "neighbors" | "confederation" | "multipath" | "networks" | "text" | "whole">,
  ): Promise<PlacedRouter> {
    const { lab } = this.cluster;
    const gateway = await this.gateway(`${kind}${number}`, number);
    const { host, v4 } = gateway;
    const router = this.#stack.use(await startRouter(kind, { lab, host }, { ...configuration, routerId: v4 }));
    return { router, ...gateway };
  }

  /** A host with this number that forwards, with no routing daemon. */
  async gateway(name: string, number: number): Promise<Gateway> {
    const { lab, lan } = this.cluster;
    const host = await lab.host(name, { forwarding: true });
    const [v4, v6] = [`172.30.0.${240 + number}`, `fd00:30::${240 + number}`];
    await host.attach(lan, { addresses: [`${v4}/24`, `${v6}/64`], mac: `02:00:00:00:ff:0${number}` });
    // The path of a packet depends on its ports, too.
    await host.sysctl({ "net.ipv4.fib_multipath_hash_policy": 1, "net.ipv6.fib_multipath_hash_policy": 1 });
    return { host, number, v4, v6, linkLocal: `fe80::ff:fe00:ff0${number}` };
  }

  /** A host behind a router, 172.31.N.100 and fd00:31:N::100 for router N; the nodes know the way back. */
  async outside({ host: router, number, v4, v6 }: Gateway): Promise<Host> {
    const { lab, nodes } = this.cluster;
    const wan: Switch = await lab.switch(`wan${number}`);
    const [prefix4, prefix6] = [`172.31.${number}`, `fd00:31:${number}:`];
    await router.attach(wan, { addresses: [`${prefix4}.1/24`, `${prefix6}:1/64`] });
    const host = await lab.host(`outside${number}`);
    await host.attach(wan, { addresses: [`${prefix4}.100/24`, `${prefix6}:100/64`] });
    await host.route("default", `${prefix4}.1`);
    await host.route("default", `${prefix6}:1`);
    for (const node of nodes) {
      await node.host.route(`${prefix4}.0/24`, v4);
      await node.host.route(`${prefix6}:/64`, v6);
    }
    return host;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** The link-local address of a node's first interface. */
export async function linkLocalOf({ host }: DemoNode): Promise<string> {
  const shown = await host.output(["ip", "-json", "-6", "addr", "show", "dev", "eth0", "scope", "link"]);
  const links = JSON.parse(shown) as { addr_info?: { local: string; scope: string }[] }[];
  const local = links.flatMap(({ addr_info: all = [] }) => all).find(({ scope }) => scope === "link")?.local;
  if (local === undefined) throw new Error(`Cannot find the link-local address of ${host.name}: ${shown}`);
  return local;
}

/** Waits until the router's sessions are all up. */
export async function established({ router }: PlacedRouter): Promise<void> {
  const up = async (): Promise<boolean> => {
    const down = (await router.neighbors()).filter(({ state }) => state !== "established");
    if (down.length > 0) throw new Error(JSON.stringify(down));
    return true;
  };
  await waitFor(`${router.kind}'s sessions`, up, { every: 50 });
}

/** The router's routes for a prefix, by neighbor. */
export async function routesTo({ router }: PlacedRouter, prefix: string): Promise<ReadonlyMap<string, Route>> {
  const routes = await router.routes();
  return new Map(routes.filter((route) => route.prefix === prefix).map((route) => [route.from, route]));
}

/** Waits until the router has routes to a prefix from exactly these neighbors. */
export async function routesFrom(
  placed: PlacedRouter,
  prefix: string,
  from: readonly string[],
): Promise<ReadonlyMap<string, Route>> {
  const wanted = from.toSorted().join(" ");
  return waitFor(`${placed.router.kind} to have routes to ${prefix} from ${wanted || "nobody"}`, async () => {
    const routes = await routesTo(placed, prefix);
    const have = [...routes.keys()].sort().join(" ");
    if (have !== wanted) throw new Error(`it has them from ${have || "nobody"}`);
    return routes;
  });
}
