import type { AddressRange, Prefix } from "#pkg/net";
import { parseAddresses } from "./addresses.ts";
import { type Known, readAdvertisements } from "./advertisements.ts";
import type { Budget } from "./can-meet.ts";
import type { ConflictProbe, L2Placement, Pool, Protocol } from "./config.ts";
import { readInterfaces } from "./interfaces.ts";
import { limits } from "./limits.ts";
import { checkOverlaps, type PlacedRange } from "./overlaps.ts";
import { type Path, quote } from "./problem.ts";
import type { RawList, RawPool } from "./raw.ts";
import type { Report } from "./report.ts";
import { readSelectors } from "./selectors.ts";

/** Reads `address-pools`. Of pools with a problem only what can be read is in the result. */
export function readPools(raw: RawList<RawPool>, known: Known, report: Report): Pool[] {
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
      report.error([...path, "name"], `${quote(name)} is already the name of address-pools[${same}]`);
    else names.set(name, index);
    const ranges = readRanges(fields.addresses ?? [], [...path, "addresses"], report);
    for (const entry of ranges) placed.push({ ...entry, pool: name, order: placed.length });
    pools.push(readPool(fields, path, ranges, known, budget, report));
  }
  checkOverlaps(placed, report);
  return pools;
}

interface Entry {
  readonly range: AddressRange;
  readonly text: string;
  readonly path: Path;
}

function readRanges(raw: RawList<string>, path: Path, report: Report): Entry[] {
  const ranges: Entry[] = [];
  for (const [index, text] of raw.entries()) {
    if (text === undefined) continue;
    const range = parseAddresses(text);
    if (typeof range === "string") report.error([...path, index], range);
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
  report: Report,
): Pool {
  const protocol = fields.protocol ?? "layer2";
  const entries = ranges.map(({ range, path }) => spend(range, path, budget, report)); // The CIDRs of each.
  const advertised = [...path, "bgp-advertisements"];
  const raw = onlyFor("bgp", fields.protocol, fields["bgp-advertisements"] ?? [], advertised, report);
  const advertisements = fields.protocol === "layer2" ? [] : readAdvertisements(raw, advertised, known, entries, budget, report);
  const selecting = [...path, "node-selectors"];
  const selectors = onlyFor("layer2", fields.protocol, fields["node-selectors"] ?? [], selecting, report);
  const answering = [...path, "interfaces"];
  const interfaces = onlyFor("layer2", fields.protocol, fields.interfaces ?? [], answering, report);
  return {
    name: fields.name ?? "",
    protocol,
    ranges: ranges.map(({ range }) => range),
    cidrs: entries.flat(),
    autoAssign: fields["auto-assign"] ?? true,
    avoidBuggyIPs: fields["avoid-buggy-ips"] ?? false,
    advertisements,
    nodeSelectors: readSelectors(selectors, selecting, report),
    interfaces: readInterfaces(interfaces, answering, report),
    ...readLayer2(fields, path, report),
  };
}

function readLayer2(fields: RawPool, path: Path, report: Report): { l2Placement: L2Placement; conflictProbe: ConflictProbe } {
  for (const field of ["l2-placement", "conflict-probe"] as const)
    if (fields[field] !== undefined && fields.protocol === "bgp")
      report.errorAtKey([...path, field], 'only a pool with "protocol: layer2" can have this');
  const placement = fields["l2-placement"] ?? "hash";
  return {
    l2Placement: { subnet: placement.endsWith("subnet"), sticky: placement.startsWith("sticky") },
    conflictProbe: fields["conflict-probe"] ?? "report",
  };
}

/** A list that pools of one protocol may have; none, with the reason reported, where the pool is known to be of the other. */
function onlyFor<T>(protocol: Protocol, actual: Protocol | undefined, list: RawList<T>, path: Path, report: Report): RawList<T> {
  if (actual === undefined || actual === protocol || list.length === 0) return list;
  report.errorAtKey(path, `only a pool with "protocol: ${protocol}" can have these`);
  return [];
}

/** The range's CIDRs, as long as all ranges together need no more of them than is sensible. */
function spend(range: AddressRange, path: Path, budget: { cidrs: number }, report: Report): Prefix[] {
  if (budget.cidrs < 0) return [];
  const cidrs = range.toPrefixes();
  budget.cidrs -= cidrs.length;
  if (budget.cidrs < 0) report.error(path, `the addresses up to here need more than ${limits.cidrs} CIDRs`);
  return cidrs;
}
