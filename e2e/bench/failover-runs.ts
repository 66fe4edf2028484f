/** A Service's two addresses whose owner fails in several ways; see `failover.bench.ts`. */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DemoCluster, type DemoNode, demoConfiguration, learned } from "#e2e/demo-cluster";
import { type Host, type LabProcess, type Switch, waitFor } from "#e2e/lab";
import { urlHost } from "#pkg/net";
import { monotonicNow } from "./arp-asker.ts";
import type { Line } from "./failover-client.ts";
import { allKnowAll, allPathsUp, end, linesOf, printRow, spread, takenForGone } from "./failover-common.ts";

/** The cluster that fails, or a program beside which it is measured. */
export interface Subject extends AsyncDisposable {
  readonly lan: Switch;
  readonly client: Host;
  /** Of both addresses. */
  readonly owner: Owner;
  readonly mac: string;
  /** IPv4, then IPv6. */
  readonly addresses: readonly string[];
  /** Resolves when a failure can be measured... */
  isReady(): Promise<unknown>;
  /** ...and when the owner counts again. */
  isMended(): Promise<unknown>;
  /** A reason why one of these may never be so. */
  excuse?(): Promise<string>;
}

type Owner = Pick<DemoNode, "host"> & Partial<Pick<DemoNode, "speaker">>;

export interface Kind {
  readonly name: string;
  readonly isOfSpeaker?: true;
  /** What MetalLB v0.12.1 needs on the reference machine until the client has the new MAC address, in seconds. */
  readonly metallb: string;
  /** A process that is to end has ended when this resolves. */
  readonly fail: (subject: Subject) => Promise<unknown> | unknown;
  readonly mend: (subject: Subject) => Promise<unknown> | unknown;
}

function speakerOf({ owner: { speaker } }: Subject): DemoNode["speaker"] {
  if (speaker === undefined) throw new Error("Cannot fail a speaker: there is none");
  return speaker;
}

