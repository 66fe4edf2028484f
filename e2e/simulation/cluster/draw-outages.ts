import type { Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import type { ServiceSpec } from "./api/objects.ts";
import { type Act, firstConfig, type History } from "./history.ts";

// Beyond the seeds of histories.
const outageSeeds = 3 * 2 ** 29;
const besideSeeds = 5 * 2 ** 28;
const restoreSeeds = 7 * 2 ** 28;
// Watches begin again by then.
const againMs: Millis = 30_000;

/** From when until when a node sees no changes. */
interface Outage {
  readonly from: Millis;
  readonly to: Millis;
}

/**
 * An outage of the API seldom befalls one node alone: half of those of a history befall others, too, and at times all. It takes no longer by
 * that.
 */
export function widenOutages({ seed, nodes, acts }: Pick<History, "seed" | "nodes" | "acts">): readonly Timed<Act>[] {
  const random = seededRandom(seed + outageSeeds);
  const pick = (limit: number): number => Math.floor(random() * limit);
  const outages: Outage[] = [];
  const added = acts.flatMap(({ at, act }): Timed<Act>[] => {
    if (act.type !== "cutApi" || pick(2) === 0) return [];
    const isOfAll = pick(3) === 0;
    const others = Array.from({ length: nodes }, (_, node) => node).filter((node) => node !== act.node);
    outages.push({ from: at, to: at + act.length + againMs });
    return others.filter(() => isOfAll || pick(3) > 0).map((node) => ({ at, act: { ...act, node } }));
  });
  return [...withoutEarlier(acts, outages), ...added].sort((a, b) => a.at - b.at);
}

/** Speakers begin in the moment in which the API is restored. */
export function restartsAtRestores({ seed, nodes, acts }: Pick<History, "seed" | "nodes" | "acts">): Timed<Act>[] {
  const random = seededRandom(seed + restoreSeeds);
  const pick = (limit: number): number => Math.floor(random() * limit);
  return acts.flatMap(({ at, act }): Timed<Act>[] => {
    if (act.type !== "restore" || pick(4) === 0) return [];
    const some = Array.from({ length: nodes }, (_, node) => node).filter(() => pick(2) === 0);
    const restart = { type: "restartSpeakers", nodes: some, inOrder: pick(2) === 0, length: pick(4_000) } as const;
    return [{ at: Math.max(0, at + pick(4_000) - 2_000), act: restart }];
  });
}

/**
 * A history, drawn by its seed, of Services that people make and change while a speaker of an earlier version runs beside nodes that have lost the API.
 * That one sees the API, and so does one of this version. A node may announce by BGP what it knows of, and for all Services each one serves.
 */
export function drawBesideEarlier(seed: number): History {
  const random = seededRandom(seed + besideSeeds);
  const pick = (limit: number): number => Math.floor(random() * limit);
  const nodes = 3 + pick(3);
  const all = Array.from({ length: nodes }, (_, node) => node);
  const [earlier, aware, ...others] = all.map((node) => ({ node, by: random() })).sort((a, b) => a.by - b.by);
  const pools = ["lan", "sticky", "both", "routed", "strict"] as const;
  const made = (): ServiceSpec => ({
    pool: pools[pick(pools.length)] ?? "lan",
    isDual: false,
    wanted: undefined,
    sharing: undefined,
    port: 80,
    isLocal: false,
    endpoints: all,
  });
  const services = Object.fromEntries(pools.map((pool, index) => [`s${index}`, { ...made(), pool }]));
  const acts: Timed<Act>[] = [{ at: pick(20_000), act: { type: "otherVersion", node: earlier?.node ?? 0, length: 150_000 } }];
  const length = 5_000 + pick(pick(2) === 0 ? 30_000 : 90_000);
  const from = 10_000 + pick(20_000);
  for (const { node } of others) if (pick(4) > 0) acts.push({ at: from + pick(3_000), act: { type: "cutApi", node, length } });
  const isNodes = { node: others[pick(others.length)]?.node ?? 0, length: pick(10_000) };
  for (let count = 2 + pick(4); count > 0; count--) {
    const name = `s${pick(9)}`;
    const kinds: readonly (() => Act)[] = [
      () => ({ type: "service", name, spec: made() }),
      () => ({ type: "service", name, spec: made() }),
      () => ({ type: "service", name, spec: undefined }),
      () => ({ type: "killSpeaker", ...isNodes }),
      () => ({ type: "stopSpeaker", ...isNodes }),
      () => ({ type: "edge", node: aware?.node ?? 0, length: pick(20_000) }),
    ];
    acts.push({ at: from + pick(length), act: kinds[pick(kinds.length)]?.() ?? { type: "compact" } });
  }
  acts.sort((a, b) => a.at - b.at);
  return { seed, nodes, loss: 0, failoverMs: [undefined, 50][pick(2)], config: firstConfig, services, acts };
}

/**
 * A speaker of an earlier version does not say that it has lost the API, and then does not heed the others: where several have lost it, nobody may
 * announce an address.
 */
export function withoutEarlier(acts: readonly Timed<Act>[], outages: readonly Outage[]): Timed<Act>[] {
  const isDuring = (at: Millis, end: Millis) => outages.some(({ from, to }) => at < to && end > from);
  return acts.filter(({ at, act }) => act.type !== "otherVersion" || !isDuring(at, at + act.length));
}
