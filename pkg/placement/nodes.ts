import { matchesSelector, type Pool } from "#pkg/config";

export type Labels = Readonly<Record<string, string>>; // label -> value

/** A node with this label, whatever its value, takes no traffic of load balancers (Kubernetes, well-known labels). */
export const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers";

/** Whether a node may announce the addresses of a pool. `notSelected`: no selector matches it; else `excluded`: it has the label. */
export type Standing = "eligible" | "excluded" | "notSelected";

/**
 * @param labels undefined while there is no Node object. Nobody can tell then whether a selector matches, also one that asks for the
 * absence of a label: so the node may announce just the pools that take all nodes.
 */
export function standing(pool: Pool, labels: Labels | undefined, ignoreExcludeLabel: boolean): Standing {
  const { nodeSelectors } = pool;
  const selected =
    nodeSelectors.length === 0 || (labels !== undefined && nodeSelectors.some((selector) => matchesSelector(selector, labels)));
  if (!selected) return "notSelected";
  return labels !== undefined && Object.hasOwn(labels, excludeLabel) && !ignoreExcludeLabel ? "excluded" : "eligible";
}

/** A pool, and the nodes with an active speaker by their standing. */
export interface PoolNodes {
  readonly pool: Pool;
  /** All of them. The order of these lists is the same. */
  readonly active: readonly string[];
  readonly eligible: readonly string[];
  readonly excluded: readonly string[];
}

export function poolNodes(pool: Pool, active: readonly string[], standingOf: (node: string) => Standing): PoolNodes {
  const standings = active.map(standingOf);
  const those = (wanted: Standing) => active.filter((_, index) => standings[index] === wanted);
  return { pool, active, eligible: those("eligible"), excluded: those("excluded") };
}
