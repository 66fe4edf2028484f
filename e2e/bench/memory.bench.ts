// Measures memory and processor time of controller and speakers at rest, and the time until they are ready: bundles as in the image, with
// the manifests' flags, and a pool for layer 2, so with the threads for layer 2 and the ring. Anonymous memory is a process's own; file
// pages are mostly Node's program, which the kernel shares among all processes of a node that run it, and drops when memory is short.
// `--nodes=N` is 1 when unset; with 3 the ring looks for failures as in a cluster. `--minutes=N` waits longer than one; what follows `--`
// are more flags of Node for the speakers.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { DemoCluster, type Workload } from "#e2e/demo-cluster";
import { build } from "../../build.ts";
import { manifestProgram } from "./manifest-program.ts";
import { ProcessUsage, quantile } from "./measure.ts";

const watchedSeconds = 60;
const startsMeasured = 10;

const { values, positionals } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, nodes: { type: "string", default: "1" } },
  allowPositionals: true,
});

interface ThreadUse {
  readonly name: string;
  readonly cpuMillis: number;
  /** How often it had to wait for something, and so was woken up later. */
  readonly wakeUps: number;
}

/** The use of each thread of a process so far: number -> use. */
function threadsOf(pid: number): Map<string, ThreadUse> {
  return new Map(
    readdirSync(`/proc/${pid}/task`).map((thread) => {
      const read = (file: string) => readFileSync(`/proc/${pid}/task/${thread}/${file}`, "utf8");
      const wakeUps = Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read("status"))?.[1]);
      return [thread, { name: read("comm").trim(), cpuMillis: Number(read("schedstat").split(" ")[0]) / 1e6, wakeUps }];
    }),
  );
}

function printMemory(name: string, pid: number): void {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const value = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  const megabytes = ["VmRSS", "RssAnon", "RssFile"].map((key) => ((value(key) * 1024) / 1e6).toFixed(0).padStart(10));
  console.log(`${name.padEnd(24)}${megabytes.join("")}${String(value("Threads")).padStart(9)}`);
}

const collect = 'gc({ type: "major", execution: "sync", flavor: "last-resort" });';
const idleThread = `${collect} require("node:worker_threads").parentPort.postMessage(0);
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;
const idleNode = `const { Worker } = require("node:worker_threads");
let starting = Number(process.argv[1]);
const settle = () => { ${collect} console.log("idle"); setInterval(() => {}, 60_000); };
for (let left = starting; left > 0; left--)
  new Worker(${JSON.stringify(idleThread)}, { eval: true }).on("message", () => --starting === 0 && settle());
