import { parseDuration } from "#pkg/clock";
import type { AddressRange } from "#pkg/net";
import { quote } from "#pkg/text";
import { protocols as allProtocols, hasOwners, type Layer2Advertisement, type Pool, type Protocol } from "../config.ts";
import { limits } from "../limits.ts";
import { Names, type Place, placesOf } from "../problems.ts";
import type { RawList, RawPool } from "../shape/raw.ts";
import { type AddressEntry, checkOverlaps, type PlacedRange, readRanges } from "./addresses.ts";
import { type KnownNames, readAdvertisements } from "./advertisements.ts";
import { readInterfaces } from "./interfaces.ts";
import { readKernel } from "./kernel.ts";
import { readNetbox } from "./netbox.ts";
import { type Budget, readPreferredNodes, readSelectors } from "./selectors.ts";
import { readServices } from "./service-policy.ts";
import { checkSlots, type PlacedSlots, readSlots } from "./slots.ts";
import { readTenancy } from "./tenancy.ts";

/** Reads `address-pools`. If a pool has a problem, the result has only its readable parts. */
export function readPools(raw: RawList<RawPool> | undefined, places: Place, known: KnownNames): Pool[] {
  const pools: Pool[] = [];
  const names = new Names();
  const placed: PlacedRange[] = [];
  const slots: PlacedSlots[] = [];
  const budget = { cidrs: limits.cidrs, comparisons: limits.comparisons };
  for (const [fields, at] of places.each(raw)) {
    const { name = "" } = fields;
    if (name !== "") names.add(name, at);
    const entries = readRanges(fields.addresses ?? [], at.in("addresses"));
    for (const entry of entries) placed.push({ ...entry, pool: name, order: placed.length });
    const pool = readPool(fields, at, entries, known, budget);
    pools.push(pool);
    if (pool.nextHopSlots.length > 0) slots.push({ pool, at: at.in("next-hop-slots") });
  }
  checkOverlaps([...placed, ...checkSlots(slots, placed.length)]);
  return pools;
}

/** Says of pools by BGP alone that nobody is told of them; routes to slots may be static. */
export function warnOfNoPeers(pools: readonly Pool[], at: Place): void {
  for (const [index, { protocols, nextHopSlots }] of pools.entries())
    if (protocols.length === 1 && protocols[0] === "bgp" && nextHopSlots.length === 0)
      at.in(index, "protocol").warn("no router hears of its addresses: there are no peers; add one under peers");
}

function readPool(
  fields: RawPool,
  at: Place,
  entries: readonly AddressEntry[],
  known: KnownNames,
  budget: Budget & { cidrs: number },
): Pool {
  const protocols = readProtocols(fields.protocol, at.in("protocol"));
  for (const { range, at } of entries) spend(range, at, budget);
  const ranges = entries.map(({ range }) => range);
  const advertised = at.in("bgp-advertisements");
  const raw = onlyFor(["bgp"], protocols, fields["bgp-advertisements"] ?? [], advertised);
  const advertisements = protocols?.includes("bgp") === false ? [] : readAdvertisements(raw, advertised, known, ranges, budget);
  const nextHopSlots = readSlots(fields["next-hop-slots"], protocols, at.in("next-hop-slots"));
  const selecting = at.in("node-selectors");
  const hasSlots = nextHopSlots.length > 0;
  const selectors = onlyFor(
    hasSlots ? allProtocols : ["layer2", "interface"],
    protocols,
    fields["node-selectors"] ?? [],
    selecting,
  );
  const kernel = readKernel(fields, protocols, at, ranges);
  const owned = { protocols, kernel, at };
  const answers = hasSlots ? (fields.interfaces ?? []) : listOfOwners(fields, "interfaces", owned);
  const preferring = at.in("preferred-nodes");
  const answering = at.in("interfaces");
  const pool: Pool = {
    name: fields.name ?? "",
    protocols: protocols ?? ["layer2"],
    ranges,
    autoAssign: fields["auto-assign"] ?? true,
    avoidBuggyIPs: fields["avoid-buggy-ips"] ?? false,
    ...readTenancy(fields, at, entries),
    netbox: fields.netbox && readNetbox(fields, fields.netbox, at.in("netbox"), entries),
    advertisements,
    nextHopSlots,
    nodeSelectors: readSelectors(selectors, selecting),
    preferredNodes: readPreferredNodes(listOfOwners(fields, "preferred-nodes", owned), preferring),
    interfaces: readInterfaces(answers, answering),
    layer2Advertisements: [],
    ...readOwners(fields, owned),
    announceWhen: fields["announce-when"] ?? "delivering",
    kernel,
  };
  const { "layer2-advertisements": onLayer2 = [] } = fields;
  if (onLayer2.length === 0) return pool;
  return { ...pool, layer2Advertisements: readLayer2(onLayer2, pool, at.in("layer2-advertisements")) };
}