export const kinds: readonly Kind[] = [
  {
    name: "cut silently",
    metallb: "5.2–5.8",
    fail: ({ lan, owner }) => lan.isolate(owner.host),
    mend: ({ lan, owner }) => lan.rejoin(owner.host),
  },
  {
    name: "cable pulled",
    metallb: "5.2–5.8",
    fail: ({ lan, owner }) => lan.unplug(owner.host),
    mend: ({ lan, owner }) => lan.plug(owner.host),
  },
  {
    name: "speaker killed",
    isOfSpeaker: true,
    metallb: "3.2–6.6",
    fail: (subject) => end(speakerOf(subject), "SIGKILL"),
    mend: (subject) => speakerOf(subject).start(),
  },
  {
    name: "speaker frozen",
    isOfSpeaker: true,
    metallb: "",
    fail: (subject) => speakerOf(subject).process.kill("SIGSTOP"),
    mend: (subject) => speakerOf(subject).process.kill("SIGCONT"),
  },
  {
    name: "speaker stopped",
    isOfSpeaker: true,
    metallb: "0.06–0.21",
    fail: (subject) => end(speakerOf(subject), "SIGTERM"),
    mend: (subject) => speakerOf(subject).start(),
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

// For which the stream is watched after both addresses have moved. To the ring, a node that is back within 350 ms of its death was never
// dead: it distrusts BFD to that node for a minute, and for twice as long each further time.
const tailMs = 600;
const settleMs = 500; // A member that had to refute is slow to accuse others for a while.

interface Run {
  /** Until the client's neighbor entry is the successor's. */
  readonly ipv4: number;
  readonly ipv6: number;
  /** From the first to the last packet of the stream that was lost: what the client sees, however late it is told of its kernel's entry. */
  readonly outage: number;
  /** Packets of the stream, and requests of ARP, until the owner may return. */
  readonly lost: number;
  readonly unanswered: number;
  /** The longest that the machine held the client up meanwhile: no other figure says anything about that time. */
  readonly stalled: number;
  /** From the mend until both entries are the owner's again, and packets lost since then. */
  readonly back: number;
  readonly lostBack: number;
}

/** A cluster with a Service of both families, whose backend is not on the node that owns its addresses. */
export async function clusterSubject({ nodes, way, interval }: Setting): Promise<Subject> {
  await using stack = new AsyncDisposableStack();
  const configuration = `${ways[way]}${interval === "" ? "" : `failover: {interval: ${interval}}\n`}`;
  const cluster = stack.use(await DemoCluster.start({ nodes, configuration }));
  const service = await cluster.expose("web", ["node1"], { protocols: ["TCP", "UDP"], families: ["IPv4", "IPv6"] });
  await service.address();
  const addresses = await service.addresses();
  await allKnowAll(cluster);
  const [at] = await Promise.all(addresses.map((address) => reached(cluster, address)));
  if (at === undefined) throw new Error("Cannot measure: the Service has no address");
  if (at.node.name === "node1") await service.serveFrom(await cluster.startBackends("other", ["node2"]));
  return Object.assign(stack.move(), {
    lan: cluster.lan,
    client: cluster.client,
    owner: at.node,
    mac: at.mac,
    addresses,
    isReady: async () => interval === "" || allPathsUp(cluster),
    isMended: () => allKnowAll(cluster),
    excuse: async () =>
      `BFD took nodes that lived for gone ${await takenForGone(cluster)} times; where it did, this machine does not carry so many`,
  });
}

async function run(subject: Subject, { fail, mend }: Kind): Promise<Run> {
  const client = await startClient(subject);
  const isOwner = (mac: string) => mac === subject.mac;
  await moves(subject, client, isOwner);
  await subject.isReady();
  await sleep(Math.random() * 100); // At any moment of the ring's probes.
  const failedAt = monotonicNow();
  await fail(subject);
  const moved = await moves(subject, client, (mac) => !isOwner(mac));
  await sleep(tailMs);
  const mendedAt = monotonicNow();
  await mend(subject);
  await subject.isMended();
  const back = await moves(subject, client, isOwner);
  await sleep(settleMs);
  await client.stop();
  const [summary] = linesOf<Line, "summary">(client, "summary");
  if (summary === undefined) throw new Error("Cannot count what was lost: the client ended without a word");
  const [stream = []] = subject.addresses.map((address) => summary.lost[address] ?? []);
  const lost = stream.filter((at) => at > failedAt && at < mendedAt);
  const start = lost[0] ?? failedAt;
  const [ipv4 = Number.NaN, ipv6 = Number.NaN] = moved.map((at) => at - start);
  return {
    ipv4,
    ipv6,
    outage: (lost.at(-1) ?? start) - start,
    lost: lost.length,
    back: Math.max(...back) - mendedAt,
    unanswered: summary.unanswered.filter((at) => at > failedAt && at < mendedAt).length,
    stalled: Math.max(0, ...summary.stalls.flatMap(([at, ms]) => (at > failedAt && at < mendedAt ? [ms] : []))),
    lostBack: stream.filter((at) => at >= mendedAt).length,
  };
}

async function startClient({ client, addresses }: Subject): Promise<LabProcess> {
  const script = fileURLToPath(new URL("./failover-client.ts", import.meta.url));
  const flags = addresses.flatMap((address) => ["--address", address]);
  const started = await client.spawn("failover-client", ["node", script, "--port", "80", ...flags]);
  await started.waitForLine(/"streaming"/);
  return started;
}

/** When the client's kernel learned the MAC address that it has for each address now, once that is one `wanted`. */
async function moves({ addresses }: Subject, client: LabProcess, wanted: (mac: string) => boolean): Promise<readonly number[]> {
  const learnedAt = (address: string) => {
    const now = linesOf<Line, "neighbor">(client, "neighbor").findLast((line) => line.address === address);
    return now !== undefined && wanted(now.mac) && now.at;
  };
  const learnedAll = addresses.map((address) =>
    waitFor(`the client to learn where ${address} is`, () => learnedAt(address), { timeout: 120_000 }),
  );
  return Promise.all(learnedAll);
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
  { column: "outage", title: "outage" },
  { column: "lost", title: "packets lost" },
  { column: "unanswered", title: "ARP unanswered" },
  { column: "stalled", title: "client held up" },
  { column: "back", title: "back" },
  { column: "lostBack", title: "lost going back" },
] as const;

export interface Setting {
  readonly nodes: number;
  readonly way: Way;
  /** Between two packets of BFD between speakers; empty: without. */
  readonly interval: string;
}

/** Prints a row for each kind, also of the runs before one that could not be made. MetalLB answers on layer 2 alone. */
export async function failovers(title: string, started: Promise<Subject>, runs: number, chosen: readonly Kind[]): Promise<void> {
  await using subject = await started;
  printRow([title, ...columns.map(({ title: column }) => column), "MetalLB 0.12.1 moved"]);
  for (const kind of chosen) {
    const measured: Run[] = [];
    const stopped = await attempt(async () => {
      for (let count = 0; count < runs; count++) measured.push(await run(subject, kind));
    });
    if (measured.length > 0)
      printRow([kind.name, ...columns.map(({ column }) => spread(measured.map((one) => one[column]))), kind.metallb]);
    if (stopped === undefined) continue;
    process.exitCode = 1;
    console.log(`Cannot go on after ${measured.length} of ${runs} runs: ${stopped}. ${(await subject.excuse?.()) ?? ""}`);
    return;
  }
}

/** @returns why it failed */
async function attempt(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : `${error}`;
  }
}
