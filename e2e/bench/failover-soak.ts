/**
 * Counts nodes that are taken for gone while they live: a demo cluster of `--nodes` (3) for `--minutes` (60) with `failover` at `--interval`
 * (10ms), in which nothing fails, beside `--busy` (0) processes that never rest. Prints every minute how often speakers took another for gone by
 * BFD, and by the ring alone; how many addresses of two Services went to another node; how often, and for how long at most, two nodes answered for
 * an address; and how long speakers did without BFD since then. Exits with 1 where a node was taken for gone although nothing is busy.
 */
import { spawn } from "node:child_process";
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DemoCluster, demoConfiguration, type Workload } from "#e2e/demo-cluster";
import type { Line } from "./answers-client.ts";
import { allKnowAll, allPathsUp, linesOf, sumOf, takenForGone } from "./failover-common.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    nodes: { type: "string", default: "3" },
    interval: { type: "string", default: "10ms" },
    busy: { type: "string", default: "0" },
  },
});
const busy = Number(values.busy);
const lookEveryMs = 1_000;

await using stack = new AsyncDisposableStack();
const configuration = `${demoConfiguration}failover: {interval: ${values.interval}}\n`;
const cluster = stack.use(await DemoCluster.start({ nodes: Number(values.nodes), configuration }));
const addresses: string[] = [];
for (const name of ["web", "mail"]) addresses.push(await (await cluster.expose(name, ["node1", "node2"])).address());
await allKnowAll(cluster);
await allPathsUp(cluster);
const script = fileURLToPath(new URL("./answers-client.ts", import.meta.url));
const asker = await cluster.client.spawn("answers", ["node", script, ...addresses.flatMap((address) => ["--address", address])]);
await asker.waitForLine(/"asking"/);
for (let count = 0; count < busy; count++) {
  const child = spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
  stack.defer(() => void child.kill("SIGKILL"));
}

const speakers = cluster.nodes.map(({ speaker }) => speaker);
const counted = async () => ({
  "by BFD": await sumOf(cluster, "ingot_memberlist_path_failures_total"),
  "by BFD, known to be wrong": await takenForGone(cluster),
  "in all": await sumOf(cluster, "ingot_memberlist_failures_total"),
  "addresses moved by BFD": await sumOf(cluster, "ingot_layer2_takeovers_total", { cause: "failedFast" }),
});

/** Whether a speaker does without BFD to another. */
async function isOff(speaker: Workload): Promise<boolean> {
  const { verdicts } = JSON.parse((await speaker.get("/v1/node")).body) as { verdicts?: readonly { cause: string }[] };
  return verdicts?.some(({ cause }) => cause === "fastPathOff") ?? false;
}

const before = await counted();
const since = async () => {
  const now = await counted();
  return Object.fromEntries(Object.entries(now).map(([name, count]) => [name, count - before[name as keyof typeof now]]));
};
let looks = 0;
let off = 0;
for (let minute = 1; minute <= Number(values.minutes); minute++) {
  for (const end = performance.now() + 60_000; performance.now() < end; await sleep(lookEveryMs))
    for (const speaker of speakers) {
      looks++;
      if (await isOff(speaker)) off++;
    }
  const words = Object.entries(await since()).map(([name, count]) => `${name} ${count}`);
  const doubles = linesOf<Line, "double">(asker, "double").map(({ ms }) => ms);
  words.push(`two answered ${doubles.length}, for ${Math.max(0, ...doubles)} ms at most`);
  const share = `without BFD ${((100 * off) / looks).toFixed(1)} % of the time`;
  console.log(`${minute} min, load ${loadavg()[0]?.toFixed(1)}: ${[...words, share].join(", ")}`);
}
const { "in all": wrong = 0 } = await since();
process.exitCode = busy === 0 && wrong > 0 ? 1 : 0;
