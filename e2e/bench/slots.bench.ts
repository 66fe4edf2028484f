/**
 * Measures how many flows through nodes that live move when another node dies: with the nodes as next hops (plain ECMP), and with next-hop slots.
 * A kernel in a lab says which next hop each flow takes; speakers in a simulated cluster say which node has which slot. Each node dies
 * once. `node e2e/bench/slots.bench.ts`, as an ordinary user; it takes a minute.
 */
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Host, Lab } from "#e2e/lab";
import { fairWeather, slotsConfig } from "../simulation/cluster/history.ts";
import { startMs } from "../simulation/cluster/run.ts";
import { SimulatedCluster } from "../simulation/cluster/simulated-cluster.ts";

const flows = 4_000;
const handOverMs = 6_000;
// Nodes that start first have more until all have been there for five minutes.
const evenMs = 360_000;
const address = "198.51.100.1";
const own = "10.9.0.1";

/** The next hop of each flow, which the kernel chooses by its ports. */
async function chosen(router: Host, hops: readonly string[], batch: string): Promise<readonly string[]> {
  await router.output(["ip", "route", "replace", address, ...hops.flatMap((hop) => ["nexthop", "via", hop, "dev", "eth0"])]);
  const found = (await router.output(["ip", "-batch", batch])).matchAll(/^\S+ .*?via (\S+) /gm);
  const all = [...found].map(([, hop = ""]) => hop);
  if (all.length !== flows) throw new Error(`Cannot read the next hops of ${flows} flows: found ${all.length}`);
  return all;
}

/** Which node has which slot before and after one dies, as speakers decide. */
async function ownersAround(nodes: number, dead: number, size: number): Promise<readonly (readonly number[])[]> {
  const prefix = 32 - Math.log2(size);
  const config = slotsConfig.replace(/next-hop-slots: .*/, `next-hop-slots: 192.0.2.0/${prefix}`);
  const cluster = new SimulatedCluster({ seed: 1, nodes, loss: 0, weather: fairWeather, config, onChange: () => {} });
  await cluster.pass(startMs + evenMs);
  const now = (): number[] => {
    const owners = cluster.owners();
    return Array.from({ length: size }, (_, slot) => {
      const [owner, ...more] = owners.get(`192.0.2.${slot}`) ?? [];
      if (owner === undefined || more.length > 0) throw new Error(`Slot ${slot} is at ${owner ?? "nobody"} ${more}`);
      return owner;
    });
  };
  const before = now();
  cluster.powerOff(dead);
  await cluster.pass(handOverMs);
  return [before, now()];
}

/** The share that moves of the flows through nodes that live. */
function moved(before: readonly number[], after: readonly number[], dead: number): number {
  const living = before.flatMap((node, flow) => (node === dead ? [] : [[node, after[flow]] as const]));
  return living.filter(([one, other]) => one !== other).length / living.length;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function print(what: string, shares: readonly number[], loads: readonly number[]): void {
  const range = `${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`;
  console.log(`${what.padEnd(28)}${range.padEnd(20)}${percent(Math.max(...loads))}`);
}

await using lab = await Lab.start();
const lan = await lab.switch("lan");
const router = await lab.host("router", { forwarding: true });
await router.attach(lan, { addresses: [`${own}/16`] });
await router.sysctl({ "net.ipv4.fib_multipath_hash_policy": 1 });
using folder = mkdtempDisposableSync(join(tmpdir(), "slots-"));
const batch = join(folder.path, "flows");
const asked = Array.from(
  { length: flows },
  (_, flow) => `route get ${address} from ${own} ipproto tcp sport ${10_000 + flow} dport 80`,
);
writeFileSync(batch, `${asked.join("\n")}\n`);

console.log(`${"".padEnd(28)}${"moved of the living".padEnd(20)}most flows at a node`);
for (const nodes of [4, 8]) {
  const all = Array.from({ length: nodes }, (_, node) => node);
  const load = (of: readonly number[]): number => Math.max(...all.map((node) => of.filter((one) => one === node).length)) / flows;
  const hopOf = (node: number): string => `10.9.1.${node}`;
  const nodeOf = (hop: string): number => Number(hop.slice(hop.lastIndexOf(".") + 1));
  const plain = (await chosen(router, all.map(hopOf), batch)).map(nodeOf);
  const shares: number[] = [];
  for (const dead of all) {
    const after = await chosen(router, all.filter((node) => node !== dead).map(hopOf), batch);
    shares.push(moved(plain, after.map(nodeOf), dead));
  }
  print(`${nodes} nodes, plain ECMP`, shares, [load(plain)]);
  for (const size of [16, 64]) {
    const slots = Array.from({ length: size }, (_, slot) => hopOf(slot));
    const taken = (await chosen(router, slots, batch)).map(nodeOf); // flow -> slot: the route stays.
    const [shares, loads]: [number[], number[]] = [[], []];
    for (const dead of all) {
      const [before, after] = (await ownersAround(nodes, dead, size)).map((owners) => taken.map((slot) => owners[slot] ?? -1));
      if (before === undefined || after === undefined) throw new Error("Cannot compare: there is no cluster");
      shares.push(moved(before, after, dead));
      loads.push(load(before));
    }
    print(`${nodes} nodes, ${size} slots`, shares, loads);
  }
}
