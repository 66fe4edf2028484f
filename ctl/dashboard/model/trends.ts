import type { Model, Table, TrendRow } from "./rows.ts";

/** Between two values of a trend. */
export const sampleMs = 10_000;
/** The values that are kept: those of 15 minutes. */
export const maxSamples = 90;

/** The trends with one value more each. @param before the model when the last values were taken */
export function withSample(trends: Table<TrendRow>, before: Model, now: Model): Table<TrendRow> {
  const values: Readonly<Record<TrendRow["id"], number | null>> = {
    moved: movedBetween(before, now),
    sessions: now.peers.size === 0 ? null : [...now.peers.values()].filter(({ session }) => session === "established").length,
    roundTrip: median([...now.nodes.values()].flatMap(({ roundTrips }) => Object.values(roundTrips))),
  };
  const ids = Object.keys(values) as TrendRow["id"][];
  return new Map(
    ids.map((id) => [id, { id, values: [...(trends.get(id)?.values ?? []), values[id]].slice(-maxSamples) }] as const),
  );
}

/** How many addresses other nodes announce than before. */
function movedBetween(before: Model, now: Model): number {
  let moved = 0;
  for (const { id, addresses } of now.services.values()) {
    const earlier = before.services.get(id)?.addresses ?? [];
    for (const { address, protocol, nodes } of addresses) {
      const old = earlier.find((one) => one.address === address && one.protocol === protocol);
      if (old !== undefined && old.nodes.length > 0 && old.nodes.join() !== nodes.join()) moved++;
    }
  }
  return moved;
}

function median(numbers: readonly number[]): number | null {
  return Float64Array.from(numbers).sort()[numbers.length >> 1] ?? null; // A million with 1,000 nodes.
}
