import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { DemoCluster } from "#e2e/demo-cluster";
const use = (pid: number) => new Map(readdirSync(`/proc/${pid}/task`).map((thread) => { const read = (file: string) => { try { return readFileSync(`/proc/${pid}/task/${thread}/${file}`, "utf8"); } catch { return "0 0 0"; } }; return [thread + " " + read("comm").trim(), { cpu: Number(read("schedstat").split(" ")[0]) / 1e6, wakes: Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read("status"))?.[1]) }]; }));
const rss = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
await using cluster = await DemoCluster.start({ nodes: 3, speakerNodeArguments: process.argv.slice(3) });
for (let minute = 0; minute < Number(process.argv[2]); minute++) {
  const before = cluster.nodes.map(({ speaker }) => use(speaker.process.pid));
  await sleep(60_000);
  let sum = 0; const each = cluster.nodes.map(({ speaker }, i) => { const now = use(speaker.process.pid); let all = 0; let ring = 0; for (const [name, n] of now) { const b = before[i]!.get(name) ?? { cpu: 0, wakes: 0 }; const d = (n.cpu - b.cpu) / 600; all += d; if (name.includes("memberlist")) ring += d; } sum += all; return `${all.toFixed(2)} (ring ${ring.toFixed(2)}, ${rss(speaker.process.pid).toFixed(0)} MB)`; });
  console.log(process.cwd(), process.argv.slice(3).join(" "), "minute", minute, (sum / 3).toFixed(2), "%:", each.join(", "));
}
process.exit();
