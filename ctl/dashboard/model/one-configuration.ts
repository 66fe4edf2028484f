import type { ProcessRow } from "./rows.ts";

/** Whether all processes of a version have the same configuration in force. Versions of Ingot make different hashes of one configuration. */
export function haveOneConfiguration(processes: Iterable<ProcessRow>): boolean {
  const versions = Map.groupBy(processes, ({ version }) => version).values();
  return versions.every((those) => new Set(those.flatMap(({ hash }) => hash ?? [])).size <= 1);
}
