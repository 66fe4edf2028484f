import type { NodeName } from "../messages.ts";
import type { NodeRecord } from "./ring.ts";

/**
 * Where a node stands among all: 32 bits of a hash (FNV-1a, mixed once more), so that nodes of one rack, which have similar names and
 * often fail together, are not one another's neighbours. All members must agree on it.
 */
export function placeOf(node: NodeName): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < node.length; i++) hash = Math.imul(hash ^ node.charCodeAt(i), 0x0100_0193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** Of those that are eligible, the one whose place follows that of `self`; after the last comes the first. */
export function neighbourOf(
  self: NodeRecord,
  records: readonly NodeRecord[],
  eligible: (record: NodeRecord) => boolean,
): NodeRecord | undefined {
  let nearest: NodeRecord | undefined;
  let least = Infinity;
  for (const record of records) {
    const distance = (record.place - self.place) >>> 0;
    if (record === self || distance >= least || !eligible(record)) continue;
    nearest = record;
    least = distance;
  }
  return nearest;
}
