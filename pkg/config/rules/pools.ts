import { parseDuration } from "#pkg/clock";
import type { AddressRange } from "#pkg/net";
import { quote } from "#pkg/text";
import { protocols as allProtocols, hasOwners, type Pool, type Protocol } from "../config.ts";
import { limits } from "../limits.ts";
import { type Path, type Problems, placesOf } from "../problems.ts";
import type { RawList, RawPool } from "../shape/raw.ts";
import { type AddressEntry, checkOverlaps, type PlacedRange, readRanges } from "./addresses.ts";
import { type KnownNames, readAdvertisements } from "./advertisements.ts";
import { readInterfaces } from "./interfaces.ts";
import { readKernel } from "./kernel.ts";
import { readNetbox } from "./netbox.ts";
import { type Budget, readPreferredNodes, readSelectors } from "./selectors.ts";
import { checkSlots, type PlacedSlots, readSlots } from "./slots.ts";
import { readTenancy } from "./tenancy.ts";

/** Reads `address-pools`. If a pool has a problem, the result has only its readable parts. */
export function readPools(raw: RawList<RawPool>, known: KnownNames, problems: Problems): Pool[] {
  const pools: Pool[] = [];
  const names = new Map<string, number>(); // name -> index
  const placed: PlacedRange[] = [];
  const slots: PlacedSlots[] = [];
  const budget = { cidrs: limits.cidrs, comparisons: limits.comparisons };
  for (const [index, fields] of raw.entries()) {
    if (fields === undefined) continue;
    const path = ["address-pools", index];
    const name = fields.name ?? "";
    const same = names.get(name);
    if (same !== undefined && name !== "")
      problems.error([...path, "name"], `${quote(name)} is already the name of address-pools[${same}]`);
    else names.set(name, index);
    const entries = readRanges(fields.addresses ?? [], [...path, "addresses"], problems);
    for (const entry of entries) placed.push({ ...entry, pool: name, order: placed.length });
    const pool = readPool(fields, path, entries, known, budget, problems);
    pools.push(pool);
    if (pool.nextHopSlots.length > 0) slots.push({ pool, path: [...path, "next-hop-slots"] });
  }
  checkOverlaps([...placed, ...checkSlots(slots, placed.length, problems)], problems);
  return pools;
}

/** Says of pools by BGP alone that nobody is told of them; routes to slots may be static. */
export function warnOfNoPeers(pools: readonly Pool[], problems: Problems): void {
  for (const [index, { protocols, nextHopSlots }] of pools.entries())
    if (protocols.length === 1 && protocols[0] === "bgp" && nextHopSlots.length === 0)
      problems.warn(
        ["address-pools", index, "protocol"],
        "no router hears of its addresses: there are no peers; add one under peers",
      );
}

function readPool(
  fields: RawPool,
  path: Path,
  entries: readonly AddressEntry[],
  known: KnownNames,
  budget: Budget & { cidrs: number },
  problems: Problems,
): Pool {
  const protocols = readProtocols(fields.protocol, [...path, "protocol"], problems);
  for (const { range, path } of entries) spend(range, path, budget, problems);
  const ranges = entries.map(({ range }) => range);
  const advertised = [...path, "bgp-advertisements"];
  const raw = onlyFor(["bgp"], protocols, fields["bgp-advertisements"] ?? [], advertised, problems);
  const advertisements =
    protocols?.includes("bgp") === false ? [] : readAdvertisements(raw, advertised, known, ranges, budget, problems);
  const nextHopSlots = readSlots(fields["next-hop-slots"], protocols, [...path, "next-hop-slots"], problems);
  const selecting = [...path, "node-selectors"];
  const hasSlots = nextHopSlots.length > 0;
  const selectors = onlyFor(
    hasSlots ? allProtocols : ["layer2", "interface"],
    protocols,
    fields["node-selectors"] ?? [],
    selecting,
    problems,
  );
  const kernel = readKernel(fields, protocols, path, ranges, problems);
  const owned = { protocols, kernel, path, problems };
  const answers = hasSlots ? (fields.interfaces ?? []) : listOfOwners(fields, "interfaces", owned);
  const preferring = [...path, "preferred-nodes"];
  const answering = [...path, "interfaces"];
  return {
    name: fields.name ?? "",
    protocols: protocols ?? ["layer2"],
    ranges,
    autoAssign: fields["auto-assign"] ?? true,
    avoidBuggyIPs: fields["avoid-buggy-ips"] ?? false,
    ...readTenancy(fields, path, entries, problems),
    netbox: fields.netbox && readNetbox(fields, fields.netbox, [...path, "netbox"], entries, problems),
    advertisements,
    nextHopSlots,
    nodeSelectors: readSelectors(selectors, selecting, problems),
    preferredNodes: readPreferredNodes(listOfOwners(fields, "preferred-nodes", owned), preferring, problems),
    interfaces: readInterfaces(answers, answering, problems),
    ...readOwners(fields, owned),
    announceWhen: fields["announce-when"] ?? "delivering",
    kernel,
  };
}

