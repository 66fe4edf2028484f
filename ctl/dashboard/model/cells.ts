import type { ReservedFacts } from "#pkg/allocator";
import { Address, AddressRange, parseAddress, parseRange } from "#pkg/net";
import type { OccupiedRow, PoolRow, ServiceRow, Table } from "./rows.ts";

/** An address of which there is something to say. */
export interface Mark {
  readonly address: Address;
  /** Keys of the Services that have it; several share it. */
  readonly services: readonly string[];
  /** The MAC address of another host that uses it. */
  readonly occupiedBy: string | undefined;
}

/** The use of an address; for several addresses, the last in this list that any of them has. `unknown`: NetBox may have a record of it. */
export const uses = ["free", "unknown", "excluded", "reserved", "held", "shared", "occupied"] as const;
export type Use = (typeof uses)[number];

/** One field of a map: an address, or several in a row. */
export interface Cell {
  readonly range: AddressRange;
  readonly marks: readonly Mark[];
  readonly use: Use;
  /** Owners of reservations in it, in words. */
  readonly keptFor: readonly string[];
  /** Share of its addresses that are not free, from 0 to 1. */
  readonly fill: number;
}

const maxCells = 256;

export function useText(use: Use): string {
  return use === "unknown" ? "free if NetBox has no record of it" : use;
}

/** Marks of every address that is held or occupied, sorted. */
export function marksOf(services: Table<ServiceRow>, occupied: Table<OccupiedRow>): readonly Mark[] {
  const holders = new Map<string, string[]>(); // address -> Services
  for (const { id, addresses } of services.values())
    for (const { address } of addresses) holders.set(address, [...(holders.get(address) ?? []), id]);
  const marks = [...new Set([...holders.keys(), ...occupied.keys()])].flatMap((text): Mark[] => {
    const address = parseAddress(text);
    return address === undefined ? [] : [{ address, services: holders.get(text) ?? [], occupiedBy: occupied.get(text)?.mac }];
  });
  return marks.sort((a, b) => a.address.compare(b.address));
}

/** Ranges as the answers have them; other texts are left out. */
export function rangesOf(texts: readonly string[]): readonly AddressRange[] {
  return texts.map((text) => parseRange(text)).filter((range) => range instanceof AddressRange);
}

/** Marks in the range, from a sorted list. */
export function marksIn(marks: readonly Mark[], range: AddressRange): readonly Mark[] {
  const from = lowerBound(marks, (address) => address.compare(range.first) >= 0);
  const to = lowerBound(marks, (address) => address.compare(range.last) > 0);
  return marks.slice(from, to);
}

/**
 * A range as fields of equal size, a power of two, at most 256 of them: one for each address if that many are enough.
 * @param marks sorted, of any addresses
 */
export function cellsOf(range: AddressRange, marks: readonly Mark[], pool: PoolRow): readonly Cell[] {
  const { first, last, family } = range;
  const size = last.value - first.value + 1n;
  let step = 1n;
  while (size > step * BigInt(maxCells)) step *= 2n;
  const reserved = (pool.reserved ?? []).map((one) => ({ ranges: rangesOf(one.ranges), keptFor: holderText(one) }));
  const cells: Cell[] = [];
  for (let value = first.value; value <= last.value; value += step) {
    const end = value + step - 1n < last.value ? value + step - 1n : last.value;
    const part = new AddressRange(new Address(family, value), new Address(family, end));
    cells.push(cellOf(part, marksIn(marks, part), reserved, pool));
  }
  return cells;
}

interface Reserved {
  readonly ranges: readonly AddressRange[];
  readonly keptFor: string;
}

function holderText({ service, namespace }: ReservedFacts): string {
  return service ?? (namespace === undefined ? "nobody" : `namespace ${namespace}`);
}

function cellOf(range: AddressRange, marks: readonly Mark[], reserved: readonly Reserved[], pool: PoolRow): Cell {
  const size = Number(range.last.value - range.first.value + 1n);
  const octet = range.first.value & 255n;
  const isBuggy = range.family === "IPv4" && (octet === 0n || octet === 255n); // As pkg/config has it, which is too large for a page.
  const found: Use[] = marks.map(useOf);
  const keptFor = reserved.filter(({ ranges }) => ranges.some((one) => one.overlaps(range))).map((one) => one.keptFor);
  if (keptFor.length > 0) found.push("reserved");
  const isKept = (pool.avoidBuggyIPs === true && isBuggy) || pool.slots?.some(({ address }) => address === `${range.first}`);
  if (pool.closed === true || (size === 1 && isKept)) found.push("excluded");
  const unused = pool.netbox === true ? "unknown" : "free";
  const use = found.reduce<Use>((one, other) => (uses.indexOf(other) > uses.indexOf(one) ? other : one), unused);
  return { range, marks, use, keptFor, fill: marks.length / size };
}

/** The use of an address that is marked. */
function useOf({ services, occupiedBy }: Mark): Use {
  if (occupiedBy !== undefined) return "occupied";
  return services.length > 1 ? "shared" : "held";
}

/** Index of the first one for which `holds`, in a list where it holds for all that follow. */
function lowerBound(marks: readonly Mark[], holds: (address: Address) => boolean): number {
  let [from, to] = [0, marks.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (holds((marks[middle] as Mark).address)) to = middle;
    else from = middle + 1;
  }
  return from;
}
