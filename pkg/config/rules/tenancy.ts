import { AddressRange, Prefix, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";
import type { LabelSelector, NamespaceSet, Pool, Quota, Reservation, ReservationHolder } from "../config.ts";
import { type Place, placesOf, readNames } from "../problems.ts";
import type { RawList, RawPool, RawQuota, RawReservation, RawSelector } from "../shape/raw.ts";
import { type AddressEntry, checkOverlaps, type PlacedRange, parseAddresses, readRanges } from "./addresses.ts";
import { matchesSelector, readSelectors } from "./selectors.ts";

type Tenancy = Pick<Pool, "fence" | "priority" | "closed" | "sharing" | "reservations">;

/** Reads which Services may have addresses of a pool, which may share them, and the reservations. */
export function readTenancy(fields: RawPool, at: Place, ranges: readonly AddressEntry[]): Tenancy {
  const namespaces = readNamespaces(fields, at);
  const serviceSelectors = readSelectors(fields["service-selectors"] ?? [], at.in("service-selectors"));
  if (serviceSelectors.length > 0 && !isFenced(namespaces))
    at.in("service-selectors").warn(
      "whoever makes a Service chooses its labels: this sorts Services, and keeps nobody out; namespaces or namespace-selectors do",
    );
  const isForOne = namespaces.namespaces.length === 1 && namespaces.namespaceSelectors.length === 0;
  if (isFenced(namespaces) && !isForOne && fields.sharing === undefined)
    at.in("name").warn(
      'Services of different namespaces may share addresses of this pool; with "sharing: namespace" only those of one may, "sharing: cluster" says that it is meant so',
    );
  return {
    fence: { ...namespaces, serviceSelectors },
    priority: fields.priority,
    closed: fields.closed ?? false,
    sharing: fields.sharing ?? "cluster",
    reservations: readReservations(fields, at, ranges, namespaces),
  };
}

/** Reads `namespaces` and `namespace-selectors`, of a pool, an advertisement or a quota. */
export function readNamespaces(
  fields: { readonly namespaces?: RawList<string>; readonly "namespace-selectors"?: RawList<RawSelector> },
  at: Place,
): NamespaceSet {
  const places = placesOf(fields.namespaces, at.in("namespaces"));
  for (const [name, here] of places) if (!isLabel(name)) here.error(notAName("namespace", name));
  const selecting = at.in("namespace-selectors");
  const namespaceSelectors = readSelectors(fields["namespace-selectors"] ?? [], selecting);
  return { namespaces: [...places.keys()].filter(isLabel), namespaceSelectors };
}

export function readQuotas(raw: RawList<RawQuota> | undefined, places: Place, pools: readonly Pool[]): Quota[] {
  const known = new Set(pools.map(({ name }) => name));
  const quotas: Quota[] = [];
  for (const [fields, at] of places.each(raw)) {
    const { ipv4, ipv6, services, together = false } = fields;
    if (ipv4 === undefined && ipv6 === undefined && services === undefined)
      at.error('limits nothing: at least one of "ipv4", "ipv6" and "services" is needed');
    const names = readNames(fields.pools, at.in("pools"), "address-pools", known);
    quotas.push({ ...readNamespaces(fields, at), pools: names, together, ipv4, ipv6, services });
  }
  return quotas;
}

type Labels = Readonly<Record<string, string>>;

/** The labels of namespaces by their names. No selector matches one that is not there: a fence that knows nothing is closed. */
export type NamespaceLabels = ReadonlyMap<string, Labels>;

/** Whether the namespace is one of the set. */
export function isIn(set: NamespaceSet, namespace: string, labels: NamespaceLabels): boolean {
  const { namespaces, namespaceSelectors } = set;
  if (namespaces.length === 0 && namespaceSelectors.length === 0) return true;
  return namespaces.includes(namespace) || anyMatches(namespaceSelectors, labels.get(namespace));
}

/** No selector matches labels that are not known. */
export function anyMatches(selectors: readonly LabelSelector[], labels: Labels | undefined): boolean {
  return labels !== undefined && selectors.some((selector) => matchesSelector(selector, labels));
}

function isFenced({ namespaces, namespaceSelectors }: NamespaceSet): boolean {
  return namespaces.length > 0 || namespaceSelectors.length > 0;
}

function readReservations(
  { name = "", reserved = [] }: RawPool,
  at: Place,
  ranges: readonly AddressEntry[],
  fence: NamespaceSet,
): Reservation[] {
  const reservations: Reservation[] = [];
  const placed: PlacedRange[] = [];
  const allowed = new Set(fence.namespaces);
  const pool = joined(ranges.map(({ range }) => range));
  for (const [entry, here] of at.in("reserved").each(reserved)) {
    const entries =
      typeof entry === "string"
        ? readRanges([entry], at.in("reserved"), parseReserved).map((found) => ({ ...found, at: here }))
        : readRanges(entry.addresses ?? [], here.in("addresses"), parseReserved);
    for (const found of entries) {
      if (!covers(pool, found.range)) found.at.error(`${quote(found.text)} is not inside the pool's addresses`);
      placed.push({ ...found, pool: name, order: placed.length });
    }
    const holder = typeof entry === "string" ? nobody : readHolder(entry, here);
    checkHolder(holder, here, fence, allowed);
    reservations.push({ ranges: entries.map(({ range }) => range), holder });
  }
  checkOverlaps(placed);
  return reservations;
}

const nobody: ReservationHolder = { type: "nobody" };

function readHolder({ service, namespace }: RawReservation, at: Place): ReservationHolder {
  if (service !== undefined && namespace !== undefined)
    at.in("namespace").errorAtKey('not together with "service", which says the namespace, too');
  if (service !== undefined) {
    const parts = service.split("/");
    if (parts.length !== 2 || !parts.every(isLabel))
      at.in("service").error(`must be a Service as "namespace/name", but is ${quote(service)}`);
    return { type: "service", service };
  }
  if (namespace === undefined) return nobody;
  if (!isLabel(namespace)) at.in("namespace").error(notAName("namespace", namespace));
  return { type: "namespace", namespace };
}

/** A fence by labels may let the holder in; one by names alone says whether it does. */
function checkHolder(
  holder: ReservationHolder,
  at: Place,
  { namespaceSelectors }: NamespaceSet,
  allowed: ReadonlySet<string>,
): void {
  if (holder.type === "nobody" || allowed.size === 0 || namespaceSelectors.length > 0) return;
  const namespace = holder.type === "service" ? (holder.service.split("/")[0] ?? "") : holder.namespace;
  if (!allowed.has(namespace))
    at.in(holder.type).error(`the pool is not for namespace ${quote(namespace)}: "namespaces" does not list it`);
}

/** Like `parseAddresses`, and takes a single address too. */
function parseReserved(text: string): AddressRange | string {
  const single = parseAddress(text);
  return single === undefined ? parseAddresses(text) : AddressRange.ofPrefix(new Prefix(single, single.bits));
}

/** The same addresses in as few ranges as can be, by family and first address. */
function joined(ranges: readonly AddressRange[]): AddressRange[] {
  const result: AddressRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.first.compare(b.first))) {
    const before = result.at(-1);
    if (before === undefined || before.family !== range.family || range.first.value > before.last.value + 1n) result.push(range);
    else if (range.last.value > before.last.value) result[result.length - 1] = new AddressRange(before.first, range.last);
  }
  return result;
}

function covers(sorted: readonly AddressRange[], range: AddressRange): boolean {
  let [from, to] = [0, sorted.length]; // Ranges below `from` begin at or before the wanted one.
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((sorted[middle] as AddressRange).first.compare(range.first) <= 0) from = middle + 1;
    else to = middle;
  }
  const found = sorted[from - 1];
  return found?.contains(range.first) === true && found.contains(range.last);
}

const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Whether Kubernetes accepts the name for namespaces and Services (RFC 1123). */
function isLabel(name: string): boolean {
  return label.test(name);
}

function notAName(what: string, name: string): string {
  return `no ${what} is named ${quote(name)}: at most 63 lower case letters, digits and "-", beginning and ending with one of the first two`;
}
