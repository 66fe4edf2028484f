/**
 * What becomes of connections when an address moves between nodes that live: `--flows` (1,000) long TCP connections that ask five times a second,
 * and `--rate` (200) new ones a second. Each event happens to an address of a pool with `keep-connections` and, in the same cluster, to one of a
 * pool without it, where the new owner's kernel sees the packets as MetalLB's nodes do. Counted from the event on, for 8 s: long connections that
 * were reset or closed, or stay without an answer; the longest silence of a connection that goes on; new connections without an answer. The nodes
 * translate destinations by rules of nftables, in place of kube-proxy. Needs no root; run it with `node e2e/bench/connections.bench.ts`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { DemoNode } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { drainLabel, excludeLabel } from "#pkg/placement";
import { KeptFlows } from "../scenarios/kept-flows.ts";
import { owner } from "../scenarios/observe.ts";
import type { NewFlows, TcpFlows } from "../scenarios/tcp-flows.ts";
import { loadNow } from "./measure.ts";

const { values } = parseArgs({
  options: { flows: { type: "string", default: "1000" }, rate: { type: "string", default: "200" } },
});
const [count, rate] = [Number(values.flows), Number(values.rate)];
const watchedMs = 8_000;

await using flows = await KeptFlows.start();
const { cluster } = flows;

interface Event {
  readonly name: string;
  /** Brings the cluster to where the event can happen. */
  readonly prepare?: (node: DemoNode) => Promise<void>;
  readonly act: (node: DemoNode) => Promise<void>;
  readonly undo?: (node: DemoNode) => Promise<void>;
}

const events: readonly Event[] = [
  {
    name: "planned move",
    act: (node) => flows.label(node, excludeLabel, ""),
    undo: (node) => flows.label(node, excludeLabel, null),
  },
  {
    name: "node returns",
    prepare: (node) => flows.label(node, excludeLabel, ""),
    act: (node) => flows.label(node, excludeLabel, null),
  },
  {
    name: "drain",
    act: (node) => flows.label(node, drainLabel, ""),
    undo: (node) => flows.label(node, drainLabel, null),
  },
  {
    name: "rollout of all speakers",
    async act() {
      for (const { speaker } of cluster.nodes) {
        await speaker.stop();
        await speaker.start();
        await waitFor(`${speaker.name} to be ready`, () => speaker.ready());
      }
    },
  },
];

/** The owner of an address, when that has been the same for a while. */
async function settled(address: string): Promise<DemoNode> {
  return waitFor("an owner that stays", async () => {
    const node = await owner(cluster, address);
    await sleep(1_000);
    return (await owner(cluster, address)) === node ? node : undefined;
  });
}

async function measure({ prepare, act, undo }: Event, address: string): Promise<string[]> {
  const node = await settled(address);
  await prepare?.(node);
  if (prepare !== undefined) await waitFor("another owner", async () => (await settled(address)) !== node);
  const long = await flows.open(address, count);
  const short = await flows.newOnes(address, rate);
  await sleep(2_000);
  const [longFrom, shortFrom] = [long.lines.length, short.lines.length];
  const read = <T>(lines: readonly string[]) => lines.map((line) => JSON.parse(line) as T);
  const lostBefore = read<NewFlows>(short.lines).at(-1)?.lost ?? 0;
  await act(node);
  await sleep(watchedMs);
  const seen = read<TcpFlows>(long.lines.slice(longFrom));
  const made = read<NewFlows>(short.lines.slice(shortFrom)).at(-1);
  const last = seen.at(-1);
  const silence = Math.max(0, ...seen.map((one) => one.silence));
  await Promise.all([long.stop(), short.stop()]);
  await undo?.(node);
  const broken = last?.broken ?? Number.NaN;
  const silent = count - broken - (last?.answering ?? Number.NaN);
  return [`${broken}`, `${silent}`, `${silence} ms`, `${(made?.lost ?? Number.NaN) - lostBefore}`];
}

console.log(`${count} connections, ${rate} new ones a second; ${loadNow()}`);
console.log("event, pool: broken, without answers, longest silence, new ones lost");
for (const event of events)
  for (const [pool, address] of [
    ["kept", flows.v4],
    ["not kept", flows.unkept],
  ] as const)
    console.log(`${event.name}, ${pool}: ${(await measure(event, address)).join(", ")}`);
console.log(loadNow());
