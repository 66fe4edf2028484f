import type { NodeRow, ProcessRow } from "./rows.ts";

const sets = new WeakMap<NodeRow, ReadonlySet<string>>(); // Of 1,000 nodes a million pairs are looked up.

/** Nodes whose speakers it counts on. */
export function seenBy(node: NodeRow): ReadonlySet<string> {
  const known = sets.get(node) ?? new Set(node.sees);
  sets.set(node, known);
  return known;
}

/** Whether all processes of a version have the same configuration in force. Those of another version have another hash of the same. */
export function haveOneConfiguration(processes: Iterable<ProcessRow>): boolean {
  const versions = Map.groupBy(processes, ({ version }) => version).values();
  return versions.every((those) => new Set(those.flatMap(({ hash }) => hash ?? [])).size <= 1);
}
