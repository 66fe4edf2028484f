/**
 * What Pods that begin and end on a node cost its speaker: each has a veth, as CNI plugins make them. The first of three speakers in a lab, with one pool
 * and no Service, on nodes that have so many other Pods already. Run it with `node e2e/bench/pods.bench.ts [PODS…]`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DemoCluster } from "#e2e/demo-cluster";
import { loadNow, ProcessUsage } from "./measure.ts";

const replaced = 40;
const everyMs = 200;
const restMs = 10_000;

const counts = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [10, 250];
console.log("Pods   at rest, of a core   CPU for each that is replaced   its main thread's   resident before, after (MB)");
for (const count of counts) await measure(count);
console.log(loadNow());

async function measure(pods: number): Promise<void> {
  const configuration = "address-pools: [{name: lan, protocol: layer2, addresses: [10.64.0.0/24]}]";
  await using cluster = await DemoCluster.start({ nodes: 3, configuration });
  const { host, speaker } = cluster.node("node1");
  const usage = new ProcessUsage(speaker.process.pid);
  const ip = (lines: readonly string[]) => host.run(["ip", "-batch", "-"], { input: lines.map((line) => `${line}\n`).join("") });
  const begin = (pod: number) => [
    `link add pod${pod} type veth peer name in${pod}`,
    `link set pod${pod} up`,
    `link set in${pod} up`,
  ];
  await ip(Array.from({ length: pods }, (_, pod) => begin(pod)).flat());
  await sleep(restMs);
  const atRest = usage.cpuSeconds;
  await sleep(restMs);
  const [before, mainBefore, memoryBefore] = [usage.cpuSeconds, usage.mainThreadSeconds, usage.megabytes.now];
  for (let pod = 0; pod < replaced; pod++) {
    await ip([`link del pod${pod % pods}`, ...begin(pod % pods)]);
    await sleep(everyMs);
  }
  await sleep(2_000);
  const perPod = (seconds: number) => `${((seconds * 1000) / replaced).toFixed(0)} ms`;
  const share = `${(((before - atRest) / restMs) * 100_000).toFixed(1)} %`;
  console.log(
    `${pods}`.padEnd(7),
    share.padEnd(20),
    perPod(usage.cpuSeconds - before).padEnd(29),
    perPod(usage.mainThreadSeconds - mainBefore).padEnd(19),
    memoryBefore.toFixed(0),
    usage.megabytes.now.toFixed(0),
  );
}
