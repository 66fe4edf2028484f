/**
 * Measures how fast routes reach a router by BGP, and the cost: the bundled speaker with the manifest's flags, against the tests' API
 * server and BIRD in a network of namespaces. Beside it, in the same run, a BIRD in the speaker's place that announces the same prefixes,
 * which it reads from its configuration. MetalLB's figures are those of v0.12.1 on a machine of the same kind. Run it with `node
 * e2e/bench/bgp.bench.ts`; it takes about five minutes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "#e2e/lab";
import type { Bird } from "#e2e/routers";
import { Address, Prefix, parseAddress } from "#pkg/net";
import { build } from "../../build.ts";
import { BgpLab, type Measured, nodeAsn, routerAsn, serviceReference } from "./bgp-lab.ts";
import { spread } from "./failover-common.ts";
import type { ProcessUsage } from "./measure.ts";

const changes = 200;
const manyPeers = 20;
const idleSeconds = 10;

/** Milliseconds since a process was started. */
interface Arrival {
  readonly established: number;
  readonly all: number;
  readonly cpuSeconds: number;
  readonly megabytes: ProcessUsage["megabytes"];
}

/** Services with one address each, so far apart that none of the aggregates of one is another's. */
interface Load {
  readonly services: number;
  /** Lengths of the advertisements: each announces a prefix of that length for each Service. */
  readonly lengths: readonly number[];
}

const first = "10.1.0.0";

function configuration(peers: readonly string[], lengths: readonly number[]): string {
  const lines = peers.map((address) => `- {peer-address: ${address}, peer-asn: ${routerAsn}, my-asn: ${nodeAsn}}`);
  const advertisements = lengths.map((length) => `{aggregation-length: ${length}}`).join(", ");
  const pool = `{name: main, protocol: bgp, addresses: [10.0.0.0/8], bgp-advertisements: [${advertisements}]}`;
  return `peers:\n${lines.join("\n")}\naddress-pools:\n- ${pool}\n`;
}

function apart({ lengths }: Load): number {
  return 2 ** (32 - Math.min(...lengths));
}

function prefixes({ services, lengths }: Load): number {
  return services * lengths.length;
}

function networks(load: Load): string[] {
  const base = parseAddress(first)?.value ?? 0n;
  return Array.from({ length: load.services }, (_, index) => new Address("IPv4", base + BigInt(index * apart(load)))).flatMap(
    (address) => load.lengths.map((length) => new Prefix(address, length).toString()),
  );
}

/** Waits until each of the routers has `count` prefixes. */
async function arrival(birds: readonly Bird[], count: number, { process, usage, started }: Measured): Promise<Arrival> {
  let established: number | undefined;
  const missing = new Set(birds);
  const everywhere = async (): Promise<boolean> => {
    if (process.exit !== undefined) throw new Error(`${process.name} ended: ${process.lines.slice(-5).join("\n")}`);
    for (const bird of missing) {
      const [neighbor] = await bird.neighbors();
      if (neighbor?.state === "established") established ??= performance.now() - started;
      if (neighbor?.prefixes === count) missing.delete(bird);
    }
    return missing.size === 0;
  };
  await waitFor(`${count} prefixes from ${process.name}`, everywhere, { timeout: 120_000, every: 5 });
  const all = performance.now() - started;
  return { established: established ?? Number.NaN, all, cpuSeconds: usage.cpuSeconds, megabytes: usage.megabytes };
}

function row(what: string, ...cells: readonly string[]): void {
  console.log([what.padEnd(40), ...cells.map((cell) => cell.padStart(14))].join(" "));
}

const resident = ({ megabytes: { now, peak } }: Pick<Arrival, "megabytes">): string => `${now.toFixed(0)} (${peak.toFixed(0)})`;
const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(2);

function rows(load: Load, ours: Arrival, bird: Arrival, metallb: readonly string[] = []): void {
  const ratio = (of: (arrival: Arrival) => number): string => `${(of(ours) / of(bird)).toFixed(1)} ×`;
  const more = load.lengths.length > 1 ? ` of ${load.services} Services` : "";
  row(`${prefixes(load)} prefixes${more}, 1 peer`, "Ingot", "BIRD", "ratio", "MetalLB");
  row("  process start until all are there, s", seconds(ours.all), seconds(bird.all), "", metallb[0] ?? "");
  const since = ({ all, established }: Arrival): number => all - established;
  row("  session up until all are there, s", seconds(since(ours)), seconds(since(bird)), ratio(since));
  row(
    "  CPU, s",
    ours.cpuSeconds.toFixed(2),
    bird.cpuSeconds.toFixed(2),
    ratio((of) => of.cpuSeconds),
    metallb[1] ?? "",
  );
  row("  MB resident (at the most)", resident(ours), resident(bird), "", metallb[2] ?? "");
}

