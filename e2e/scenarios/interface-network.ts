import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import { kernelRoute, type RoutingDaemon, startBird, startFrr } from "#e2e/routers";
import { startCluster } from "./observe.ts";

export const address = "198.51.100.7";
export const v4 = `${address}/32`;
export const v6 = "2001:db8:5::7/128";
export const pool = (fields = "") => `address-pools:
- {name: routed, protocol: interface, addresses: [198.51.100.0/24, "2001:db8:5::/120"]${fields}}
`;

const page = readFileSync(new URL("../../docs/interface-pools.md", import.meta.url), "utf8");
export const routerAddress = "172.30.0.240";

function under(heading: string): string {
  const found = new RegExp(`### ${heading}\\n[^\`]*\`\`\`(?:frr|bird)\\n([^\`]*)\`\`\``).exec(page)?.[1];
  assert.ok(found, heading);
  return found;
}

/**
 * The configuration under a heading of docs/interface-pools.md, with the lab's addresses. `fromTable`: of BIRD, as the page has it for routes of
 * a table.
 */
export function configuration(heading: string, { addresses: [ip] }: DemoNode, fromTable = false): string {
  const protocols = under(heading)
    .replaceAll(/^(?:router id|protocol (?:device|direct)) .*\n/gm, "")
    .replaceAll("RTS_DEVICE", "RTS_INHERIT");
  const found = fromTable ? `${under("BIRD: carrier route")}${protocols}` : under(heading);
  const number = ip.split(".").at(-1) ?? "";
  // OSPF's own pace has a router wait 40 s for others before it begins.
  const fast = " ip ospf hello-interval 1\n ip ospf dead-interval 4\n ipv6 ospf6 hello-interval 1\n ipv6 ospf6 dead-interval 4\n";
  return found
    .replaceAll(/(interface eth0\n)(?= ip ospf)/g, `$1${fast}`)
    .replaceAll('area 0 { interface "eth0"; }', 'area 0 { interface "eth0" { hello 1; dead 4; }; }')
    .replaceAll("192.0.2.11", ip)
    .replaceAll("192.0.2.1", routerAddress)
    .replaceAll("0000.0001.00", `0000.${number.padStart(4, "0")}.00`);
}

export type FrrProgram = "ospfd" | "ospf6d" | "isisd" | "ripd" | "bgpd";
export type RouterKind = "ospf" | "isis" | "rip" | "babel" | "bgp";

/** Three nodes with routing daemons as the page configures them, a router that learns from them alone, and a client behind it. */
export class InterfaceNetwork implements AsyncDisposable {
  readonly cluster: DemoCluster;
  readonly router: Host;
  readonly client: Host;
  readonly #running: RoutingDaemon[] = [];

  private constructor(cluster: DemoCluster, router: Host, client: Host) {
    this.cluster = cluster;
    this.router = router;
    this.client = client;
  }

  static async start(): Promise<InterfaceNetwork> {
    const cluster = await startCluster({ nodes: 3, configuration: pool() });
    const { lab, lan, nodes } = cluster;
    const router = await lab.host("router", { forwarding: true });
    await router.attach(lan, { addresses: [`${routerAddress}/24`, "fd00:30::240/64"] });
    await router.sysctl({ "net.ipv4.fib_multipath_hash_policy": 1, "net.ipv6.fib_multipath_hash_policy": 1 });
    const wan = await lab.switch("wan");
    await router.attach(wan, { addresses: ["172.31.0.1/24", "fd00:31::1/64"] });
    const client = await lab.host("outside");
    await client.attach(wan, { addresses: ["172.31.0.100/24", "fd00:31::100/64"] });
    await client.route("default", "172.31.0.1");
    await client.route("default", "fd00:31::1");
    for (const { host } of nodes) {
      await host.route("172.31.0.0/24", routerAddress);
      await host.route("fd00:31::/64", "fd00:30::240");
    }
    return new InterfaceNetwork(cluster, router, client);
  }

  /** Starts a daemon on every node and the router's. FRR where programs are named, else BIRD. */
  async startDaemons(
    heading: string,
    kind: RouterKind,
    { programs, fromTable }: { programs?: readonly FrrProgram[] | undefined; fromTable?: boolean } = {},
  ): Promise<void> {
    const { lab, nodes } = this.cluster;
    for (const node of nodes) {
      const place = { lab, host: node.host };
      const text = configuration(heading, node, fromTable);
      this.#running.push(await (programs === undefined ? startBird(place, text) : startFrr(place, programs, text)));
    }
    await this.startRouter(kind);
  }

  async stopDaemons(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((each) => each[Symbol.asyncDispose]()));
  }

  /** The IPv4 addresses, or link-local ones, of the nodes that the router has as next hops of a prefix. */
  async nextHops(prefix: string): Promise<string[]> {
    const found = await kernelRoute(this.router, prefix);
    return (found?.nextHops ?? []).map(({ address: hop }) => hop).sort();
  }

  async spreadOver(prefix: string, count: number): Promise<void> {
    await waitFor(
      `the router to have ${prefix} by ${count} nodes`,
      async () => {
        const hops = await this.nextHops(prefix);
        if (hops.length !== count) throw new Error(`it has ${hops.join(" ") || "none"}`);
        return true;
      },
      { every: 100 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopDaemons();
    await this.cluster[Symbol.asyncDispose]();
  }

  /** The router alone, without daemons on the nodes. */
  async startRouter(kind: RouterKind): Promise<void> {
    this.#running.push(await this.#routerDaemon(kind));
  }

  async #routerDaemon(kind: RouterKind): Promise<RoutingDaemon> {
    const place = { lab: this.cluster.lab, host: this.router };
    if (kind === "isis") return startFrr(place, ["isisd"], isisRouter);
    const protocols = kind === "bgp" ? bgpRouter(this.cluster.nodes) : birdRouters[kind];
    return startBird(
      place,
      `router id ${routerAddress};
protocol device {}
protocol kernel { merge paths on; ipv4 { import none; export all; }; }
protocol kernel { merge paths on; ipv6 { import none; export all; }; }
${protocols}`,
    );
  }
}

const area = 'ecmp on; merge external on; area 0 { interface "eth0" { hello 1; dead 4; }; };';
const birdRouters: Readonly<Record<Exclude<RouterKind, "isis" | "bgp">, string>> = {
  ospf: `protocol ospf v2 { ipv4 { import all; export none; }; ${area} }
protocol ospf v3 { ipv6 { import all; export none; }; ${area} }`,
  rip: 'protocol rip { ipv4 { import all; export none; }; interface "eth0"; }',
  babel: 'protocol babel { ipv4 { import all; export none; }; ipv6 { import all; export none; }; interface "eth0"; }',
};
const isisRouter = `interface eth0
 ip router isis core
 ipv6 router isis core
exit
router isis core
 net 49.0001.0000.0000.0240.00
 is-type level-2-only
exit
`;

function bgpRouter(nodes: readonly DemoNode[]): string {
  return nodes
    .map(({ addresses: [ip] }) => `protocol bgp { local as 64513; neighbor ${ip} as 64512; ipv4 { import all; export none; }; }`)
    .join("\n");
}
