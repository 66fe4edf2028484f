/**
 * How fast an address is answered for on a LAN, and how often: `Layer2` for an announced address beside the Linux kernel for its own,
 * on the same veth pair in the same run, with the main thread of the process idle and then busy. As root the thread that answers runs
 * in real time, as the manifests allow (`SYS_NICE`); without root it works too, and says that it does not. Run it with `node
 * e2e/bench/layer2.bench.ts`.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Layer2 } from "#pkg/layer2";
import { silentLog } from "#pkg/log/testing";
import { parseAddress } from "#pkg/net";
import type { Call, client, Protocol, Question } from "./layer2-client.ts";
import { quantile } from "./measure.ts";

type Client = typeof client;

// The least disturbed of several rounds counts, by the p99 until the answer arrived: the machine does other things too.
const samples = 1000;
const rounds = 5;
const floodMs = 250;
const tries = 4; // A rate is sustained if one of this many floods is answered whole.
const rateStep = 25_000;
const targets = {
  ARP: { kernel: "192.0.2.1", ingot: "192.0.2.100", sender: "192.0.2.2" },
  NDP: { kernel: "2001:db8::1", ingot: "2001:db8::100", sender: "2001:db8::2" },
} as const;

async function call<Name extends keyof Client>(
  lan: ChildProcess,
  method: Name,
  ...parameters: Parameters<Client[Name]>
): Promise<Awaited<ReturnType<Client[Name]>>> {
  lan.send({ method, parameters } satisfies Call);
  const [answer] = await once(lan, "message");
  return answer;
}

/** Keeps this thread busy until disposed, with garbage to collect, in slices between which it hears its messages. */
function busy(): Disposable {
  let live: object[] = [];
  let stopped = false;
  const slice = (): void => {
    for (const end = performance.now() + 20; performance.now() < end; ) {
      live = Array.from({ length: 20_000 }, (_, i) => ({ i, text: `object ${i}`, list: [i, live[i]?.constructor] }));
    }
    if (!stopped) setImmediate(slice);
  };
  setImmediate(slice);
  return {
    [Symbol.dispose]: () => {
      stopped = true;
    },
  };
}

/** Tries ever higher rates until three in a row are too high. */
async function sustainedRate(lan: ChildProcess, question: Question): Promise<number> {
  let sustained = 0;
  for (let rate = rateStep; rate <= sustained + 3 * rateStep; rate += rateStep)
    for (let i = 0; i < tries && sustained < rate; i++) {
      const { asked, answered } = await call(lan, "flood", question, rate, floodMs);
      if (answered >= asked && asked > 0.95 * rate * (floodMs / 1000)) sustained = rate;
    }
  return sustained;
}

/** Microseconds until the client has read the answer, and until it was at its interface. */
interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly arrived99: number;
  readonly arrived999: number;
}

async function ask(lan: ChildProcess, question: Question): Promise<Times> {
  const { read, arrived } = await call(lan, "ask", question, samples);
  return {
    p50: quantile(read, 0.5),
    p99: quantile(read, 0.99),
    arrived99: quantile(arrived, 0.99),
    arrived999: quantile(arrived, 0.999),
  };
}

interface Rates {
  /** Answers a second: while asked as fast as the client can, and the highest rate at which none was missing. */
  readonly flooded: number;
  readonly sustained: number;
  /** Processor time of this process for each answer, in microseconds. */
  readonly cpu: number;
}

async function flood(lan: ChildProcess, question: Question): Promise<Rates> {
  const before = process.cpuUsage();
  const { answered, seconds } = await call(lan, "flood", question, Infinity, 2 * floodMs);
  const { user, system } = process.cpuUsage(before);
  return { flooded: answered / seconds, cpu: (user + system) / answered, sustained: await sustainedRate(lan, question) };
}

