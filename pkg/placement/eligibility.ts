import { isIn } from "#pkg/collections";
import { isSlotPool, type LabelSelector, matchesSelector, type Pool } from "#pkg/config";
import type { Reachability, View } from "#pkg/gossip";
import { type Address, type Family, matchesInterface, type Prefix } from "#pkg/net";

export type Labels = Readonly<Record<string, string>>; // label -> value

/** A node with this label, with any value, takes no traffic of load balancers (Kubernetes, well-known labels). */
export const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers";

/** Kubernetes gives a node this taint for as long as its condition NetworkUnavailable is true. MetalLB from 0.13.10 on announces nothing from it. */
export const networkTaint = "node.kubernetes.io/network-unavailable";

/**
 * A node with this taint is shut down; the person who set the taint has made sure of that (KEP-2268): its Pods were deleted by force. It
 * counts as a node without a speaker, even while its own still seems to work.
 */
export const outOfServiceTaint = "node.kubernetes.io/out-of-service";

/**
 * A node with this label gives its addresses and routes to other nodes, as far as others can have them. With the value `when-cordoned` it does so
 * while it is cordoned, so that `kubectl drain` is enough; with `false` never.
 */
export const drainLabel = "ingot.dev/drain";
// Kubernetes' node lifecycle controller adds it to a cordoned node.
export const cordonTaint = "node.kubernetes.io/unschedulable";

/** @param labels see `eligibility` @param taints their keys */
export function isDrained(labels: Labels | undefined, taints: readonly string[] = []): boolean {
  if (labels === undefined || !Object.hasOwn(labels, drainLabel) || labels[drainLabel] === "false") return false;
  return labels[drainLabel] !== "when-cordoned" || taints.includes(cordonTaint);
}

/**
 * Whether a node may announce addresses by a protocol for which `selectors` choose the nodes. `outOfService`: it has the taint; else `notSelected`: no selector matches it; else
 * `excluded`: it has the label, or the taint of a node whose network is unavailable.
 */
export type Eligibility = "eligible" | "excluded" | "notSelected" | "outOfService";

/**
 * @param labels undefined while there is no Node object. Nobody knows then whether a selector matches, also one that asks for the
 * absence of a label: so the node may announce just the pools that take all nodes.
 * @param taints their keys
 */
export function eligibility(
  selectors: readonly LabelSelector[],
  labels: Labels | undefined,
  ignoreExcludeLabel: boolean,
  taints: readonly string[] = [],
): Eligibility {
  if (taints.includes(outOfServiceTaint)) return "outOfService";
  if (!isSelected(selectors, labels)) return "notSelected";
  const isExcluded = (labels !== undefined && Object.hasOwn(labels, excludeLabel)) || taints.includes(networkTaint);
  return isExcluded && !ignoreExcludeLabel ? "excluded" : "eligible";
}

/** Whether any of the selectors matches a node, or there are no selectors. @param labels see `eligibility` */
export function isSelected(selectors: readonly LabelSelector[], labels: Labels | undefined): boolean {
  if (selectors.length === 0) return true;
  return labels !== undefined && selectors.some((selector) => matchesSelector(selector, labels));
}

