import type { NodeRow } from "./rows.ts";

const sets = new WeakMap<NodeRow, ReadonlySet<string>>(); // Of 1,000 nodes a million pairs are looked up.

/** Nodes whose speakers it counts on. */
export function seenBy(node: NodeRow): ReadonlySet<string> {
  const known = sets.get(node) ?? new Set(node.sees);
  sets.set(node, known);
  return known;
}
