import { type Address, parseAddress } from "#pkg/net";
import type { Occupant } from "#pkg/quarantine";

// Enough for a host that has part of a pool; one that answers for every address must not take all of it away.
const maxPerNode = 100;

/**
 * Which of the entries of `ingot-conflicts` count: address -> the host that has it, in words. Each speaker's token can write any entry, so of
 * those that one node reports only so many count, and `mayCount` decides on each address. Entries that count already come first, then
 * those that are older.
 */
export function heedReported(
  reported: ReadonlyMap<string, Occupant>,
  before: ReadonlyMap<string, string>,
  mayCount: (address: Address, counts: boolean) => boolean,
): Map<string, string> {
  const counted = new Map<string, number>(); // node -> entries that count
  const heeded = new Map<string, string>();
  const sorted = [...reported].sort(
    ([a, { since }], [b, other]) => Number(before.has(b)) - Number(before.has(a)) || compare(since, other.since) || compare(a, b),
  );
  for (const [text, occupant] of sorted) {
    const address = parseAddress(text);
    const count = counted.get(occupant.node) ?? 0;
    if (address === undefined || count === maxPerNode || !mayCount(address, before.has(text))) continue;
    counted.set(occupant.node, count + 1);
    heeded.set(text, describeOccupant(occupant));
  }
  return heeded;
}

function describeOccupant({ mac, node, interface: name }: Occupant): string {
  return `${mac || "an unknown MAC address"}${node === "" ? "" : `, seen on ${name} of node ${node}`}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
