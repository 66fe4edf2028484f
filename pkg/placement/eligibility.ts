import { type LabelSelector, matchesSelector, type Pool } from "#pkg/config";
import type { Address, Prefix } from "#pkg/net";
import { hasInterface, type KnownReachability, subnetsFor } from "./reachability.ts";

export type Labels = Readonly<Record<string, string>>; // label -> value

/** A node with this label, whatever its value, takes no traffic of load balancers (Kubernetes, well-known labels). */
export const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers";

/** Whether a node may announce the addresses of a pool. `notSelected`: no selector matches it; else `excluded`: it has the label. */
export type Eligibility = "eligible" | "excluded" | "notSelected";

/**
 * @param labels undefined while there is no Node object. Nobody can tell then whether a selector matches, also one that asks for the
 * absence of a label: so the node may announce just the pools that take all nodes.
 */
export function eligibility(pool: Pool, labels: Labels | undefined, ignoreExcludeLabel: boolean): Eligibility {
  if (!isSelected(pool.nodeSelectors, labels)) return "notSelected";
  return labels !== undefined && Object.hasOwn(labels, excludeLabel) && !ignoreExcludeLabel ? "excluded" : "eligible";
}

/** Whether any of the selectors matches a node, or there is none. @param labels see `eligibility` */
export function isSelected(selectors: readonly LabelSelector[], labels: Labels | undefined): boolean {
  if (selectors.length === 0) return true;
  return labels !== undefined && selectors.some((selector) => matchesSelector(selector, labels));
}

/** A pool of protocol `layer2`, and the nodes with an active speaker by what they may. */
export interface PoolNodes {
  readonly pool: Pool;
  /** All of them. The order of these lists is the same. */
  readonly active: readonly string[];
  /** May announce the pool, and have an interface for it. */
  readonly eligible: readonly string[];
  readonly excluded: readonly string[];
  /** May announce it, and have none. */
  readonly withoutInterface: readonly string[];
  /** The subnets of the eligible ones that say theirs, where the pool asks for these; else empty. */
  readonly subnets: ReadonlyMap<string, readonly Prefix[]>; // node -> subnets on interfaces of the pool
}

export function poolNodes(
  pool: Pool,
  active: readonly string[],
  eligibilityOf: (node: string) => Eligibility,
  reachabilityOf: (node: string) => KnownReachability,
): PoolNodes {
  const eligibilities = new Map(active.map((node) => [node, eligibilityOf(node)])); // node -> eligibility
  const those = (wanted: Eligibility) => active.filter((node) => eligibilities.get(node) === wanted);
  const may = those("eligible");
  const eligible = may.filter((node) => hasInterface(pool, reachabilityOf(node)));
  const withoutInterface = may.filter((node) => !eligible.includes(node));
  const subnets = new Map<string, readonly Prefix[]>();
  for (const node of pool.l2Placement.subnet ? eligible : []) {
    const reachability = reachabilityOf(node);
    if (typeof reachability !== "string") subnets.set(node, subnetsFor(pool, reachability));
  }
  return { pool, active, eligible, excluded: those("excluded"), withoutInterface, subnets };
}

/** The eligible nodes that have the address in a subnet, or do not say theirs; all of them where the pool does not ask for that. */
export function eligibleFor({ eligible, subnets }: PoolNodes, address: Address): readonly string[] {
  if (subnets.size === 0) return eligible;
  const within = eligible.filter((node) => subnets.get(node)?.some((subnet) => subnet.contains(address)) ?? true);
  return within.length === eligible.length ? eligible : within; // Thousands of addresses are to share a list.
}
