/**
 * Whether anything grows in controller and speaker while 10,000 Services are deleted and made again and their endpoints come and go, in a
 * loop: `node e2e/bench/churn.ts --minutes=120`. After each round, when all routes are at a router again, it prints the heap after a full
 * collection, resident memory, open files, threads and timers. Exits with 1 where a figure of the last round is above that of the middle one
 * by more than a tenth, and by more than what is noise of it: before that what has a bound, such as the flight recorder, fills.
 */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { waitFor } from "#e2e/lab";
import { build } from "../../build.ts";
import { configuration } from "../attack/routes-lab.ts";
import { BgpLab, type Measured } from "./bgp-lab.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "8" },
    services: { type: "string", default: "10000" },
    snapshots: { type: "string", default: "" },
  },
});
const minutes = Number(values.minutes);
const services = Number(values.services);
const settleMs = 3_000;

interface Figures {
  readonly heapMB: number;
  readonly externalMB: number;
  readonly buffersMB: number;
  readonly residentMB: number;
  readonly files: number;
  readonly threads: number;
  readonly timers: number;
}

/** By how much a figure may be above an earlier one and mean nothing. */
const noise: Figures = { heapMB: 3, externalMB: 3, buffersMB: 3, residentMB: 30, files: 3, threads: 1, timers: 5 };
const names = Object.keys(noise) as (keyof Figures)[];

async function measure({ process }: Measured, number: number): Promise<Figures> {
  process.kill("SIGUSR2");
  const pattern = new RegExp(`^left (\\d+) octets, (\\d+) octets, (\\d+) octets, (\\d+) timers, ${number}$`);
  const line = `${await process.waitForLine(pattern, { timeout: 60_000 })}`;
  const [, heap, external, buffers, timers] = pattern.exec(line) ?? [];
  const status = readFileSync(`/proc/${process.pid}/status`, "utf8");
  const value = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  return {
    heapMB: Number(heap) / 1e6,
    externalMB: Number(external) / 1e6,
    buffersMB: Number(buffers) / 1e6,
    residentMB: (value("VmRSS") * 1024) / 1e6,
    files: readdirSync(`/proc/${process.pid}/fd`).length,
    threads: value("Threads"),
    timers: Number(timers),
  };
}

const folder = mkdtempSync(join(tmpdir(), "ingot-churn-"));
chmodSync(folder, 0o755); // The controller's user reads its program there.
try {
  await build(folder);
  await using lab = await BgpLab.start();
  const { bird, address } = await lab.startRouter();
  const flags = ["--expose-gc", `--import=${fileURLToPath(new URL("heap-probe.ts", import.meta.url))}`];
  if (values.snapshots !== "") flags.push(`--diagnostic-dir=${values.snapshots}`);
  await lab.configure(configuration([address]));
  await using controller = await lab.startController(folder, flags);
  await using speaker = await lab.startSpeaker(folder, flags);
  const processes = { controller, speaker };
  const rounds: Record<keyof typeof processes, Figures[]> = { controller: [], speaker: [] };
  const routes = async () => (await bird.neighbors())[0]?.prefixes ?? 0;
  console.log(`${"minute".padEnd(8)}${"".padEnd(12)}${names.map((name) => name.padStart(12)).join("")}   changes/s`);
  const begun = performance.now();
  const passed = () => (performance.now() - begun) / 60_000;
  for (let round = 1; passed() < minutes; round++) {
    const from = performance.now();
    await lab.create("s", { count: services, first: "10.1.0.0", state: "waiting" });
    await waitFor("all routes", async () => (await routes()) === services, { timeout: 120_000 });
    await lab.flood("endpoints", services);
    await waitFor("all routes", async () => (await routes()) === services, { timeout: 120_000 });
    const seconds = (performance.now() - from) / 1_000;
    await sleep(settleMs);
    for (const name of ["controller", "speaker"] as const) {
      const figures = await measure(processes[name], round);
      rounds[name].push(figures);
      const cells = names.map((each) => figures[each].toFixed(each.endsWith("MB") ? 1 : 0).padStart(12)).join("");
      // A Service with its slice is made, its endpoint goes and comes.
      console.log(
        `${passed().toFixed(1).padEnd(8)}${name.padEnd(12)}${cells}${((4 * services) / seconds).toFixed(0).padStart(12)}`,
      );
    }
    await lab.flood("recreate", services);
    await waitFor("no route", async () => (await routes()) === 0, { timeout: 120_000 });
  }
  const grown = Object.entries(rounds).flatMap(([name, figures]) => {
    const [first, last] = [figures[Math.floor(figures.length / 2)], figures.at(-1)];
    if (first === undefined || last === undefined || figures.length < 4) return [`${name}: there were too few rounds to compare`];
    return names
      .filter((each) => last[each] > first[each] * 1.1 && last[each] > first[each] + noise[each])
      .map((each) => `${each} of the ${name} from ${first[each].toFixed(1)} to ${last[each].toFixed(1)}`);
  });
  console.log(grown.length === 0 ? "Nothing has grown." : `Grown: ${grown.join("; ")}.`);
  process.exitCode = grown.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
