/**
 * For how long the main threads of speaker and controller are busy at a stretch, at 10,000 Services, while others try to keep them busy:
 * routers that flood the speaker, twenty and 250 more routers, scrapers of its metrics, configurations that are large or made to be slow to check,
 * and floods of changes in the API, readers of `/v1`. The bar is 25 ms of their own time. Run it with `node e2e/bench/stalls.bench.ts [ROW…]`,
 * for those rows whose names have one of these words; all of them take about ten minutes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { configuration, type Flood, mainPool, maxTurn, RoutesLab, routeCount } from "../attack/routes-lab.ts";
import { nodeAddress, routerAsn } from "./bgp-lab.ts";
import { longestTurns, probeFlag } from "./turns.ts";

const floods: readonly Flood[] = [
  { mode: "refresh", octets: 1 << 20 },
  { mode: "update", octets: 200 << 20 },
  { mode: "malformed", octets: 200 << 20 },
];
const scrapeSeconds = 5;
const moreRouters = [20, 250];

const lines = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join("");
const inMatch = `{key: a, operator: In, values: [${"x,".repeat(500)}]}`;
/** Each is refused. */
const refused: Readonly<Record<string, string>> = {
  "10,000 pools that overlap": `address-pools:\n${lines(10_000, (i) => `- {name: p${i}, protocol: layer2, addresses: [192.0.2.0/24]}\n`)}`,
  "10,000 advertisements": `address-pools:\n- name: a\n  protocol: bgp\n  addresses: [192.0.2.0/24, 192.0.2.0/25]\n  bgp-advertisements:\n${lines(10_000, (i) => `  - localpref: ${i}\n`)}`,
  "aliases of aliases": `peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, node-selectors: [&m {match-expressions: [&f ${inMatch}${", *f".repeat(500)}]}${", *m".repeat(500)}]}\n`,
  "20,000 unknown fields": `address-pools:\n${lines(20_000, (i) => `- {q${i}: 1}\n`)}`,
  "a megabyte of one number": `peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, peer-port: ${"9".repeat(1_000_000)}}\n`,
  "200,000 documents": "---\n".repeat(200_000),
  "2,700 pools with nothing in them": `address-pools: [${"{},".repeat(2_700)}]`,
};
/** Lists of 222 CIDRs each. */
const manyCidrs = `${mainPool}- {name: more, protocol: bgp, addresses: [${lines(150, (i) => `"${(0x1000 + i).toString(16)}::1-${(0x1000 + i).toString(16)}:ffff:ffff:ffff:ffff:ffff:ffff:fffe",`)}]}
`;
const manyReserved = `${mainPool}- {name: kept, protocol: bgp, addresses: [11.0.0.0/16], reserved: [${lines(47_000, (i) => `11.0.${i >> 8}.${i & 255},`)}]}
`;
/** The most that one UPDATE has room for. */
const manyCommunities = `- {name: main, protocol: bgp, addresses: [10.0.0.0/8], bgp-advertisements: [{communities: [${lines(970, (i) => `64512:${i},`)}]}]}
`;
/** All addresses of the Services are in them. */
const manyPools = lines(
  10_000,
  (i) => `- {name: p${i}, protocol: bgp, addresses: [10.${1 + (i >> 12)}.${(i >> 4) & 255}.${(i & 15) * 16}/28]}\n`,
);

await using routes = await RoutesLab.start(floods);
const { lab, speaker } = routes;
await using controller = await lab.startController(routes.bundles, [probeFlag]);
await controller.process.waitForLine(/"synced, assigning addresses"/, { timeout: 60_000 });
await sleep(5_000);
const slow: string[] = [];
const words = process.argv.slice(2);

async function measure(what: string, attack: () => Promise<void>): Promise<void> {
  if (words.length > 0 && !words.some((word) => what.includes(word))) return;
  const [ofSpeaker, ofController] = await longestTurns([speaker.process, controller.process], attack);
  const cell = (turn: typeof ofSpeaker) =>
    `${turn?.cpu.toFixed(1).padStart(7)} (${turn?.wall.toFixed(1)}, ${turn?.collecting.toFixed(1)})`.padEnd(24);
  console.log(`${what.padEnd(58)} ${cell(ofSpeaker)} ${cell(ofController)}`);
  if (Math.max(ofSpeaker?.cpu ?? 0, ofController?.cpu ?? 0) > maxTurn) slow.push(what);
}

console.log(
  `The longest turns of main threads at ${routeCount} Services, each with a route to ${routes.addresses.length} routers, in ms of the thread's own time (by the clock, of it in collections of garbage):`,
);
console.log(`${"".padEnd(58)} ${"     speaker".padEnd(24)} ${"     controller".padEnd(24)}`);
await measure("at rest", () => sleep(3_000));
for (const flood of floods)
  await measure(`${flood.mode} flood of a router`, async () => {
    await routes.flood(flood);
  });
