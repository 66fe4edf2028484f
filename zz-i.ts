import { setTimeout as sleep } from "node:timers/promises";
import { DemoCluster } from "#e2e/demo-cluster";
await using cluster = await DemoCluster.start({ nodes: 3 });
console.log(cluster.nodes.map(({ speaker }) => speaker.process.pid).join(" "));
await sleep(160_000);
process.exit();