if (starting === 0) settle();`;

/** Node as the manifests start the speaker's, with so many threads that wait for nothing, and all heaps collected: no speaker takes less. */
async function printIdleNode(threads: number): Promise<void> {
  const { nodeFlags, env } = manifestProgram("speaker");
  const argv = [...nodeFlags, "--expose-gc", "--eval", idleNode, `${threads}`];
  const idle = spawn(process.execPath, argv, { env, stdio: ["ignore", "pipe", "inherit"] });
  await once(idle.stdout, "data");
  printMemory(`Node, ${threads} idle threads`, idle.pid ?? 0);
  idle.kill();
}

/** Purposes of a process's mappings: name -> whether a mapping has this purpose, by permissions and file. The first one counts. */
const purposes: Readonly<Record<string, (permissions: string, file: string) => boolean>> = {
  "Node's program": (_, file) => file.endsWith("/node"),
  "other files": (_, file) => file.startsWith("/"),
  "malloc's heap": (_, file) => file === "[heap]",
  "code that V8 made": (permissions) => permissions.includes("x"),
  "heaps of V8, and all else": () => true,
};

/** Resident memory by purpose. */
function printPurposes(pid: number): void {
  const sums = new Map(Object.keys(purposes).map((purpose) => [purpose, 0]));
  let purpose: string | undefined;
  for (const line of readFileSync(`/proc/${pid}/smaps`, "utf8").split("\n")) {
    const [, permissions, file = ""] = /^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \d+\s*(.*)$/.exec(line) ?? [];
    if (permissions !== undefined) purpose = Object.entries(purposes).find(([, isFor]) => isFor(permissions, file))?.[0];
    const resident = /^Rss:\s+(\d+) kB$/.exec(line)?.[1];
    if (purpose !== undefined && resident !== undefined) sums.set(purpose, (sums.get(purpose) ?? 0) + Number(resident));
  }
  for (const [name, kilobytes] of sums) console.log(`  ${name.padEnd(30)}${((kilobytes * 1024) / 1e6).toFixed(1).padStart(6)}`);
}

function printUse(name: string, uses: readonly Omit<ThreadUse, "name">[]): void {
  const sum = (of: (use: Omit<ThreadUse, "name">) => number) => uses.reduce((total, use) => total + of(use), 0) / watchedSeconds;
  const cells = [(sum(({ cpuMillis }) => cpuMillis) / 10).toFixed(2), sum(({ wakeUps }) => wakeUps).toFixed(1)];
  console.log(`${name.padEnd(24)}${cells.map((cell) => cell.padStart(10)).join("")}`);
}

/**
 * From the start of the process until `/readyz` says 200, in milliseconds: median and worst, and how much of a processor it took, the median.
 * Others are there meanwhile, as after an upgrade.
 */
async function printStarts(workload: Workload): Promise<void> {
  const took: number[] = [];
  const cpu: number[] = [];
  for (let count = 0; count < startsMeasured; count++) {
    await workload.stop();
    await sleep(1_000); // Nobody takes it for the one before.
    await workload.start();
    const { pid } = workload.process;
    while (!(await isReady(workload))) await sleep(5);
    took.push(millisecondsSinceStart(pid));
    cpu.push(new ProcessUsage(pid).cpuSeconds * 1000);
  }
  const cells = [quantile(took, 0.5), quantile(took, 1), quantile(cpu, 0.5)];
  console.log(`${workload.name.padEnd(24)}${cells.map((cell) => cell.toFixed(0).padStart(10)).join("")}`);
}

async function isReady(workload: Workload): Promise<boolean> {
  return workload.get("/readyz").then(
    ({ status }) => status === 200,
    () => false,
  );
}

const ticksASecond = 100;

function millisecondsSinceStart(pid: number): number {
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  // The 22nd field; the second is the name of the program, in brackets.
  const started = Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19]);
  return (uptime - started / ticksASecond) * 1000;
}

const bundles = mkdtempSync(join(tmpdir(), "ingot-memory-"));
chmodSync(bundles, 0o755); // The controller's user reads its program there.
try {
  await build(bundles);
  await using cluster = await DemoCluster.start({ nodes: Number(values.nodes), bundles, speakerNodeArguments: positionals });
  await sleep(Number(values.minutes) * 60_000);
  const processes = [cluster.controller, ...cluster.nodes.map(({ speaker }) => speaker)].map(({ name, process }) => ({
    name,
    pid: process.pid,
  }));
  const before = processes.map(({ pid }) => threadsOf(pid));
  await sleep(watchedSeconds * 1000);
  const used = processes.map(({ pid }, index) =>
    [...threadsOf(pid)].map(([thread, now]) => {
      const then = before[index]?.get(thread);
      return { name: now.name, cpuMillis: now.cpuMillis - (then?.cpuMillis ?? 0), wakeUps: now.wakeUps - (then?.wakeUps ?? 0) };
    }),
  );
  console.log("MB                        resident anonymous  of files  threads");
  for (const { name, pid } of processes) printMemory(name, pid);
  for (const threads of [0, 2, 3]) await printIdleNode(threads);
  for (const { name, pid } of processes.slice(-1)) {
    console.log(`\nof ${name}, MB`);
    printPurposes(pid);
  }
  console.log(`\nin ${watchedSeconds} s             % of a core wake-ups/s`);
  for (const [index, { name }] of processes.entries()) printUse(name, used[index] ?? []);
  const last = used.at(-1) ?? [];
  for (const name of new Set(last.map((thread) => thread.name)))
    printUse(
      `  of it, ${name}`,
      last.filter((thread) => thread.name === name),
    );
  console.log(`\nms until ready, ${startsMeasured} starts   median     worst       CPU`);
  for (const workload of [cluster.controller, ...cluster.nodes.slice(0, 1).map(({ speaker }) => speaker)])
    await printStarts(workload);
} finally {
  rmSync(bundles, { recursive: true });
}
