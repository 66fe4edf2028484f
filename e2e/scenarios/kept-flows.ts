import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { type LabProcess, waitFor } from "#e2e/lab";
import { answered, assigned, owner, startCluster } from "./observe.ts";

const configuration = `address-pools:
- name: kept
  protocol: layer2
  keep-connections: true
  addresses: [172.30.0.200-172.30.0.201, "fd00:30::200-fd00:30::201"]
- name: unkept
  protocol: layer2
  auto-assign: false
  addresses: [172.30.0.210-172.30.0.211]
`;
/** Leads to the Pods that echo, on each of the addresses. */
export const port = 81;
const podPort = 8081;
const program = new URL("./tcp-flows.ts", import.meta.url).pathname;
const podOf = (node: number, family: "ip" | "ip6") => (family === "ip" ? `10.244.${node}.1` : `fd00:244:${node}::1`);

/** A cluster of three nodes with addresses whose connections are kept, and one whose connections are not; all lead to Pods that echo. */
export class KeptFlows implements AsyncDisposable {
  readonly cluster: DemoCluster;
  readonly v4: string;
  readonly v6: string;
  readonly unkept: string;
  readonly #homes: ReadonlyMap<string, string>; // address -> the node that owns it while all are well

  private constructor(
    cluster: DemoCluster,
    homes: ReadonlyMap<string, string>,
    [v4 = "", v6 = ""]: readonly string[],
    [unkept = ""]: readonly string[],
  ) {
    this.cluster = cluster;
    this.#homes = homes;
    this.v4 = v4;
    this.v6 = v6;
    this.unkept = unkept;
  }

  static async start(): Promise<KeptFlows> {
    const cluster = await startCluster({ nodes: 3, configuration, forwarding: true, netAdmin: true, honourExcludeLabel: true });
    try {
      await cluster.expose("web", ["node1", "node2", "node3"], { families: ["IPv4", "IPv6"] });
      const kept = await assigned(cluster, "web");
      await cluster.expose("other", ["node1"], { spec: { loadBalancerIP: "172.30.0.210" } });
      const unkept = await assigned(cluster, "other");
      const all = [...kept, ...unkept];
      await serveFlows(cluster, all);
      await Promise.all(all.map((address) => answered(cluster, address, /./)));
      const homes = new Map<string, string>();
      for (const address of all) homes.set(address, (await owner(cluster, address)).name);
      return new KeptFlows(cluster, homes, kept, unkept);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Waits until the nodes that were away have their addresses again: connections that begin before that may begin at other nodes. */
  async atHome(): Promise<void> {
    for (const [address, home] of this.#homes)
      await waitFor(`${address} to be back`, async () => (await owner(this.cluster, address)).name === home);
  }

  /** A client with so many long connections, all of them open. */
  async open(address: string, count: number): Promise<LabProcess> {
    const client = await this.#client("long", address, count);
    await client.waitForLine(/^connected$/, { timeout: 120_000 });
    return client;
  }

  /** A client that opens so many connections a second, asks once over each, and closes it. */
  newOnes(address: string, perSecond: number): Promise<LabProcess> {
    return this.#client("new", address, perSecond);
  }

  /** Sets or, with null, takes away a label of a node. */
  async label({ name }: DemoNode, label: string, value: string | null): Promise<void> {
    await this.cluster.api.patch(
      { apiVersion: "v1", kind: "Node", metadata: { name } },
      { metadata: { labels: { [label]: value } } },
    );
  }

  #client(mode: "long" | "new", address: string, count: number): Promise<LabProcess> {
    return this.cluster.client.spawn(`${mode}-${address}`, [process.execPath, program, mode, address, `${port}`, `${count}`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** Has each node, of three, lead connections to a port of these addresses to Pods that echo, one on each node. */
export async function serveFlows(cluster: DemoCluster, addresses: readonly string[]): Promise<void> {
  await Promise.all(cluster.nodes.map((node) => translate(node, addresses)));
  for (const [index, { host }] of cluster.nodes.entries()) {
    const pods = [podOf(index + 1, "ip"), podOf(index + 1, "ip6")];
    await host.spawn(`echo-${host.name}`, [process.execPath, program, "serve", `${podPort}`, ...pods]);
  }
}

/** Has the node's kernel translate the destination as kube-proxy's rules do, each connection to another Pod. */
async function translate({ host }: DemoNode, addresses: readonly string[]): Promise<void> {
  for (const family of ["ip", "ip6"] as const) {
    const own = addresses.filter((address) => address.includes(":") === (family === "ip6"));
    const pods = [1, 2, 3].map((node) => `${podOf(node, family)} . ${podPort}`);
    const rules = own.map((to) => {
      const map = `numgen inc mod 3 map { ${pods.map((pod, index) => `${index} : ${pod}`).join(", ")} }`;
      return `add rule ${family} proxy pre ${family} daddr ${to} tcp dport ${port} dnat to ${map}`;
    });
    const script = [
      `add table ${family} proxy`,
      `add chain ${family} proxy pre { type nat hook prerouting priority dstnat; }`,
      `add chain ${family} proxy post { type nat hook postrouting priority srcnat; }`,
      ...rules,
      `add rule ${family} proxy post ct status dnat masquerade`,
    ];
    for (const line of script) await host.output(["nft", line]);
  }
}
