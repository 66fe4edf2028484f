/**
 * For how long the speaker's main thread is busy at a stretch, at 10,000 Services, while others try to keep it busy: routers that flood it,
 * scrapers of its metrics, and configurations that are made to be slow to check. The bar is 25 ms of its own time. Run it with
 * `node e2e/bench/stalls.bench.ts`; it takes about two minutes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Flood, maxTurn, RoutesLab, routeCount } from "../attack/routes-lab.ts";
import { nodeAddress } from "./bgp-lab.ts";

const floods: readonly Flood[] = [
  { mode: "refresh", octets: 1 << 20 },
  { mode: "update", octets: 200 << 20 },
  { mode: "malformed", octets: 200 << 20 },
];
const scrapeSeconds = 5;

const lines = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join("");
const inMatch = `{key: a, operator: In, values: [${"x,".repeat(500)}]}`;
/** Each is refused: a configuration in force would change the routes. */
const configurations: Readonly<Record<string, string>> = {
  "10,000 pools that overlap": `address-pools:\n${lines(10_000, (i) => `- {name: p${i}, protocol: layer2, addresses: [192.0.2.0/24]}\n`)}`,
  "10,000 advertisements": `address-pools:\n- name: a\n  protocol: bgp\n  addresses: [192.0.2.0/24, 192.0.2.0/25]\n  bgp-advertisements:\n${lines(10_000, (i) => `  - localpref: ${i}\n`)}`,
  "aliases of aliases": `peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, node-selectors: [&m {match-expressions: [&f ${inMatch}${", *f".repeat(500)}]}${", *m".repeat(500)}]}\n`,
  "a megabyte of one number": `peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, peer-port: ${"9".repeat(1_000_000)}}\n`,
};

await using routes = await RoutesLab.start(floods);
const slow: string[] = [];

async function measure(what: string, attack: () => Promise<void>): Promise<void> {
  const { cpu, wall } = await routes.watch(attack);
  console.log(`${what.padEnd(58)} ${cpu.toFixed(1).padStart(7)} ms of its own, ${wall.toFixed(1).padStart(7)} ms by the clock`);
  if (cpu > maxTurn) slow.push(what);
}

console.log(
  `The longest turns of the speaker's main thread at ${routeCount} Services, each with a route to ${floods.length + 1} routers:`,
);
await measure("at rest", () => sleep(3_000));
for (const flood of floods)
  await measure(`${flood.mode} flood of a router`, async () => {
    await routes.flood(flood);
  });
const scraper = fileURLToPath(new URL("./scrapers.ts", import.meta.url));
const { host } = await routes.lab.host();
for (const [connections, pipelined] of [
  [1, 100],
  [600, 1],
] as const)
  await measure(`${connections} scrapers of /metrics, ${pipelined} requests ahead`, async () => {
    const argv = ["node", scraper, nodeAddress, "7472", `${connections}`, `${pipelined}`, `${scrapeSeconds}`];
    await using scrapers = await host.spawn("scrapers", argv);
    await scrapers.waitForLine(/^received /, { timeout: 60_000 });
  });
for (const [what, config] of Object.entries(configurations))
  await measure(`a configuration of ${what}`, async () => {
    await routes.lab.configure(config);
    await sleep(3_000);
  });
console.log(slow.length === 0 ? `All are below ${maxTurn} ms.` : `Above ${maxTurn} ms: ${slow.join("; ")}.`);
