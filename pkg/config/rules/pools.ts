import { AddressRange, type Prefix, parseAddress, parsePrefix, parseRange } from "#pkg/net";
import { quote } from "#pkg/text";
import type { ConflictProbe, L2Placement, Pool, Protocol } from "../config.ts";
import { limits } from "../limits.ts";
import { formatPath, type Path, type Problems } from "../problems.ts";
import type { RawList, RawPool } from "../shape/raw.ts";
import { type Known, readAdvertisements } from "./advertisements.ts";
import { readInterfaces } from "./interfaces.ts";
import { type Budget, readSelectors } from "./selectors.ts";

/** Reads `address-pools`. Of pools with a problem only what can be read is in the result. */
export function readPools(raw: RawList<RawPool>, known: Known, problems: Problems): Pool[] {
  const pools: Pool[] = [];
  const names = new Map<string, number>(); // name -> index
  const placed: PlacedRange[] = [];
  const budget = { cidrs: limits.cidrs, comparisons: limits.comparisons };
  for (const [index, fields] of raw.entries()) {
    if (fields === undefined) continue;
    const path = ["address-pools", index];
    const name = fields.name ?? "";
    const same = names.get(name);
    if (same !== undefined && name !== "")
      problems.error([...path, "name"], `${quote(name)} is already the name of address-pools[${same}]`);
    else names.set(name, index);
    const ranges = readRanges(fields.addresses ?? [], [...path, "addresses"], problems);
    for (const entry of ranges) placed.push({ ...entry, pool: name, order: placed.length });
    pools.push(readPool(fields, path, ranges, known, budget, problems));
  }
  checkOverlaps(placed, problems);
  return pools;
}

interface Entry {
  readonly range: AddressRange;
  readonly text: string;
  readonly path: Path;
}

function readRanges(raw: RawList<string>, path: Path, problems: Problems): Entry[] {
  const ranges: Entry[] = [];
  for (const [index, text] of raw.entries()) {
    if (text === undefined) continue;
    const range = parseAddresses(text);
    if (typeof range === "string") problems.error([...path, index], range);
    else ranges.push({ range, text, path: [...path, index] });
  }
  return ranges;
}

function readPool(
  fields: RawPool,
  path: Path,
  ranges: readonly Entry[],
  known: Known,
  budget: Budget & { cidrs: number },
  problems: Problems,
): Pool {
  const protocol = fields.protocol ?? "layer2";
  const entries = ranges.map(({ range, path }) => spend(range, path, budget, problems)); // The CIDRs of each.
  const advertised = [...path, "bgp-advertisements"];
  const raw = onlyFor("bgp", fields.protocol, fields["bgp-advertisements"] ?? [], advertised, problems);
  const advertisements =
    fields.protocol === "layer2" ? [] : readAdvertisements(raw, advertised, known, entries, budget, problems);
  const selecting = [...path, "node-selectors"];
  const selectors = onlyFor("layer2", fields.protocol, fields["node-selectors"] ?? [], selecting, problems);
  const answering = [...path, "interfaces"];
  const interfaces = onlyFor("layer2", fields.protocol, fields.interfaces ?? [], answering, problems);
  return {
    name: fields.name ?? "",
    protocol,
    ranges: ranges.map(({ range }) => range),
    cidrs: entries.flat(),
    autoAssign: fields["auto-assign"] ?? true,
    avoidBuggyIPs: fields["avoid-buggy-ips"] ?? false,
    advertisements,
    nodeSelectors: readSelectors(selectors, selecting, problems),
    interfaces: readInterfaces(interfaces, answering, problems),
    ...readLayer2(fields, path, problems),
  };
}

function readLayer2(fields: RawPool, path: Path, problems: Problems): { l2Placement: L2Placement; conflictProbe: ConflictProbe } {
  for (const field of ["l2-placement", "conflict-probe"] as const)
    if (fields[field] !== undefined && fields.protocol === "bgp")
      problems.errorAtKey([...path, field], 'only a pool with "protocol: layer2" can have this');
  const placement = fields["l2-placement"] ?? "hash";
  return {
    l2Placement: { subnet: placement.endsWith("subnet"), sticky: placement.startsWith("sticky") },
    conflictProbe: fields["conflict-probe"] ?? "report",
  };
}

/** A list that pools of one protocol may have; none, with the reason reported, where the pool is known to be of the other. */
function onlyFor<T>(
  protocol: Protocol,
  actual: Protocol | undefined,
  list: RawList<T>,
  path: Path,
  problems: Problems,
): RawList<T> {
  if (actual === undefined || actual === protocol || list.length === 0) return list;
  problems.errorAtKey(path, `only a pool with "protocol: ${protocol}" can have these`);
  return [];
}

/** The range's CIDRs, as long as all ranges together need no more of them than is sensible. */
function spend(range: AddressRange, path: Path, budget: { cidrs: number }, problems: Problems): Prefix[] {
  if (budget.cidrs < 0) return [];
  const cidrs = range.toPrefixes();
  budget.cidrs -= cidrs.length;
  if (budget.cidrs < 0) problems.error(path, `the addresses up to here need more than ${limits.cidrs} CIDRs`);
  return cidrs;
}

/** Reads an entry of `addresses`: a CIDR, whose host bits are cleared, or `first-last`. Otherwise says what is wrong. */
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
  readonly path: Path;
  /** Its place among all entries of the text. */
  readonly order: number;
}

/** Refuses every entry that shares addresses with one above it, naming one such entry. Takes n log n time. */
export function checkOverlaps(entries: readonly PlacedRange[], problems: Problems): void {
  const sorted = entries.toSorted((a, b) => a.range.first.compare(b.range.first) || a.order - b.order);
  const refused = new Set<PlacedRange>();
  let furthest: PlacedRange | undefined; // Of the entries so far, the one that ends last: an overlap always shows against it.
  for (const entry of sorted) {
    if (furthest?.range.overlaps(entry.range)) {
      const [above, below] = furthest.order < entry.order ? [furthest, entry] : [entry, furthest];
      if (!refused.has(below)) {
        const other = `${quote(above.text)} in pool ${quote(above.pool)} (${formatPath(above.path)})`;
        problems.error(below.path, `${quote(below.text)} shares addresses with ${other}`);
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
