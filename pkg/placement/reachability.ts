import type { Pool } from "#pkg/config";
import type { Reachability } from "#pkg/gossip";
import { matchesInterface, type Prefix } from "#pkg/net";

/**
 * Of one that never says (a speaker of another kind, or all where there is no ring): `notReported`, and it may announce everything, because
 * it does so whatever others think. Of one that has not said it yet: `pending`, and it may announce what any node could.
 */
export type KnownReachability = Reachability | "notReported" | "pending";

/** Whether the node has an interface for the pool. */
export function hasInterface({ interfaces, l2Placement }: Pool, reachability: KnownReachability): boolean {
  if (reachability === "notReported") return true;
  if (reachability === "pending") return interfaces.length === 0 && !l2Placement.subnet;
  if (interfaces.length === 0) return reachability.answers;
  return [...reachability.interfaces.keys()].some((name) => matchesInterface(interfaces, name));
}

/** The subnets that the node has on interfaces of the pool. */
export function subnetsFor({ interfaces }: Pool, reachability: Reachability): readonly Prefix[] {
  return [...reachability.interfaces].flatMap(([name, subnets]) => (matchesInterface(interfaces, name) ? subnets : []));
}