/** Both answerers in turns, so that what else the machine does meets both. */
async function compare(lan: ChildProcess, protocol: Protocol): Promise<{ kernel: Times & Rates; ingot: Times & Rates }> {
  const { sender, ...target } = targets[protocol];
  const questions = { kernel: { protocol, target: target.kernel, sender }, ingot: { protocol, target: target.ingot, sender } };
  const all: { kernel: Times; ingot: Times }[] = [];
  for (let round = 0; round < rounds; round++)
    all.push({ kernel: await ask(lan, questions.kernel), ingot: await ask(lan, questions.ingot) });
  const best = (name: "kernel" | "ingot"): Times =>
    all.map((round) => round[name]).reduce((least, times) => (times.arrived99 < least.arrived99 ? times : least));
  return {
    kernel: { ...best("kernel"), ...(await flood(lan, questions.kernel)) },
    ingot: { ...best("ingot"), ...(await flood(lan, questions.ingot)) },
  };
}

const columns = ["p50", "p99", "arrived99", "arrived999", "flooded", "sustained"] as const;

function row(name: string, cells: readonly string[]): void {
  console.log(name.padEnd(24) + cells.map((cell) => cell.padStart(14)).join(""));
}

function print(protocol: Protocol, load: string, { kernel, ingot }: Awaited<ReturnType<typeof compare>>): void {
  row(`${protocol}, main thread ${load}`, [
    "p50 µs",
    "p99 µs",
    "arrived p99",
    "arrived p99.9",
    "flooded /s",
    "sustained /s",
    "CPU µs each",
  ]);
  row("  kernel", [...columns.map((column) => kernel[column].toFixed(0)), "(client's)"]);
  row("  Ingot", [
    ...columns.map((column) => ingot[column].toFixed(0)),
    load === "idle" ? ingot.cpu.toFixed(1) : "(not measured)",
  ]);
  row(
    "  ratio",
    columns.map((column) => (ingot[column] / kernel[column]).toFixed(2)),
  );
}

/** Whether a thread of this process is real-time: the one that answers. */
function isRealTime(): boolean {
  return readdirSync("/proc/self/task").some((id) => {
    const [, fields = ""] = readFileSync(`/proc/self/task/${id}/stat`, "utf8").split(") "); // From the third, the state.
    return Number(fields.split(" ")[37]) > 0; // rt_priority
  });
}

async function main(): Promise<void> {
  const ip = (line: string): string => execFileSync("ip", line.split(" "), { encoding: "utf8" });
  const script = new URL("./layer2-client.ts", import.meta.url).pathname;
  const lan = spawn("unshare", ["--net", process.execPath, script, "host0"], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "advanced", // It carries Infinity.
  });
  await once(lan, "message"); // It is in its namespace.
  const inside = (line: string): string =>
    execFileSync("nsenter", ["-t", `${lan.pid}`, "-n", "ip", ...line.split(" ")], { encoding: "utf8" });
  ip(`link add lan0 type veth peer name host0 netns ${lan.pid}`);
  ip("address add 192.0.2.1/24 dev lan0");
  ip("link set lan0 up");
  inside("address add 192.0.2.2/24 dev host0");
  inside("link set host0 up");
  ip("address add 2001:db8::1/64 dev lan0 nodad");
  inside("address add 2001:db8::2/64 dev host0 nodad");
  await using layer2 = new Layer2({ log: silentLog, refreshMs: 0 });
  await layer2.start();
  for (const { ingot } of Object.values(targets)) {
    const address = parseAddress(ingot);
    if (address !== undefined) layer2.announce(address);
  }
  await sleep(5200); // The announcements.
  console.log(`The thread that answers is ${isRealTime() ? "" : "not "}real-time.`);
  for (const load of ["idle", "busy"]) {
    using _ = load === "busy" ? busy() : undefined;
    for (const protocol of ["ARP", "NDP"] as const) print(protocol, load, await compare(lan, protocol));
  }
  const { dropped, sendFailures } = layer2.counters();
  console.log(`Not read by Ingot because they came too fast: ${dropped} (counted every 10 s); not sent: ${sendFailures}`);
  lan.kill("SIGKILL");
}

if (process.argv.includes("--inside")) await main();
else {
  const asRoot = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const namespaces = ["--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"];
  const inside = [process.execPath, ...process.execArgv, import.meta.filename, "--inside"];
  const argv = [...asRoot, ...namespaces, ...inside];
  process.exitCode = spawnSync("unshare", argv, { stdio: "inherit" }).status ?? 1;
}
