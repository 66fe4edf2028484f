import type { Pool } from "#pkg/config";
import { matchesGlob } from "#pkg/glob";
import type { Prefix } from "#pkg/net";

/** Where a node can answer for addresses on layer 2, as it says itself. */
export interface Reach {
  /** It has an interface that can answer and has a carrier. */
  readonly answers: boolean;
  /** Those interfaces by name, with their subnets; only ones that have a subnet, or that a pool asks for by name. */
  readonly interfaces: ReadonlyMap<string, readonly Prefix[]>;
}

/**
 * Of one that never says (a speaker of another kind, or all where there is no ring): `untold`, and it may announce everything, because
 * it does so whatever others think. Of one that has not said it yet: `awaited`, and it may announce what any node could.
 */
export type KnownReach = Reach | "untold" | "awaited";

/** Whether the node has an interface for the pool. */
export function hasInterface({ interfaces, l2Placement }: Pool, reach: KnownReach): boolean {
  if (reach === "untold") return true;
  if (reach === "awaited") return interfaces.length === 0 && !l2Placement.subnet;
  if (interfaces.length === 0) return reach.answers;
  return [...reach.interfaces.keys()].some((name) => isFor(interfaces, name));
}

/** The subnets that the node has on interfaces of the pool. */
export function subnetsFor({ interfaces }: Pool, reach: Reach): readonly Prefix[] {
  return [...reach.interfaces].flatMap(([name, subnets]) => (isFor(interfaces, name) ? subnets : []));
}

/** Whether interfaces of this name are among those that a pool asks for. @param globs none means all */
export function isFor(globs: readonly string[], name: string): boolean {
  return globs.length === 0 || globs.some((glob) => matchesGlob(glob, name));
}
