/**
 * Whether the memory of a speaker with BGP, BFD (300 ms), layer 2 and the ring, and of a controller, comes to rest:
 * `node e2e/bench/memory-soak.ts --minutes=100`. They run as their Pods do beside a BIRD, `/metrics` and `/v1/verdicts` are read every 15 s, and
 * each minute prints their anonymous memory. Exits with 1 where the mean of the last fifth of the time is above that of the fifth before by more
 * than what is noise.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { BgpNetwork, established, nodeAsn } from "../scenarios/bgp-network.ts";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "100" } } });
const minutes = Number(values.minutes);
const routerAsn = 65010;
const scrapesAMinute = 4; // As Prometheus asks where nobody says otherwise.
/** Limit of growth between the means of two fifths of the time, in MB. */
const noise = 1.5;

/** Anonymous memory by purpose, in MB: malloc's heaps, code that V8 made, and all else, which is V8's heaps and stacks. */
function anonymous(pid: number): Readonly<Record<"all" | "malloc" | "code" | "rest", number>> {
  const sums = { all: 0, malloc: 0, code: 0, rest: 0 };
  let purpose: "malloc" | "code" | "rest" = "rest";
  for (const line of readFileSync(`/proc/${pid}/smaps`, "utf8").split("\n")) {
    const [, permissions, file] = /^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \d+\s*(.*)$/.exec(line) ?? [];
    if (permissions !== undefined) purpose = file === "[heap]" ? "malloc" : permissions.includes("x") ? "code" : "rest";
    const kilobytes = Number(/^Anonymous:\s+(\d+) kB$/.exec(line)?.[1] ?? 0);
    sums[purpose] += (kilobytes * 1024) / 1e6;
    sums.all += (kilobytes * 1024) / 1e6;
  }
  return sums;
}

await using network = await BgpNetwork.start({ nodes: 2 });
const { cluster } = network;
const bfd = { intervalMs: 300, multiplier: 3 };
const neighbors = cluster.nodes.map(({ addresses: [v4] }) => ({ address: v4, asn: nodeAsn, bfd }));
const placed = await network.router("bird", 1, { asn: routerAsn, neighbors });
await cluster.configure(`bfd-profiles: [{name: fast, transmit-interval: 300, receive-interval: 300}]
peers: [{my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${placed.v4}, bfd-profile: fast}]
address-pools:
- {name: routed, protocol: bgp, addresses: [198.51.100.0/24]}
- {name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.250]}
`);
await cluster.expose("web", ["node1", "node2"]);
await cluster.expose("lan", ["node1", "node2"], { annotations: { "metallb.universe.tf/address-pool": "lan" } });
await established(placed);

const workloads = [cluster.controller, ...cluster.nodes.map(({ speaker }) => speaker)];
const seen = new Map(workloads.map(({ name }) => [name, [] as number[]]));
console.log(`minute  ${workloads.map(({ name }) => name.padEnd(34)).join("")}`);
for (let minute = 1; minute <= minutes; minute++) {
  for (let scrape = 0; scrape < scrapesAMinute; scrape++) {
    await sleep(60_000 / scrapesAMinute);
    for (const workload of workloads) for (const path of ["/metrics", "/v1/verdicts"]) await workload.get(path);
  }
  const cells = workloads.map(({ name, process }) => {
    const { all, malloc, code, rest } = anonymous(process.pid);
    seen.get(name)?.push(all);
    return `${all.toFixed(1)} (malloc ${malloc.toFixed(1)}, code ${code.toFixed(1)}, rest ${rest.toFixed(1)})`.padEnd(46);
  });
  console.log(`${String(minute).padEnd(8)}${cells.join("")}`);
}
const mean = (of: readonly number[]) => of.reduce((sum, each) => sum + each, 0) / of.length;
const fifth = Math.floor(minutes / 5);
const grown = [...seen].flatMap(([name, figures]) => {
  const [before, last] = [mean(figures.slice(-2 * fifth, -fifth)), mean(figures.slice(-fifth))];
  return last > before + noise ? [`${name} from ${before.toFixed(1)} to ${last.toFixed(1)} MB`] : [];
});
console.log(grown.length === 0 ? "Nothing has grown." : `Grown: ${grown.join("; ")}.`);
process.exitCode = grown.length === 0 ? 0 : 1;
