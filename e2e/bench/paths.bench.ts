/**
 * Measures how fast several paths to each of many addresses reach a router by ADD-PATH (RFC 7911), and the cost: a session of `pkg/bgp` in a
 * process of its own, without the rest of a speaker, and a BIRD with the same routes in its configuration, one after the other to the same
 * BIRD. Run it with `make bench-bgp`, or `node e2e/bench/paths.bench.ts`; it takes half a minute.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Lab, type LabProcess, waitFor } from "#e2e/lab";
import { Bird } from "#e2e/routers";
import { ProcessUsage } from "./measure.ts";

const addresses = 10_000;
const paths = 16;
const [routerAddress, senderAddress] = ["172.30.1.1", "172.30.1.2"];
const [routerAsn, senderAsn] = [65_000, 65_001];
const program = fileURLToPath(new URL("paths-sender.ts", import.meta.url));

/** A BIRD that announces the same: one static protocol for each path, since a protocol has one route to a prefix. */
function birdText(): string {
  const prefix = (index: number): string => `10.1.${index >> 8}.${index & 255}/32`;
  const protocols = Array.from({ length: paths }, (_, path) => {
    const routes = Array.from({ length: addresses }, (_, index) => `route ${prefix(index)} via 172.30.2.${path + 1};`);
    return `protocol static path${path + 1} {\n  ipv4;\n${routes.join("\n")}\n}`;
  });
  return `router id ${senderAddress};
protocol device {}
protocol direct { ipv4; }
${protocols.join("\n")}
protocol bgp upstream {
  local as ${senderAsn};
  neighbor ${routerAddress} as ${routerAsn};
  ipv4 { import none; export where source = RTS_STATIC; add paths tx; };
}
`;
}

await using lab = await Lab.start();
const lan = await lab.switch("lan");
const [left, right] = [await lab.host("router"), await lab.host("sender")];
await left.attach(lan, { addresses: [`${routerAddress}/16`] });
await right.attach(lan, { addresses: [`${senderAddress}/16`] });
const neighbors = [{ address: senderAddress, asn: senderAsn, passive: true, addPath: true, gracefulRestart: false }];
await using router = new Bird({ lab, host: left }, { asn: routerAsn, routerId: routerAddress, kernel: false, neighbors });
await router.start();

/** Milliseconds from the establishment of the session, and from the process's start, until all paths are there; seconds of CPU. */
async function measure(start: () => Promise<LabProcess>): Promise<readonly [number, number, number]> {
  await waitFor("the router to be empty", async () => (await router.neighbors())[0]?.prefixes === 0);
  const began = performance.now();
  const process = await start();
  const usage = new ProcessUsage(process.pid);
  let established: number | undefined;
  const hasAll = async (): Promise<boolean> => {
    if (process.exit !== undefined) throw new Error(`${process.name} ended: ${process.lines.slice(-5).join("\n")}`);
    const [neighbor] = await router.neighbors();
    if (neighbor?.state === "established") established ??= performance.now();
    return neighbor?.prefixes === addresses * paths;
  };
  await waitFor(`all paths from ${process.name}`, hasAll, { timeout: 120_000, every: 5 });
  const now = performance.now();
  const result = [now - (established ?? now), now - began, usage.cpuSeconds] as const;
  await process.stop();
  return result;
}

const bird = await measure(async () => {
  writeFileSync(lab.outside("/run/sender.conf"), birdText());
  return right.spawn("bird-sender", ["bird", "-f", "-c", "/run/sender.conf", "-s", "/run/sender.ctl"]);
});
const config = `peers: [{my-asn: ${senderAsn}, peer-asn: ${routerAsn}, peer-address: ${routerAddress}, add-path: true}]`;
const ours = await measure(() => right.spawn("sender", ["node", program, config, `${addresses}`, `${paths}`]));

console.log(`${addresses} addresses × ${paths} paths by ADD-PATH, 1 peer`.padEnd(52), "Ingot".padStart(8), "BIRD".padStart(8));
const row = (what: string, index: 0 | 1 | 2, unit: number) =>
  console.log(`  ${what}`.padEnd(52), ...[ours, bird].map((each) => (each[index] / unit).toFixed(2).padStart(8)));
row("session up until all are there, s", 0, 1_000);
row("process start until all are there, s", 1, 1_000);
row("CPU, s", 2, 1);
