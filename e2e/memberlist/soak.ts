/**
 * Whether rings of our members hold when the network loses packets and processes stall: ten members, each a process of its own on
 * loopback, one ring after the other for a third of the time each (`--minutes`, 20):
 *
 * - `lan`, where each member loses 5 % of what arrives and one process after the other is stopped for 200 ms: nobody may be taken
 *   for dead;
 * - `fast` under the same: whoever was suspected or taken for dead must have refuted it in the end;
 * - `fast` without either: nobody may be suspected or taken for dead.
 *
 * Prints what happened, and exits with 1 when one of these does not hold. A busy machine stalls processes by itself.
 */
import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { LargeRing } from "./large-ring.ts";

const members = 10;
const stallMillis = 200;
const betweenStalls: readonly [least: number, most: number] = [300, 1_500];
const { values } = parseArgs({ options: { minutes: { type: "string", default: "20" } } });
const minutesEach = Number(values.minutes) / 3;

interface Outcome {
  readonly stalls: number;
  /** Times that a member was taken for dead, which none was, counted by each of the others. */
  readonly falseDeaths: number;
  /** Times that a member began to suspect another. */
  readonly suspicions: number;
  /** Times that a member refuted what others held against it. */
  readonly refutations: number;
  /** Whether each knew all of them in the end. */
  readonly complete: boolean;
}

interface Soak {
  readonly ring: string;
  readonly flags: readonly string[];
  readonly faults: boolean;
  readonly holds: (outcome: Outcome) => boolean;
}

const soaks: readonly Soak[] = [
  {
    ring: "lan, loss and stalls",
    flags: ["--timing=lan", "--loss=0.05"],
    faults: true,
    holds: ({ falseDeaths, complete }) => falseDeaths === 0 && complete,
  },
  {
    ring: "fast, loss and stalls",
    flags: ["--timing=fast", "--loss=0.05"],
    faults: true,
    holds: ({ complete }) => complete,
  },
  {
    ring: "fast, no faults",
    flags: ["--timing=fast"],
    faults: false,
    holds: ({ falseDeaths, suspicions, complete }) => falseDeaths + suspicions === 0 && complete,
  },
];

async function run({ flags, faults }: Soak): Promise<Outcome> {
  await using ring = await LargeRing.start("ingot", members, { flags });
  const end = performance.now() + minutesEach * 60_000;
  let stalls = 0;
  while (performance.now() < end) {
    await sleep(randomInt(...betweenStalls));
    if (!faults) continue;
    const victim = ring.nodes[randomInt(members)];
    victim?.signal("SIGSTOP");
    await sleep(stallMillis);
    victim?.signal("SIGCONT");
    stalls++;
  }
  const complete = await ring.complete().then(
    () => true,
    () => false,
  );
  const counters = await Promise.all(ring.nodes.map((node) => node.counters()));
  return {
    stalls,
    falseDeaths: ring.nodes.flatMap(({ lines }) => lines.filter(({ event }) => event === "leave")).length,
    suspicions: counters.reduce((sum, { suspicions }) => sum + suspicions, 0),
    refutations: counters.reduce((sum, { refutations }) => sum + refutations, 0),
    complete,
  };
}

const table: object[] = [];
for (const soak of soaks) {
  const outcome = await run(soak);
  const holds = soak.holds(outcome);
  if (!holds) process.exitCode = 1;
  table.push({ ring: soak.ring, minutes: minutesEach, ...outcome, holds });
}
console.table(table);
