import type { AddressRange } from "#pkg/net";
import { formatPath, type Path, quote } from "./problem.ts";
import type { Report } from "./report.ts";

/** One entry of some pool's `addresses`. */
export interface PlacedRange {
  readonly range: AddressRange;
  /** The entry as it is written. */
  readonly text: string;
  readonly pool: string;
  readonly path: Path;
  /** Its place among all entries of the text. */
  readonly order: number;
}

/** Refuses every entry that shares addresses with one above it, naming one such entry. Takes n log n time. */
export function checkOverlaps(entries: readonly PlacedRange[], report: Report): void {
  const sorted = entries.toSorted((a, b) => a.range.first.compare(b.range.first) || a.order - b.order);
  const refused = new Set<PlacedRange>();
  let furthest: PlacedRange | undefined; // Of the entries so far, the one that ends last: an overlap always shows against it.
  for (const entry of sorted) {
    if (furthest?.range.overlaps(entry.range)) {
      const [above, below] = furthest.order < entry.order ? [furthest, entry] : [entry, furthest];
      if (!refused.has(below)) {
        const other = `${quote(above.text)} in pool ${quote(above.pool)} (${formatPath(above.path)})`;
        report.error(below.path, `${quote(below.text)} shares addresses with ${other}`);
        refused.add(below);
      }
    }
    if (
      furthest === undefined ||
      furthest.range.family !== entry.range.family ||
      entry.range.last.compare(furthest.range.last) > 0
    )
      furthest = entry;
  }
}