async function measureStart(bundle: string, load: Load, metallb?: readonly string[]): Promise<void> {
  const count = prefixes(load);
  await using lab = await BgpLab.start();
  const { bird, address } = await lab.startRouter();
  let baseline: Arrival;
  {
    await using sender = await lab.startSender(networks(load), [address]);
    baseline = await arrival([bird], count, sender);
  }
  await waitFor("BIRD's routes to be forgotten", async () => (await bird.neighbors())[0]?.prefixes === 0, { timeout: 150_000 });
  await lab.create("service", { count: load.services, first, apart: apart(load) });
  await lab.configure(configuration([address], load.lengths));
  await using speaker = await lab.startSpeaker(bundle);
  rows(load, await arrival([bird], count, speaker), baseline, metallb);
  if (load.services === 10_000 && load.lengths.length === 1) await measureChanges(lab, bird, speaker);
}

/** One more Service, and one less, seen in what BIRD logs of the routes that it takes. */
async function measureChanges(lab: BgpLab, bird: Bird, { usage }: Measured): Promise<void> {
  await lab.create("more", { count: changes, first: "10.200.0.0", state: "waiting" });
  await bird.command("debug neighbour1 { routes }");
  const more: number[] = [];
  const fewer: number[] = [];
  const seen = async (what: "added" | "removed", prefix: string): Promise<void> => {
    await bird.process.waitForLine(new RegExp(`> ${what} .*${prefix.replaceAll(".", "\\.")}/32 `), { timeout: 60_000 });
  };
  for (let index = 0; index < changes; index++) {
    const ip = `10.200.0.${index}`;
    const start = performance.now();
    void lab.api.patch(serviceReference(`more-${index}`), { status: { loadBalancer: { ingress: [{ ip }] } } }, "status");
    await seen("added", ip);
    more.push(performance.now() - start);
  }
  for (let index = 0; index < changes; index++) {
    const start = performance.now();
    void lab.api.delete(serviceReference(`more-${index}`));
    await seen("removed", `10.200.0.${index}`);
    fewer.push(performance.now() - start);
  }
  await bird.command("debug neighbour1 off");
  row("at 10000, least / median / p99 / most, ms", "", "", "", "MetalLB");
  row("  one Service more", spread(more), "", "", "6");
  row("  one Service less", spread(fewer), "", "", "> 50000");
  await sleep(5_000);
  const before = usage.cpuSeconds;
  await sleep(idleSeconds * 1000);
  row("  idle, % of a core", (((usage.cpuSeconds - before) / idleSeconds) * 100).toFixed(2), "", "", "13");
  row("  MB resident (at the most)", resident(usage), "", "", "130");
}

async function measurePeers(bundle: string, load: Load): Promise<void> {
  const count = prefixes(load);
  await using lab = await BgpLab.start();
  const routers: Awaited<ReturnType<BgpLab["startRouter"]>>[] = [];
  for (let index = 0; index < manyPeers; index++) routers.push(await lab.startRouter());
  const birds = routers.map(({ bird }) => bird);
  const addresses = routers.map(({ address }) => address);
  let baseline: Arrival;
  {
    await using sender = await lab.startSender(networks(load), addresses);
    baseline = await arrival(birds, count, sender);
  }
  for (const bird of birds)
    await waitFor("BIRD's routes to be forgotten", async () => (await bird.neighbors())[0]?.prefixes === 0, {
      timeout: 150_000,
    });
  await lab.create("service", { count: load.services, first });
  await lab.configure(configuration(addresses, load.lengths));
  await using speaker = await lab.startSpeaker(bundle);
  const ours = await arrival(birds, count, speaker);
  row(`${count} prefixes, ${manyPeers} peers`, "Ingot", "BIRD", "ratio");
  row("  process start until all are there, s", seconds(ours.all), seconds(baseline.all));
  row(
    "  CPU, s",
    ours.cpuSeconds.toFixed(2),
    baseline.cpuSeconds.toFixed(2),
    `${(ours.cpuSeconds / baseline.cpuSeconds).toFixed(1)} ×`,
  );
  row("  MB resident (at the most)", resident(ours), resident(baseline));
}

const directory = mkdtempSync(join(tmpdir(), "ingot-bench-"));
try {
  const bundle = join(directory, "dist");
  await build(bundle);
  await measureStart(bundle, { services: 1_000, lengths: [32] }, ["0.40", "0.3", "47"]);
  await measureStart(bundle, { services: 10_000, lengths: [32] }, ["21-26", "28-40", "130"]);
  await measureStart(bundle, { services: 10_000, lengths: [23, 24, 25, 26, 27, 28, 29, 30, 31, 32] });
  await measureStart(bundle, { services: 100_000, lengths: [32] });
  await measurePeers(bundle, { services: 10_000, lengths: [32] });
} finally {
  rmSync(directory, { recursive: true });
}