const scraper = fileURLToPath(new URL("./scrapers.ts", import.meta.url));
const { host } = await lab.host();
for (const [connections, pipelined] of [
  [1, 2_000],
  [600, 1],
] as const)
  for (const [whose, port] of [
    ["speaker", "7472"],
    ["controller", "7473"],
  ] as const)
    await measure(`${connections} scrapers of the ${whose}, ${pipelined} requests ahead`, async () => {
      const argv = ["node", scraper, nodeAddress, port, "/metrics", `${connections}`, `${pipelined}`, `${scrapeSeconds}`];
      await using scrapers = await host.spawn("scrapers", argv);
      await scrapers.waitForLine(/^received /, { timeout: 60_000 });
    });
for (const path of ["/v1/verdicts", "/v1/services"])
  for (const [whose, port] of [
    ["speaker", "7472"],
    ["controller", "7473"],
  ] as const)
    await measure(`10 programs read ${path} of the ${whose} over and over`, async () => {
      const argv = ["node", scraper, "127.0.0.1", port, path, "10", "1", `${3 * scrapeSeconds}`];
      await using scrapers = await lab.node.spawn("scrapers", argv);
      await scrapers.waitForLine(/^received [1-9]/, { timeout: 60_000 });
    });
for (const [what, config] of Object.entries(refused))
  await measure(`a configuration of ${what} is refused`, async () => {
    await lab.configure(config);
    await sleep(5_000);
  });
await measure("a configuration of ranges that need 33,300 CIDRs comes into force", async () => {
  await lab.configure(configuration(routes.addresses, manyCidrs));
  await sleep(5_000);
});
await measure("a configuration that reserves 47,000 addresses comes into force", async () => {
  await lab.configure(configuration(routes.addresses, manyReserved));
  await sleep(5_000);
});
await measure("a configuration with 970 communities comes into force", async () => {
  await lab.configure(configuration(routes.addresses, manyCommunities));
  await sleep(10_000);
});
await measure("a configuration of 10,000 pools comes into force", async () => {
  await lab.configure(configuration(routes.addresses, manyPools));
  await sleep(20_000);
});
await measure("1 scraper of the controller with 10,000 pools", async () => {
  const argv = ["node", scraper, nodeAddress, "7473", "/metrics", "1", "2000", `${scrapeSeconds}`];
  await using scrapers = await host.spawn("scrapers", argv);
  await scrapers.waitForLine(/^received /, { timeout: 60_000 });
});
await measure("a configuration of one pool comes into force", async () => {
  await lab.configure(configuration(routes.addresses));
  await sleep(15_000);
});

const cordon = (unschedulable: boolean) =>
  lab.api.patch({ apiVersion: "v1", kind: "Node", metadata: { name: "node1" } }, { spec: { unschedulable } });
const router = fileURLToPath(new URL("../attack/hostile-router.ts", import.meta.url));
for (const count of moreRouters) {
  const { host: more } = await lab.host();
  const others = Array.from({ length: count }, (_, index) => `172.30.${count}.${index + 1}`);
  await more.ip(...others.map((address) => `addr add ${address}/16 dev eth0`));
  await using routers = await more.spawn("routers", ["node", router, `${routerAsn}`, "keepalive", "0"]);
  await routers.waitForLine(/^listening$/);
  await measure(`${count} routers are added`, async () => {
    await lab.configure(configuration([...routes.addresses, ...others]));
    await sleep(15_000);
  });
  await measure(`${count} routers are asked to prefer other nodes`, async () => {
    await cordon(true);
    await sleep(5_000);
    await cordon(false);
    await sleep(5_000);
  });
  await measure(`${count} routers go at once`, async () => {
    await routers.stop();
    await sleep(5_000);
  });
  await measure(`${count} routers are removed`, async () => {
    await lab.configure(configuration(routes.addresses));
    await sleep(10_000);
  });
}

await measure("all endpoints become unready and ready again", () => lab.flood("endpoints", routeCount));
await measure("1,000 Nodes come, get labels and go", () => lab.flood("nodes", 1_000));
await measure("all Services ask for a pool that there is not", () => lab.flood("requests", routeCount));
await measure("10 Services come with selectors of half a megabyte, change and go", () => lab.flood("selectors", 10));
await measure("all Services are deleted", () => lab.flood("recreate", routeCount));
await measure("all Services come again", () => lab.create("s", { count: routeCount, first: "10.1.0.0", state: "waiting" }));
console.log(slow.length === 0 ? `All are below ${maxTurn} ms.` : `Above ${maxTurn} ms: ${slow.join("; ")}.`);