/** A pool whose addresses have owners, and the nodes with an active speaker by their eligibility. */
export interface PoolNodes {
  readonly pool: Pool;
  /** All of them. The order of these lists is the same. */
  readonly active: readonly string[];
  /** Nodes that are not out of service. */
  readonly inService: readonly string[];
  /** May announce the pool, have an interface for it and, where it puts addresses into kernels, may do that. */
  readonly eligible: readonly string[];
  readonly excluded: readonly string[];
  /** May announce it, and have none. */
  readonly withoutInterface: readonly string[];
  /** May announce it and have an interface for it, but may not put addresses into the kernel. */
  readonly withoutKernelAccess: readonly string[];
  /** Eligible nodes whose view of the API is not current. */
  readonly behind: readonly string[];
  /** Nodes among them whose view is old. */
  readonly outdated: readonly string[];
  /** Eligible nodes that know nothing of views, and elect among all: of earlier versions or other kinds; none where no view is behind. */
  readonly withoutViews: readonly string[];
  /** Eligible nodes that are drained, or have still to start. They have what no other node can have. */
  readonly drained: readonly string[];
  /** Eligible nodes that cannot deliver packets of a family to Pods; none where the pool does not mind, or where that is so of all of them. */
  readonly undelivering: Readonly<Record<Family, readonly string[]>>;
  /** How much each of them is preferred; none where the pool prefers none. */
  readonly weights: ReadonlyMap<string, number>; // node -> sum of the weights of what matches it
  /** The subnets of those with an interface that report theirs, where the pool asks for these; else empty. */
  readonly subnets: ReadonlyMap<string, readonly Prefix[]>; // node -> subnets on interfaces of the pool
}

const terms = new WeakMap<Pool, string>(); // pool -> its terms

/** The fields of a pool on which its nodes depend, as text: pools that are alike have the same nodes. */
export function nodeTerms(pool: Pool): string {
  const known = terms.get(pool);
  if (known !== undefined) return known;
  const { nodeSelectors, preferredNodes, interfaces, l2Placement, keepConnections, announceWhen, kernel } = pool;
  const plain = ({ matchLabels, matchExpressions }: LabelSelector) => [...matchLabels, matchExpressions];
  const preferred = preferredNodes.map(({ weight, selector }) => [weight, plain(selector)]);
  const others = [interfaces, l2Placement, keepConnections, announceWhen, kernel === undefined, isSlotPool(pool)];
  const text = JSON.stringify([nodeSelectors.map(plain), preferred, ...others]);
  terms.set(pool, text);
  return text;
}

export function poolNodes(
  pool: Pool,
  active: readonly string[],
  eligibilityOf: (node: string) => Eligibility,
  reachabilityOf: (node: string) => KnownReachability,
  viewOf: (node: string) => View | "none",
  undeliveringOf: (family: Family) => readonly string[],
  weightOf: (node: string) => number,
  isDrained: (node: string) => boolean,
): PoolNodes {
  const eligibilities = new Map(active.map((node) => [node, eligibilityOf(node)])); // node -> eligibility
  const those = (wanted: Eligibility) => active.filter((node) => eligibilities.get(node) === wanted);
  const may = those("eligible");
  const [withInterface, withoutInterface] = parted(may, (node) => hasInterface(pool, reachabilityOf(node)));
  const [eligible, withoutKernelAccess] = parted(withInterface, (node) => canHaveInKernel(pool, reachabilityOf(node)));
  const inService = active.filter((node) => eligibilities.get(node) !== "outOfService");
  const subnets = new Map<string, readonly Prefix[]>();
  for (const node of pool.l2Placement.subnet ? withInterface : []) {
    const reachability = reachabilityOf(node);
    if (typeof reachability !== "string") subnets.set(node, subnetsFor(pool, reachability));
  }
  const behind = eligible.filter((node) => !["current", "none"].includes(viewOf(node)));
  const outdated = behind.filter((node) => viewOf(node) === "old");
  const withoutViews = behind.length === 0 ? behind : eligible.filter((node) => viewOf(node) === "none");
  const weights = new Map(pool.preferredNodes.length === 0 ? [] : eligible.map((node) => [node, weightOf(node)]));
  const without = { withoutInterface, withoutKernelAccess };
  const failing = (family: Family) => {
    const among = undeliveringOf(family);
    const unable = among.length === 0 ? among : eligible.filter((node) => isIn(among, node));
    return unable.length < eligible.length ? unable : [];
  };
  const undelivering = { IPv4: failing("IPv4"), IPv6: failing("IPv6") };
  const ofNodes = { undelivering, behind, outdated, withoutViews, drained: eligible.filter(isDrained) };
  return { pool, active, inService, eligible, excluded: those("excluded"), ...without, ...ofNodes, weights, subnets };
}

