/** One address whose owner fails in several ways; see `failover.bench.ts`. */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DemoCluster, type DemoNode, demoConfiguration, learned } from "#e2e/demo-cluster";
import { type LabProcess, waitFor } from "#e2e/lab";
import { urlHost } from "#pkg/net";
import { monotonicNow } from "./arp-asker.ts";
import type { Line } from "./failover-client.ts";
import { allKnowAll, allPathsUp, end, linesOf, printRow, spread } from "./failover-common.ts";

export interface Kind {
  readonly name: string;
  /** What MetalLB v0.12.1 needs on the reference machine until the client has the new MAC address, in seconds. */
  readonly metallb: string;
  /** A process that is to end has ended when this resolves. */
  readonly fail: (cluster: DemoCluster, node: DemoNode) => Promise<unknown> | unknown;
  readonly mend: (cluster: DemoCluster, node: DemoNode) => Promise<unknown> | unknown;
}

export const kinds: readonly Kind[] = [
  {
    name: "cut silently",
    metallb: "5.2–5.8",
    fail: ({ lan }, { host }) => lan.isolate(host),
    mend: ({ lan }, { host }) => lan.rejoin(host),
  },
  {
    name: "cable pulled",
    metallb: "5.2–5.8",
    fail: ({ lan }, { host }) => lan.unplug(host),
    mend: ({ lan }, { host }) => lan.plug(host),
  },
  {
    name: "speaker killed",
    metallb: "3.2–6.6",
    fail: (_, node) => end(node, "SIGKILL"),
    mend: (_, { speaker }) => speaker.start(),
  },
  {
    name: "speaker frozen",
    metallb: "",
    fail: (_, { speaker }) => speaker.process.kill("SIGSTOP"),
    mend: (_, { speaker }) => speaker.process.kill("SIGCONT"),
  },
  {
    name: "speaker stopped",
    metallb: "0.06–0.21",
    fail: (_, node) => end(node, "SIGTERM"),
    mend: (_, { speaker }) => speaker.start(),
  },
];

/** The one that answers for an address: the speaker, or the kernel of the node that has it on its NIC. */
export const ways = {
  "layer 2": demoConfiguration,
  "on a NIC": `address-pools:
- name: nics
  protocol: interface
  placement: lan
  addresses: [172.30.0.200-172.30.0.250, "fd00:30::200-fd00:30::2ff"]
`,
} as const satisfies Readonly<Record<string, string>>;
export type Way = keyof typeof ways;

const tailMs = 300; // For which the stream is watched after both addresses have moved, and the process has ended.
const settleMs = 500; // A member that had to refute is slow to accuse others for a while.

interface Run {
  /** Until the client's neighbor entry is the successor's. */
  readonly ipv4: number;
  readonly ipv6: number;
  /** Packets of the stream, and requests of ARP, until the owner may return. */
  readonly lost: number;
  readonly unanswered: number;
  /** From the mend until both entries are the owner's again, and packets lost since then. */
  readonly back: number;
  readonly lostBack: number;
}

/** A cluster with a Service of both families, whose backend is not on the node that owns its addresses. */
class Bench implements AsyncDisposable {
  readonly #cluster: DemoCluster;
  readonly #owner: DemoNode;
  readonly #mac: string;
  readonly #addresses: readonly string[];
  readonly #hasPaths: boolean;

  private constructor(cluster: DemoCluster, owner: DemoNode, mac: string, addresses: readonly string[], hasPaths: boolean) {
    this.#hasPaths = hasPaths;
    this.#cluster = cluster;
    this.#owner = owner;
    this.#mac = mac;
    this.#addresses = addresses;
  }

  static async start({ nodes, way, interval }: Setting): Promise<Bench> {
    await using stack = new AsyncDisposableStack();
    const configuration = `${ways[way]}${interval === "" ? "" : `failover: {interval: ${interval}}\n`}`;
    const cluster = stack.use(await DemoCluster.start({ nodes, configuration }));
    const service = await cluster.expose("web", ["node1"], { protocols: ["TCP", "UDP"], families: ["IPv4", "IPv6"] });
    await service.address();
    const addresses = await service.addresses();
    await allKnowAll(cluster);
    const [owner] = await Promise.all(addresses.map((address) => reached(cluster, address)));
    if (owner === undefined) throw new Error("Cannot measure: the Service has no address");
    if (owner.node.name === "node1") await service.serveFrom(await cluster.startBackends("other", ["node2"]));
    stack.move();
    return new Bench(cluster, owner.node, owner.mac, addresses, interval !== "");
  }