function readLayer2(raw: NonNullable<RawPool["layer2-advertisements"]>, pool: Pool, at: Place): readonly Layer2Advertisement[] {
  const { protocols, nextHopSlots } = pool;
  if (!protocols.includes("layer2") || protocols.includes("interface") || nextHopSlots.length > 0)
    at.errorAtKey('only a pool with "protocol: layer2" can have these, without "interface" and next-hop-slots');
  return Array.from(at.each(raw), ([fields, here]) => {
    const { "node-selectors": selectors, "preferred-nodes": preferred, interfaces } = fields;
    const own = {
      nodeSelectors: selectors && readSelectors(selectors, here.in("node-selectors")),
      preferredNodes: preferred && readPreferredNodes(preferred, here.in("preferred-nodes")),
      interfaces: interfaces && readInterfaces(interfaces, here.in("interfaces")),
    };
    const { nodeSelectors = pool.nodeSelectors, preferredNodes = pool.preferredNodes, interfaces: on = pool.interfaces } = own;
    return { services: readServices(fields, here), pool: { ...pool, nodeSelectors, preferredNodes, interfaces: on } };
  });
}

/** In the order of `protocols`; undefined where they cannot be read. */
function readProtocols(raw: RawPool["protocol"], at: Place): readonly Protocol[] | undefined {
  if (raw === undefined) return undefined;
  if (raw === "none") return [];
  const named = typeof raw === "string" ? [raw] : raw;
  placesOf(named, at);
  return named.includes(undefined) ? undefined : allProtocols.filter((protocol) => named.includes(protocol));
}

/** A pool, as far as it says whether its addresses have owners. */
interface OwnedPool extends Pick<Pool, "kernel"> {
  /** Undefined where they could not be read. */
  readonly protocols: readonly Protocol[] | undefined;
  readonly at: Place;
}

type OwnerFields = Pick<Pool, "l2Placement" | "conflictProbe" | "selfTestMs" | "keepConnections">;

function readOwners(fields: RawPool, { protocols, kernel, at }: OwnedPool): OwnerFields {
  const reason = whyWithoutOwners(protocols, kernel);
  for (const field of ["l2-placement", "conflict-probe", "self-test", "keep-connections"] as const)
    if (fields[field] !== undefined && reason !== undefined) at.in(field).errorAtKey(`only ${reason} can have this`);
  const placement = fields["l2-placement"] ?? "hash";
  const isOnNic = kernel !== undefined && kernel.placement !== "routed";
  return {
    l2Placement: { subnet: isOnNic || placement.endsWith("subnet"), sticky: placement.startsWith("sticky") },
    conflictProbe: fields["conflict-probe"] ?? "report",
    keepConnections: reason === undefined && fields["keep-connections"] === true,
    ...readSelfTest(fields["self-test"], at.in("self-test")),
  };
}

/** None, with the reason reported, where the pool is known to have no owners. */
function listOfOwners<Field extends "preferred-nodes" | "interfaces">(
  fields: RawPool,
  field: Field,
  { protocols, kernel, at }: OwnedPool,
): NonNullable<RawPool[Field]> | readonly never[] {
  const list = fields[field] ?? [];
  const reason = whyWithoutOwners(protocols, kernel);
  if (list.length === 0 || reason === undefined) return list;
  at.in(field).errorAtKey(`only ${reason} can have these`);
  return [];
}

/** The condition for owners that the pool fails; undefined if its addresses have owners, or if that is not known. */
function whyWithoutOwners(protocols: OwnedPool["protocols"], kernel: Pool["kernel"]): string | undefined {
  if (protocols === undefined || hasOwners({ protocols, kernel })) return undefined;
  const orOnNic = kernel === undefined ? "" : ', or with "placement: lan" or "auto",';
  return `a pool with "protocol: layer2"${orOnNic}`;
}

function readSelfTest(text: string | undefined, at: Place): Pick<Pool, "selfTestMs"> {
  if (text === undefined) return {};
  const time = parseDuration(text);
  const selfTestMs = (time ?? 0) / 1e6;
  if (time === undefined) at.error(`must be a duration such as "30s", but is ${quote(text)}`);
  else if (time !== 0 && (selfTestMs < 10_000 || selfTestMs > 3_600_000))
    at.error(`must be 0s, or 10s to 1h, but is ${quote(text)}`);
  return { selfTestMs };
}

/** A list that pools with one of some protocols may have; none, with the reason reported, where the pool is known to be without them. */
function onlyFor<T>(
  needed: readonly Protocol[],
  actual: readonly Protocol[] | undefined,
  list: RawList<T>,
  at: Place,
): RawList<T> {
  if (actual === undefined || list.length === 0 || needed.some((protocol) => actual.includes(protocol))) return list;
  const protocols = needed.map((protocol) => `"protocol: ${protocol}"`).join(" or ");
  at.errorAtKey(`only a pool with ${protocols} can have these`);
  return [];
}

/** Refuses the range with which all together need more CIDRs than is sensible. */
function spend(range: AddressRange, at: Place, budget: { cidrs: number }): void {
  if (budget.cidrs < 0) return;
  budget.cidrs -= range.prefixCount;
  if (budget.cidrs < 0) at.error(`the addresses up to here need more than ${limits.cidrs} CIDRs`);
}
