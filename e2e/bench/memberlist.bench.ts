/**
 * Measures the cost of a ring and the time until it knows of a crash, ours at both timings beside HashiCorp's v0.6.0 with its
 * defaults, each node a process of its own, encrypted, in a network namespace made for it. Run it with `node
 * e2e/bench/memberlist.bench.ts [SIZE…]`; the sizes default to 3, 10 and 50, which take about 17 minutes.
 *
 * Detection is from SIGKILL until a member has notified its application; packets are those that the kernel sent over UDP, CPU is user
 * and system time, both for each node of a ring in which nothing happens.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { LargeRing, type ProgramKind, type RingProcess } from "#e2e/memberlist";

const key = "30313233343536373839616263646566";
const crashes = 3;
const settleMillis = 60_000; // Until V8 has compiled what an idle node runs, which costs as much as running it does later.
const idleMillis = 10_000;
const ticksPerSecond = 100; // USER_HZ, which Linux fixes for user space.

const rings: readonly { readonly name: string; readonly kind: ProgramKind; readonly flags: readonly string[] }[] = [
  { name: "ingot, fast", kind: "ingot", flags: ["--timing=fast"] },
  { name: "ingot, lan", kind: "ingot", flags: ["--timing=lan"] },
  { name: "hashicorp v0.6.0, lan", kind: "v0.6.0", flags: [] },
];

/** UDP packets sent by all processes of this network namespace. */
function packetsSent(): number {
  const [names = [], values = []] = readFileSync("/proc/net/snmp", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("Udp: "))
    .map((line) => line.split(" "));
  return Number(values[names.indexOf("OutDatagrams")]);
}

/** Milliseconds of processor time that a process has used. */
function processorMillis({ pid }: RingProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond; // utime and stime; see proc(5).
}

function residentMegabytes({ pid }: RingProcess): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function measure({ name, kind, flags }: (typeof rings)[number], size: number): Promise<void> {
  await using ring = await LargeRing.start(kind, size, { key, flags });
  await sleep(settleMillis);
  const [packets, used, start] = [packetsSent(), ring.nodes.map(processorMillis), performance.now()];
  await sleep(idleMillis);
  const elapsed = performance.now() - start;
  const perNode = ((packetsSent() - packets) / size / elapsed) * 1000;
  const cpu = (mean(ring.nodes.map((node, index) => processorMillis(node) - (used[index] ?? 0))) / elapsed) * 100;
  const memory = mean(ring.nodes.map(residentMegabytes));
  const first: number[] = [];
  const last: number[] = [];
  for (let crash = 1; crash <= crashes; crash++) {
    const times = await ring.crash(crash % size);
    first.push(Math.min(...times));
    last.push(Math.max(...times));
    await ring.restart(crash % size);
  }
  const row = [name, size, mean(first), mean(last), Math.max(...last), perNode, cpu, memory];
  print(row.map((value) => (typeof value === "number" ? value.toFixed(value < 10 && value % 1 ? 2 : 0) : value)));
}

function print(row: readonly string[]): void {
  console.log(row.map((text, column) => (column === 0 ? text.padEnd(22) : text.padStart(column === 1 ? 6 : 12))).join(""));
}

if (process.argv[2] === "--inside") {
  print(["ring", "nodes", "first ms", "all ms", "worst ms", "packets/s", "CPU %", "RSS MB"]);
  const sizes = process.argv.slice(3).map(Number);
  for (const size of sizes.length === 0 ? [3, 10, 50] : sizes)
    for (const ring of rings) {
      // With too many nodes for its processors a machine makes a ring that never agrees: the others are measured nevertheless.
      await measure(ring, size).catch((error: Error) => print([ring.name, String(size), ` ${error.message}`]));
    }
} else {
  // A namespace of its own, so that its counters count nobody else's packets.
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const script = 'ip link set lo up && exec "$@"';
  const inside = [process.execPath, import.meta.filename, "--inside", ...process.argv.slice(2)];
  const argv = [...user, "--net", "--kill-child", "--fork", "sh", "-c", script, "sh", ...inside];
  const { status, error } = spawnSync("unshare", argv, { stdio: "inherit" });
  if (error !== undefined)
    throw new Error("Cannot make a network namespace: is unshare (util-linux) installed?", { cause: error });
  process.exitCode = status ?? 1;
}
