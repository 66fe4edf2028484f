/** Many addresses whose owner fails; see `failover.bench.ts`. */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DemoCluster, type DemoNode } from "#e2e/demo-cluster";
import { type LabProcess, waitFor } from "#e2e/lab";
import type { Line } from "./announcement-client.ts";
import { monotonicNow } from "./arp-asker.ts";
import { allKnowAll, end, linesOf, printRow, spread } from "./failover-common.ts";

const configuration = "address-pools: [{name: many, protocol: layer2, addresses: [172.31.0.0/16]}]";
const writesAtOnce = 10;
const announcingMs = 6_000; // For which announcements are repeated.
const tailMs = 500;

interface Run {
  readonly first: number;
  readonly last: number;
  readonly unanswered: number;
}

/** Kills the speaker that owns about a third of `count` addresses, and stops it, in turns. */
export async function manyAddresses(count: number, runs: number): Promise<void> {
  await using cluster = await DemoCluster.start({ configuration });
  const script = fileURLToPath(new URL("./announcement-client.ts", import.meta.url));
  const client = await cluster.client.spawn("announcement-client", ["node", script]);
  await allKnowAll(cluster);
  await createServices(cluster, count);
  await waitFor("all addresses to be announced", () => owners(client).size === count, { timeout: 120_000, every: 200 });
  const [, owner] = cluster.nodes;
  if (owner === undefined) throw new Error("Cannot measure: there is no second node");
  const mac = (await owner.host.link("eth0").mac()).replaceAll(":", "");
  const owned = owners(client)
    .entries()
    .filter(([, at]) => at === mac)
    .map(([address]) => address);
  const addresses = new Set(owned);
  printRow([`${count} Services`, `first of ${addresses.size} moved`, "last moved", "ARP unanswered"]);
  for (const { name, signal } of [
    { name: "speaker killed", signal: "SIGKILL" },
    { name: "speaker stopped", signal: "SIGTERM" },
  ] as const) {
    const measured: Run[] = [];
    for (let run = 0; run < runs; run++) measured.push(await fail(cluster, client, owner, mac, addresses, signal));
    const columns = (["first", "last", "unanswered"] as const).map((column) => spread(measured.map((run) => run[column])));
    printRow([name, ...columns]);
  }
}

async function fail(
  cluster: DemoCluster,
  client: LabProcess,
  owner: DemoNode,
  mac: string,
  addresses: ReadonlySet<string>,
  signal: "SIGKILL" | "SIGTERM",
): Promise<Run> {
  const failedAt = monotonicNow();
  await end(owner.speaker, signal);
  const isElsewhere = () => {
    const now = owners(client);
    return addresses.values().every((address) => now.get(address) !== mac);
  };
  await waitFor("all addresses to be announced by others", isElsewhere, { timeout: 60_000, every: 100 });
  await sleep(tailMs);
  const mendedAt = monotonicNow();
  const moves = linesOf<Line, "moved">(client, "moved").filter((line) => line.at > failedAt && line.mac !== mac);
  const times = moves.map(({ at }) => at - failedAt);
  const unanswered = linesOf<Line, "unanswered">(client, "unanswered").flatMap(({ at }) => at);
  await owner.speaker.start();
  await allKnowAll(cluster);
  const isBack = () => {
    const now = owners(client);
    return addresses.values().every((address) => now.get(address) === mac);
  };
  await waitFor("all addresses to be back", isBack, { timeout: 60_000, every: 100 });
  await sleep(announcingMs);
  return {
    first: Math.min(...times),
    last: Math.max(...times),
    unanswered: unanswered.filter((at) => at > failedAt && at < mendedAt).length,
  };
}

/** The MAC address at which each address was announced last. */
function owners(client: LabProcess): Map<string, string> {
  const owners = new Map<string, string>(); // address -> MAC address
  for (const { mac, addresses } of linesOf<Line, "moved">(client, "moved"))
    for (const address of addresses) owners.set(address, mac);
  return owners;
}

/** Services with an endpoint that has no port, so that they are announced and yet nothing is forwarded. */
async function createServices({ api }: DemoCluster, count: number): Promise<void> {
  const waiting = Array.from({ length: count }, (_, i) => `many-${i}`);
  const write = async (): Promise<void> => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const metadata = { name, namespace: "default" };
      const spec = { type: "LoadBalancer", ports: [{ name: "http", port: 80 }] };
      await api.apply({ apiVersion: "v1", kind: "Service", metadata, spec });
      await api.apply({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        addressType: "IPv4",
        ports: [],
        metadata: { ...metadata, labels: { "kubernetes.io/service-name": name } },
        endpoints: [{ addresses: ["10.244.1.1"], nodeName: "node1", conditions: { ready: true } }],
      });
    }
  };
  await Promise.all(Array.from({ length: writesAtOnce }, write));
}