  async run({ fail, mend }: Kind): Promise<Run> {
    const [cluster, owner] = [this.#cluster, this.#owner];
    const client = await this.#client();
    if (this.#hasPaths) await allPathsUp(cluster);
    await sleep(Math.random() * 100); // At any moment of the ring's probes.
    const failedAt = monotonicNow();
    await fail(cluster, owner);
    const moved = await this.#moves(client, (mac) => mac !== this.#mac);
    await sleep(tailMs);
    const mendedAt = monotonicNow();
    await mend(cluster, owner);
    await allKnowAll(cluster);
    const back = await this.#moves(client, (mac) => mac === this.#mac);
    await sleep(settleMs);
    await client.stop();
    const [summary] = linesOf<Line, "summary">(client, "summary");
    if (summary === undefined) throw new Error("Cannot count what was lost: the client ended without a word");
    const [stream = []] = this.#addresses.map((address) => summary.lost[address] ?? []);
    const lost = stream.filter((at) => at > failedAt && at < mendedAt);
    const start = lost[0] ?? failedAt;
    const [ipv4 = Number.NaN, ipv6 = Number.NaN] = moved.map((at) => at - start);
    return {
      ipv4,
      ipv6,
      lost: lost.length,
      back: Math.max(...back) - mendedAt,
      unanswered: summary.unanswered.filter((at) => at > failedAt && at < mendedAt).length,
      lostBack: stream.filter((at) => at >= mendedAt).length,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }

  async #client(): Promise<LabProcess> {
    const script = fileURLToPath(new URL("./failover-client.ts", import.meta.url));
    const flags = this.#addresses.flatMap((address) => ["--address", address]);
    const client = await this.#cluster.client.spawn("failover-client", ["node", script, "--port", "80", ...flags]);
    await client.waitForLine(/"streaming"/);
    await this.#moves(client, (mac) => mac === this.#mac);
    return client;
  }

  /** When the client's kernel learned the MAC address that it has for each address now, once that is one `wanted`. */
  async #moves(client: LabProcess, wanted: (mac: string) => boolean): Promise<readonly number[]> {
    const moves = this.#addresses.map((address) =>
      waitFor(
        `the client to learn where ${address} is`,
        () => {
          const now = linesOf<Line, "neighbor">(client, "neighbor").findLast((line) => line.address === address);
          return now !== undefined && wanted(now.mac) && now.at;
        },
        { timeout: 120_000 },
      ),
    );
    return Promise.all(moves);
  }
}

/** Waits until the client has learned which node an address is at. */
async function reached(cluster: DemoCluster, address: string): Promise<{ node: DemoNode; mac: string }> {
  return waitFor(`${address} to answer`, async () => {
    await cluster.client.get(`http://${urlHost(address)}/`, { timeout: 500 });
    return learned(cluster, address);
  });
}

const columns = [
  { column: "ipv4", title: "IPv4 moved" },
  { column: "ipv6", title: "IPv6 moved" },
  { column: "lost", title: "packets lost" },
  { column: "unanswered", title: "ARP unanswered" },
  { column: "back", title: "back" },
  { column: "lostBack", title: "lost going back" },
] as const;

export interface Setting {
  readonly nodes: number;
  readonly way: Way;
  /** Between two packets of BFD between speakers; empty: without. */
  readonly interval: string;
}

/** Prints a row for each kind. MetalLB answers on layer 2 alone. */
export async function failovers(setting: Setting, runs: number, chosen: readonly Kind[]): Promise<void> {
  await using bench = await Bench.start(setting);
  const { nodes, way } = setting;
  printRow([`${nodes}, ${way}`, ...columns.map(({ title }) => title), "MetalLB 0.12.1 moved"]);
  for (const kind of chosen) {
    const measured: Run[] = [];
    for (let run = 0; run < runs; run++) measured.push(await bench.run(kind));
    printRow([kind.name, ...columns.map(({ column }) => spread(measured.map((run) => run[column]))), kind.metallb]);
  }
}