/** The nodes for which this is so, and the others; in the order of all. */
export function parted(
  nodes: readonly string[],
  isSo: (node: string) => boolean,
): readonly [readonly string[], readonly string[]] {
  const [so, others]: [string[], string[]] = [[], []];
  for (const node of nodes) (isSo(node) ? so : others).push(node);
  return [so, others];
}

/** The sum of the weights of all entries of `preferred-nodes` that match a node. @param labels see `eligibility` */
export function preferenceWeight({ preferredNodes }: Pool, labels: Labels | undefined): number {
  let sum = 0;
  for (const { weight, selector } of preferredNodes) if (isSelected([selector], labels)) sum += weight;
  return sum;
}

/** The nodes with the highest weight. */
export function mostPreferred(nodes: readonly string[], weights: PoolNodes["weights"]): readonly string[] {
  if (weights.size === 0) return nodes;
  const highest = Math.max(...nodes.map((node) => weights.get(node) ?? 0));
  const preferred = nodes.filter((node) => (weights.get(node) ?? 0) === highest);
  return preferred.length === nodes.length ? nodes : preferred; // Addresses are to share a list.
}

// Thousands of addresses with the same candidates are to share a list, and the work: of 5,000 nodes 500 may be left out.
const leftOf = new WeakMap<readonly string[], { readonly excluded: readonly string[]; readonly left: readonly string[] }>(); // nodes -> without others

/** The nodes but for those that are excluded, unless no other is left. */
export function without(nodes: readonly string[], excluded: readonly string[]): readonly string[] {
  if (excluded.length === 0) return nodes;
  const known = leftOf.get(nodes);
  if (known?.excluded === excluded) return known.left;
  const those = new Set(excluded);
  const others = nodes.filter((node) => !those.has(node));
  const left = others.length === 0 || others.length === nodes.length ? nodes : others;
  leftOf.set(nodes, { excluded, left });
  return left;
}

/** The eligible nodes that have the address in a subnet, or do not report theirs; all of them where the pool does not ask for that. */
export function eligibleFor(nodes: PoolNodes, address: Address): readonly string[] {
  const { eligible, subnets } = nodes;
  if (subnets.size === 0) return eligible;
  const within = eligible.filter((node) => isInSubnet(nodes, node, address));
  return within.length === eligible.length ? eligible : within; // Thousands of addresses are to share a list.
}

/** Whether the node has the address in a subnet, does not report its own, or need not. */
export function isInSubnet({ subnets }: PoolNodes, node: string, address: Address): boolean {
  return subnets.get(node)?.some((subnet) => subnet.contains(address)) ?? true;
}

/**
 * `notReported`: a node that never reports (a speaker of another kind, or any node without a ring) may announce everything, because it does
 * so whatever others think. `pending`: a node that has not reported yet may announce what any node could.
 */
export type KnownReachability = Reachability | "notReported" | "pending";

/** Whether the node has an interface for the pool. */
export function hasInterface({ interfaces, l2Placement }: Pool, reachability: KnownReachability): boolean {
  if (reachability === "notReported") return true;
  if (reachability === "pending") return interfaces.length === 0 && !l2Placement.subnet;
  if (interfaces.length === 0) return reachability.answers;
  return [...reachability.interfaces.keys()].some((name) => matchesInterface(interfaces, name));
}

/** Whether the node may put the pool's addresses into its kernel, as far as it reports that, or they do not go there. */
export function canHaveInKernel({ kernel }: Pool, reachability: KnownReachability): boolean {
  return kernel === undefined || typeof reachability === "string" || reachability.hasKernelAccess;
}

/** The subnets that the node has on interfaces of the pool. */
export function subnetsFor({ interfaces }: Pick<Pool, "interfaces">, reachability: Reachability): readonly Prefix[] {
  return [...reachability.interfaces].flatMap(([name, subnets]) => (matchesInterface(interfaces, name) ? subnets : []));
}
