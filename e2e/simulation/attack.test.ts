// Scenario: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { documented, OwnershipChecker } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { type Act, firstConfig, type History } from "./cluster/history.ts";
import { Known, sampleOf } from "./cluster/judge/ownership-sample.ts";
import { run } from "./cluster/run.ts";
import { shrink } from "./cluster/shrink.ts";
import type { SimulatedCluster } from "./cluster/simulated-cluster.ts";

/** `make scenarios` has time for this many; `make nightly` has 50 others. */
const count = Number(process.env.ATTACK_SEEDS ?? 3);
const from = Number(process.env.ATTACK_FROM ?? 1);
// Promise 2, with the API at hand: nobody answers for no longer than this.
const bounds = { ...documented, noOwner: 6_000 };
const pools = ["lan", "sticky", "both"] as const;

/**
 * A cluster on whose LAN somebody without the ring's key sends in the name of one node or of all of them: while they live, are suspected, are dead,
 * and are back after seconds or minutes; while the ring is cut in up to three parts, or loses packets, and the LAN is whole or not.
 */
function drawAttack(seed: number): History {
  const random = seededRandom(seed);
  const pick = (limit: number) => Math.floor(random() * limit);
  const nodes = 2 + pick(4);
  const all = Array.from({ length: nodes }, (_, node) => node);
  const services = Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => {
      const pool = pools[i % pools.length] ?? "lan";
      const endpoints = i < 4 ? all : all.filter(() => pick(2) === 0);
      return [
        `s${i}`,
        { pool, isDual: pool !== "both", wanted: undefined, sharing: undefined, port: 80 + i, endpoints, isLocal: i >= 4 },
      ];
    }),
  );
  const length = 150_000;
  const attacked = pick(2) === 0 ? all : [pick(nodes)];
  const acts: { at: Millis; act: Act }[] = [
    { at: 0, act: { type: "attack", nodes: attacked, at: pick(nodes), holdMs: [0, 0, 900, 4_000][pick(4)] ?? 0, length } },
  ];
  for (let at = 1_000; at < length - 60_000; at += pick(20_000)) {
    const node = attacked[pick(attacked.length)] ?? 0;
    const away = pick(3) === 0 ? 60_000 + pick(30_000) : pick(8_000);
    const kinds: (() => Act)[] = [
      () => ({ type: "killSpeaker", node, length: away }),
      () => ({ type: "powerOff", node, length: away }),
      () => ({ type: "stopSpeaker", node, length: 4_000 + pick(4_000) }),
      () => ({ type: "stallSpeaker", node, length: pick(15_000) }),
      () => ({ type: "cut", parts: all.map(() => pick(3)), isLanWhole: pick(3) > 0, length: 5_000 + pick(50_000) }),
      () => ({ type: "unplug", node, length: pick(8_000) }),
    ];
    acts.push({ at, act: kinds[pick(kinds.length)]?.() ?? { type: "compact" } });
  }
  return { seed, nodes, loss: [0, 0.05][pick(2)] ?? 0, config: firstConfig, services, acts };
}

async function judge(history: History) {
  const known = new Known();
  const checker = new OwnershipChecker(bounds);
  let found: string | undefined;
  let leftAcrossCuts = 0;
  const observe = (cluster: SimulatedCluster) => {
    for (const { address, since, what } of checker.add(sampleOf(cluster, known, () => false)))
      found ??= `${address}: ${what}, since ${since} ms`;
    for (const { state, process } of cluster.speakers.values()) {
      if (!process.isRunning) continue;
      for (const { defense } of state.conflicts.defended.values())
        if ([...defense.rivals.values()].some(({ phase, isProven }) => phase === "followed" && isProven)) leftAcrossCuts++;
    }
  };
  const outcome = await run(history, { observe });
  return { ...outcome, problem: outcome.problem ?? found, leftAcrossCuts };
}

test("a host on the LAN without the ring's key makes no address unanswered for longer than 6 s", async (t) => {
  let leftAcrossCuts = 0;
  for (let seed = from; seed < from + count; seed++) {
    const history = drawAttack(seed);
    const outcome = await judge(history);
    leftAcrossCuts += outcome.leftAcrossCuts;
    if (outcome.problem === undefined) continue;
    const shortest = await shrink(history, judge);
    const { problem, transcript } = await judge(shortest);
    assert.fail(`seed ${seed}: ${problem}\n${JSON.stringify(shortest)}\n${transcript.join("\n")}`);
  }
  assert.ok(leftAcrossCuts > 0, "across cuts of the ring addresses are left to whoever proves to have them");
  t.diagnostic(
    `${count} seeds from ${from}; ${leftAcrossCuts} times addresses were seen left to another node across a cut of the ring`,
  );
});
