/**
 * Measures addresses in a node's kernel, and in BIRD's OSPF of the router beside it: `make bench-interface`. 5,000 addresses from the first
 * to the last, beside `ip -batch` with as many; one more, one less; the cost of an idle while; the cost of addresses on a NIC, whose
 * lifetimes are renewed; and how long an address or a route is gone that something else deletes. With INTERFACE_SOAK_MINUTES it deletes for
 * that long; otherwise for 20 s.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { asPod } from "#e2e/demo-cluster";
import { Lab, type LabProcess, waitFor } from "#e2e/lab";
import { startBird } from "#e2e/routers";
import type { Line } from "./interface-keeper.ts";
import type { Sabotage } from "./interface-saboteur.ts";

const count = 5_000;
const routeCount = 1_000;
const idleSeconds = 120;
const soakSeconds = 60 * Number(process.env.INTERFACE_SOAK_MINUTES ?? 1 / 3);
const [batched, kept] = ["10.79.0.0/16", "10.77.0.0/16"]; // The second is the keeper's.
const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const area = 'area 0 { interface "eth0" { hello 1; dead 4; type ptp; }; };';

await using lab = await Lab.start();
const lan = await lab.switch("lan");
const [node, router] = [await lab.host("node"), await lab.host("router")];
await node.attach(lan, { addresses: ["172.30.0.11/24"] });
await router.attach(lan, { addresses: ["172.30.0.1/24"] });
await using _bird = await startBird(
  { lab, host: node },
  `router id 172.30.0.11; protocol device {} protocol direct { ipv4; interface "kube-lb0"; }
protocol ospf v2 { ipv4 { import all; export where source = RTS_DEVICE; }; ${area} }`,
);
await using remote = await startBird(
  { lab, host: router },
  `router id 172.30.0.1; protocol device {} protocol ospf v2 { ipv4 { import all; export none; }; ${area} }`,
);
await waitFor("the neighbor", async () => (await remote.command("show ospf neighbors")).includes("Full"), { timeout: 30_000 });

// The time that the kernel and BIRD need for it, with any client.
await node.run(["ip", "link", "add", "kube-lb0", "type", "bridge"]);
await node.run(["ip", "link", "set", "kube-lb0", "up"]);
const lines = Array.from({ length: count }, (_, i) => `addr add 10.79.${i >> 8}.${i & 255}/32 dev kube-lb0`).join("\n");
const batchBegan = Date.now();
await node.run(["ip", "-batch", "-"], { input: `${lines}\n` });
const batchPlaced = Date.now() - batchBegan;
await hasRoutes(batched, count);
const batchAtRouter = Date.now() - batchBegan;
await node.run(["ip", "link", "del", "kube-lb0"]);
await hasRoutes(batched, 0);

const keeping = ["node", path("interface-keeper.ts"), `${count}`, `${idleSeconds}`, `${routeCount}`];
const keeper = await node.spawn("keeper", asPod("speaker", keeping, { isLab: true, more: ["NET_ADMIN"] }));
const placed = await lineOf(keeper, "placed");
await hasRoutes(kept, count);
const atRouter = Date.now() - placed.began;
console.log(`${count} addresses           in the kernel   at the router by OSPF`);
console.log(`ip -batch           ${ms(batchPlaced)}           ${ms(batchAtRouter)}`);
console.log(`a speaker's keeper  ${ms(placed.milliseconds)}           ${ms(atRouter)}`);
console.log(
  `ratio               ${(placed.milliseconds / batchPlaced).toFixed(2).padStart(10)}           ${(atRouter / batchAtRouter).toFixed(2).padStart(10)}`,
);
console.log(
  `one more: ${(await lineOf(keeper, "oneMore")).milliseconds.toFixed(1)} ms; one less: ${(await lineOf(keeper, "oneLess")).milliseconds.toFixed(1)} ms`,
);
const idle = await lineOf(keeper, "idle", (idleSeconds + 30) * 1_000);
const share = (idle.cpuMilliseconds / (idle.seconds * 1_000)) * 100;
console.log(`idle: ${share.toFixed(3)} % of a core, over ${idle.seconds} s`);

await node.run(["ip", "link", "add", "nic0", "type", "bridge"]);
await node.run(["ip", "link", "set", "nic0", "up"]);
console.log(`${routeCount} routes of a table: ${(await lineOf(keeper, "routed")).milliseconds.toFixed(0)} ms`);

for (const wanted of [100, 1_000]) {
  const text = await keeper.waitForLine(new RegExp(`"type":"renewed","count":${wanted},`), { timeout: 180_000 });
  const { seconds, cpuMilliseconds }: Extract<Line, { type: "renewed" }> = JSON.parse(text);
  console.log(`${wanted} addresses on a NIC, renewed: ${(cpuMilliseconds / (seconds * 10)).toFixed(3)} % of a core`);
}

const saboteur = await node.spawn("saboteur", ["node", path("interface-saboteur.ts"), `${soakSeconds}`]);
const line = await saboteur.waitForLine(/^\{/, { timeout: (soakSeconds + 60) * 1_000 });
const { addresses, routes: tableRoutes, foreignLeft, foreignAdded, foreignTouched }: Sabotage = JSON.parse(line);
console.log(`deleted for ${soakSeconds} s, and back after   median   longest   longer than 100 ms   than 1 s`);
for (const [what, { deleted, median, longest, late, missing }] of Object.entries({ addresses, routes: tableRoutes }))
  console.log(
    `${deleted} ${what}`.padEnd(35) +
      `${median.toFixed(1)} ms  ${longest.toFixed(1)} ms`.padEnd(19) +
      `${late}`.padEnd(21) +
      `${missing}`,
  );
console.log(
  `${foreignLeft} of ${foreignAdded} foreign addresses and routes beside them are there, and ${foreignTouched} were touched`,
);
await sleep(100);
await keeper.stop();

/** Waits for this many routes at the router below a prefix. */
async function hasRoutes(below: string, wanted: number): Promise<void> {
  const count = async () => /^(\d+) of/m.exec(await remote.command(`show route where net ~ [${below}+] count`))?.[1];
  await waitFor(`${wanted} routes at the router`, async () => (await count()) === `${wanted}`, { timeout: 180_000, every: 10 });
}

function ms(time: number): string {
  return `${Math.round(time)} ms`.padStart(10);
}

async function lineOf<T extends Line["type"]>(process: LabProcess, type: T, timeout = 60_000): Promise<Line & { type: T }> {
  return JSON.parse(await process.waitForLine(new RegExp(`"type":"${type}"`), { timeout }));
}
