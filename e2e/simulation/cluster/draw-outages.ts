import type { Timed } from "#e2e/faults";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import type { Act, History } from "./history.ts";

// Beyond the seeds of histories.
const outageSeeds = 3 * 2 ** 29;
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

/**
 * A speaker of an earlier version does not say that it has lost the API, and then does not heed the others: where several have lost it, nobody may
 * announce an address.
 */
export function withoutEarlier(acts: readonly Timed<Act>[], outages: readonly Outage[]): Timed<Act>[] {
  const isDuring = (at: Millis, end: Millis) => outages.some(({ from, to }) => at < to && end > from);
  return acts.filter(({ at, act }) => act.type !== "otherVersion" || !isDuring(at, at + act.length));
}
