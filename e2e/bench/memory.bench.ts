// What controller and speaker hold at rest: bundles as in the image, with the manifests' flags, in a cluster of one node with a pool for
// layer 2, so with the threads for layer 2 and the ring. Anonymous memory is a process's own; file pages are mostly Node's program, which
// the kernel shares among all processes of a node that run it, and drops when memory is short. `--minutes=N` waits longer than one;
// what follows `--` are more flags of Node for the speaker.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { DemoCluster } from "#e2e/demo-cluster";
import { build } from "../../build.ts";

const { values, positionals } = parseArgs({ options: { minutes: { type: "string", default: "1" } }, allowPositionals: true });
const bundles = mkdtempSync(join(tmpdir(), "ingot-memory-"));
try {
  await build(bundles);
  await using cluster = await DemoCluster.start({ nodes: 1, bundles, speakerNodeArguments: positionals });
  await sleep(Number(values.minutes) * 60_000);
  console.log("MB              resident  anonymous  of files  threads");
  for (const { name, process } of [cluster.controller, ...cluster.nodes.map(({ speaker }) => speaker)]) {
    const status = readFileSync(`/proc/${process.pid}/status`, "utf8");
    const value = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)?.[1]);
    const megabytes = ["VmRSS", "RssAnon", "RssFile"].map((key) => ((value(key) * 1024) / 1e6).toFixed(0).padStart(10));
    console.log(`${name.padEnd(14)}${megabytes.join("")}${String(value("Threads")).padStart(9)}`);
  }
} finally {
  rmSync(bundles, { recursive: true });
}
