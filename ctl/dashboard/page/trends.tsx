import { count } from "#pkg/text";
import type { Model, TrendRow } from "../model/rows.ts";
import { maxSamples } from "../model/trends.ts";

const shown: readonly { readonly id: TrendRow["id"]; readonly title: string; readonly text: (value: number) => string }[] = [
  { id: "moved", title: "Addresses moved", text: count },
  { id: "sessions", title: "BGP sessions", text: count },
  { id: "roundTrip", title: "Round trip on the ring", text: (ms) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` },
];

/** The last quarter of an hour, as lines without axes: their numbers are the latest and the highest. */
export function Trends({ model }: { readonly model: Model }) {
  return (
    <section class="trends" aria-label="The last 15 minutes">
      {shown.map(({ id, title, text }) => {
        const values = model.trends.get(id)?.values ?? [];
        const known = values.filter((value) => value !== null);
        const [last, most] = [known.at(-1), Math.max(...known)];
        if (last === undefined) return null;
        const caption = `${title}: ${text(last)}${most > last ? `, at most ${text(most)}` : ""}`;
        return (
          <figure key={id}>
            <svg viewBox={`0 0 ${maxSamples - 1} 1`} preserveAspectRatio="none" aria-hidden="true">
              {lines(values, most).map((points) => (
                <polyline key={points} points={points} />
              ))}
            </svg>
            <figcaption>{caption}</figcaption>
          </figure>
        );
      })}
    </section>
  );
}

/** One line for each stretch of known values; the latest is at the right. */
function lines(values: TrendRow["values"], most: number): string[] {
  const stretches: string[][] = [[]];
  for (const [index, value] of values.entries()) {
    const x = maxSamples - values.length + index;
    if (value === null) stretches.push([]);
    else stretches.at(-1)?.push(`${x},${(0.95 - (0.9 * value) / Math.max(most, 1e-9)).toFixed(3)}`);
  }
  return stretches.filter(({ length }) => length > 0).map((points) => points.join(" "));
}
