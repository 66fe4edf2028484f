/**
 * Whether rings of our members hold when the network loses packets and processes stall: ten members, each a process of its own on
 * loopback, one ring after the other for a third of the time each (`--minutes`, 20):
 *
 * - `lan`, where each member loses 5 % of what arrives and one process after the other is stopped for 200 ms;
 * - `fast` under the same;
 * - `fast` without either.
 *
 * Unlike the ring of a speaker they do not run before all other processes, so that a busy machine stalls them for longer. Nobody
 * may be declared dead, and each suspect must have refuted the suspicion in the end.
 *
 * Prints what happened and what of this does not hold, and exits with 1 when there is any.
 */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { waitFor } from "#e2e/lab";
import type { Millis } from "#pkg/clock";
import { LargeRing } from "./large-ring.ts";
import type { Stall } from "./staller.ts";

const members = 10;
const stallMillis = 200;
const betweenStalls: readonly [least: number, most: number] = [300, 1_500];
const { values } = parseArgs({ options: { minutes: { type: "string", default: "20" } } });
const minutesEach = Number(values.minutes) / 3;

interface Outcome {
  /** Times that a member was taken for dead, which none was, counted by each of the others. */
  readonly falseDeaths: number;
  /** Times that a member began to suspect another... */
  readonly suspicions: number;
  /** ...and that such a suspicion ended because the other refuted it. */
  readonly refuted: number;
  /** Whether each knows all of them. */
  readonly complete: boolean;
}

interface Soak {
  readonly ring: string;
  readonly flags: readonly string[];
  readonly faults: boolean;
}

const soaks: readonly Soak[] = [
  { ring: "lan, loss and stalls", flags: ["--timing=lan", "--loss=0.05"], faults: true },
  { ring: "fast, loss and stalls", flags: ["--timing=fast", "--loss=0.05"], faults: true },
  { ring: "fast, no faults", flags: ["--timing=fast"], faults: false },
];

/** Deviations from the expected outcome. A suspicion that is over was refuted, or has become a death. */
function problemsOf({ falseDeaths, suspicions, refuted, complete }: Outcome): string[] {
  return [
    ...(complete ? [] : ["somebody is missing somewhere"]),
    ...(falseDeaths > 0 ? [`${falseDeaths} false deaths`] : []),
    ...(refuted + falseDeaths < suspicions ? [`${suspicions - refuted - falseDeaths} suspicions were not refuted`] : []),
  ];
}

async function outcomeOf(ring: LargeRing): Promise<Outcome> {
  const lists = await Promise.all(ring.nodes.map((node) => node.members()));
  const counters = await Promise.all(ring.nodes.map((node) => node.counters()));
  return {
    falseDeaths: ring.nodes.flatMap(({ lines }) => lines.filter(({ event }) => event === "leave")).length,
    suspicions: counters.reduce((sum, { suspicions }) => sum + suspicions, 0),
    refuted: counters.reduce((sum, { refuted }) => sum + refuted, 0),
    complete: lists.every((list) => list.length === members),
  };
}

interface Ran {
  readonly stalls: number;
  readonly longestStall: Millis;
  readonly outcome: Outcome;
}

async function run(soak: Soak): Promise<Ran> {
  await using ring = await LargeRing.start("ingot", members, { flags: soak.flags });
  const end = performance.now() + minutesEach * 60_000;
  let [stalls, longestStall] = [0, 0];
  while (performance.now() < end) {
    await sleep(randomInt(...betweenStalls));
    if (!soak.faults) continue;
    const victim = ring.nodes[randomInt(members)];
    if (victim === undefined) continue;
    const stall: Stall = { pid: victim.pid, lasts: stallMillis };
    staller.postMessage(stall);
    const [lasted]: Millis[] = await once(staller, "message");
    longestStall = Math.max(longestStall, lasted ?? 0);
    stalls++;
  }
  const holds = async () => problemsOf(await outcomeOf(ring)).length === 0;
  await waitFor("the last suspicions to be refuted", holds, { timeout: 60_000, every: 1_000 }).catch(() => {}); // Then they are printed below.
  return { stalls, longestStall, outcome: await outcomeOf(ring) };
}

const staller = new Worker(new URL("staller.ts", import.meta.url));
const table: object[] = [];
const failures: string[] = [];
for (const soak of soaks) {
  const { stalls, longestStall, outcome } = await run(soak);
  const problems = problemsOf(outcome);
  const minutes = Number(minutesEach.toFixed(1));
  table.push({ ring: soak.ring, minutes, stalls, longest: Math.round(longestStall), ...outcome, holds: problems.length === 0 });
  failures.push(...problems.map((problem) => `${soak.ring}: ${problem}`));
}
await staller.terminate();
console.table(table);
for (const failure of failures) console.log(`does not hold: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
