import { AddressRange, parseAddress, parsePrefix, parseRange } from "#pkg/net";
import { quote } from "#pkg/text";
import type { Place } from "../problems.ts";
import type { RawList } from "../shape/raw.ts";

/** One entry of a list of addresses. */
export interface AddressEntry {
  readonly range: AddressRange;
  readonly text: string;
  readonly at: Place;
}

/** @param parse what is wrong with an entry, where it cannot be read */
export function readRanges(raw: RawList<string>, at: Place, parse = parseAddresses): AddressEntry[] {
  const ranges: AddressEntry[] = [];
  for (const [text, here] of at.each(raw)) {
    const range = parse(text);
    if (typeof range === "string") here.error(range);
    else ranges.push({ range, text, at: here });
  }
  return ranges;
}

/** Reads an entry of `addresses`: a CIDR, whose host bits are cleared, or `first-last`. For other text it returns the fault. */
export function parseAddresses(text: string): AddressRange | string {
  if (!text.includes("-")) {
    const prefix = parsePrefix(text);
    if (prefix !== undefined) return AddressRange.ofPrefix(prefix);
    const single = parseAddress(text);
    if (single === undefined)
      return `must be a CIDR such as "192.0.2.0/24" or a range such as "192.0.2.10-192.0.2.20", but is ${quote(text)}`;
    return `must be a CIDR or a range; for this one address write "${single}/${single.bits}"`;
  }
  const range = parseRange(text);
  if (typeof range !== "string") return range;
  const [first, last] = text.split("-");
  switch (range) {
    case "notARange":
      return `must be one range "first-last", but is ${quote(text)}`;
    case "badFirst":
      return `the range begins with ${quote(first?.trim() ?? "")}, which is not an IP address`;
    case "badLast":
      return `the range ends with ${quote(last?.trim() ?? "")}, which is not an IP address`;
    case "mixedFamilies":
      return `the range ${quote(text)} begins in one address family and ends in the other`;
    case "lastBeforeFirst":
      return `the range ${quote(text)} ends before it begins`;
  }
}

/** One entry of some pool's `addresses`. */
export interface PlacedRange {
  readonly range: AddressRange;
  /** The entry as it is written. */
  readonly text: string;
  readonly pool: string;
  readonly at: Place;
  /** Its place among all entries of the text. */
  readonly order: number;
}

/** Refuses every entry that shares addresses with one above it, naming one such entry. Takes n log n time. */
export function checkOverlaps(entries: readonly PlacedRange[]): void {
  const sorted = entries.toSorted((a, b) => a.range.first.compare(b.range.first) || a.order - b.order);
  const refused = new Set<PlacedRange>();
  let furthest: PlacedRange | undefined; // The entry so far that ends last: an overlap always shows against it.
  for (const entry of sorted) {
    if (furthest?.range.overlaps(entry.range)) {
      const [above, below] = furthest.order < entry.order ? [furthest, entry] : [entry, furthest];
      if (!refused.has(below)) {
        const other = `${quote(above.text)} in pool ${quote(above.pool)} (${above.at})`;
        below.at.error(`${quote(below.text)} shares addresses with ${other}`);
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