/** In the order of `protocols`; undefined where they cannot be read. */
function readProtocols(raw: RawPool["protocol"], path: Path, problems: Problems): readonly Protocol[] | undefined {
  if (raw === undefined) return undefined;
  if (raw === "none") return [];
  const named = typeof raw === "string" ? [raw] : raw;
  placesOf(named, path, problems);
  return named.includes(undefined) ? undefined : allProtocols.filter((protocol) => named.includes(protocol));
}

/** A pool, as far as it says whether its addresses have owners. */
interface OwnedPool extends Pick<Pool, "kernel"> {
  /** Undefined where they could not be read. */
  readonly protocols: readonly Protocol[] | undefined;
  readonly path: Path;
  readonly problems: Problems;
}

type OwnerFields = Pick<Pool, "l2Placement" | "conflictProbe" | "selfTestMs" | "keepConnections">;

function readOwners(fields: RawPool, { protocols, kernel, path, problems }: OwnedPool): OwnerFields {
  const reason = whyWithoutOwners(protocols, kernel);
  for (const field of ["l2-placement", "conflict-probe", "self-test", "keep-connections"] as const)
    if (fields[field] !== undefined && reason !== undefined)
      problems.errorAtKey([...path, field], `only ${reason} can have this`);
  const placement = fields["l2-placement"] ?? "hash";
  const isOnNic = kernel !== undefined && kernel.placement !== "routed";
  return {
    l2Placement: { subnet: isOnNic || placement.endsWith("subnet"), sticky: placement.startsWith("sticky") },
    conflictProbe: fields["conflict-probe"] ?? "report",
    keepConnections: reason === undefined && fields["keep-connections"] === true,
    ...readSelfTest(fields["self-test"], [...path, "self-test"], problems),
  };
}

/** None, with the reason reported, where the pool is known to have no owners. */
function listOfOwners<Field extends "preferred-nodes" | "interfaces">(
  fields: RawPool,
  field: Field,
  { protocols, kernel, path, problems }: OwnedPool,
): NonNullable<RawPool[Field]> | readonly never[] {
  const list = fields[field] ?? [];
  const reason = whyWithoutOwners(protocols, kernel);
  if (list.length === 0 || reason === undefined) return list;
  problems.errorAtKey([...path, field], `only ${reason} can have these`);
  return [];
}

/** The condition for owners that the pool fails; undefined if its addresses have owners, or if that is not known. */
function whyWithoutOwners(protocols: OwnedPool["protocols"], kernel: Pool["kernel"]): string | undefined {
  if (protocols === undefined || hasOwners({ protocols, kernel })) return undefined;
  const orOnNic = kernel === undefined ? "" : ', or with "placement: lan" or "auto",';
  return `a pool with "protocol: layer2"${orOnNic}`;
}

function readSelfTest(text: string | undefined, path: Path, problems: Problems): Pick<Pool, "selfTestMs"> {
  if (text === undefined) return {};
  const time = parseDuration(text);
  const selfTestMs = (time ?? 0) / 1e6;
  if (time === undefined) problems.error(path, `must be a duration such as "30s", but is ${quote(text)}`);
  else if (time !== 0 && (selfTestMs < 10_000 || selfTestMs > 3_600_000))
    problems.error(path, `must be 0s, or 10s to 1h, but is ${quote(text)}`);
  return { selfTestMs };
}

/** A list that pools with one of some protocols may have; none, with the reason reported, where the pool is known to be without them. */
function onlyFor<T>(
  needed: readonly Protocol[],
  actual: readonly Protocol[] | undefined,
  list: RawList<T>,
  path: Path,
  problems: Problems,
): RawList<T> {
  if (actual === undefined || list.length === 0 || needed.some((protocol) => actual.includes(protocol))) return list;
  const protocols = needed.map((protocol) => `"protocol: ${protocol}"`).join(" or ");
  problems.errorAtKey(path, `only a pool with ${protocols} can have these`);
  return [];
}

/** Refuses the range with which all together need more CIDRs than is sensible. */
function spend(range: AddressRange, path: Path, budget: { cidrs: number }, problems: Problems): void {
  if (budget.cidrs < 0) return;
  budget.cidrs -= range.prefixCount;
  if (budget.cidrs < 0) problems.error(path, `the addresses up to here need more than ${limits.cidrs} CIDRs`);
}
