import { areSameTexts, isIn } from "#pkg/collections";
import { isSlotPool, type LabelSelector, type Pool } from "#pkg/config";
import { isCentral, type View } from "#pkg/gossip";
import { type Address, type Family, families, type Prefix, parseAddress } from "#pkg/net";
import {
  canHaveInKernel,
  type Eligibility,
  eligibility,
  eligibleFor,
  hasInterface,
  isDrained,
  type KnownReachability,
  nodeTerms,
  outOfServiceTaint,
  type PoolNodes,
  poolNodes,
  preferenceWeight,
} from "#pkg/placement";
import { list, listOf } from "#pkg/text";
import type { NodeFields } from "../events.ts";
import { ownedPlacement, type SpeakerState } from "../state.ts";
import { isHeard, isUntold } from "./followed-nodes.ts";

/** Why a node does not announce what another one does. */
export type NotHere =
  | "notOwner"
  | "nodeExcluded"
  | "nodeOutOfService"
  | "nodeDrained"
  /** The pool's node selectors match other nodes, and not this one. */
  | "nodeNotSelected"
  /** The pool prefers the node that does. */
  | "nodeNotPreferred"
  | "noInterface"
  | "noKernelAccess"
  | "notInSubnet";

const whyNot: Readonly<Record<Exclude<Eligibility, "eligible">, NotHere>> = {
  excluded: "nodeExcluded",
  notSelected: "nodeNotSelected",
  outOfService: "nodeOutOfService",
};

/** Undefined: there is no such node. @returns the pools that another set of nodes may announce now */
export function setNode(state: SpeakerState, node: string, fields: NodeFields | undefined): Pool[] {
  const { nodes } = state;
  const pools = [...nodes.pools].filter(([, { active }]) => isIn(active, node)).map(([pool]) => pool);
  const standings = () => {
    const isAway = isDrainedNode(state, node);
    return pools.map((pool) => standing(state, pool, node, isAway));
  };
  const before = standings();
  const isFirst = nodes.followed.names !== "all" && !nodes.labels.has(node); // By a word that has arrived already.
  if (fields?.unschedulable === true || fields?.deleting === true) nodes.cordoned.add(node);
  else nodes.cordoned.delete(node);
  if (fields === undefined) {
    nodes.labels.delete(node);
    nodes.taints.delete(node);
    nodes.addresses.delete(node);
  } else {
    nodes.labels.set(node, fields.labels);
    nodes.taints.set(node, fields.taints);
    const { internalIPs } = fields;
    if (internalIPs !== undefined)
      nodes.addresses.set(
        node,
        internalIPs.flatMap((text) => parseAddress(text) ?? []),
      );
  }
  const now = standings();
  const changed = pools.filter((_, index) => isFirst || now[index] !== before[index]);
  for (const pool of changed) nodes.pools.delete(pool);
  return changed;
}

/** Nodes can answer elsewhere than before. @returns the pools that another set of nodes may announce now */
export function reachabilityChanged(state: SpeakerState): Pool[] {
  const known = state.nodes.pools;
  const before = [...known];
  known.clear();
  const changed: Pool[] = [];
  const compared = new Map<PoolNodes["inService"], { readonly now: PoolNodes["inService"]; readonly isOther: boolean }>(); // those before -> those now
  for (const [pool, nodes] of before) {
    const now = nodesOf(state, pool);
    const last = compared.get(nodes.inService); // A pool that is alike has the same lists.
    const isOther = last?.now === now.inService ? last.isOther : !isSame(now, nodes);
    compared.set(nodes.inService, { now: now.inService, isOther });
    if (isOther) changed.push(pool);
    else known.set(pool, nodes); // Addresses share the lists of candidates, by which placement sees that nothing is different.
  }
  return changed;
}

/** The nodes with a speaker, by their rights in the pool. */
export function nodesOf(state: SpeakerState, pool: Pool): PoolNodes {
  const { active } = state.members;
  const known = state.nodes.pools.get(pool);
  if (known?.active === active) return known;
  // Pools are many, and most of them alike.
  const alike = state.nodes.pools.values().find((one) => one.active === active && nodeTerms(one.pool) === nodeTerms(pool));
  const nodes = alike === undefined ? newNodesOf(state, pool) : { ...alike, pool };
  state.nodes.pools.set(pool, nodes);
  return nodes;
}

function newNodesOf(state: SpeakerState, pool: Pool): PoolNodes {
  const drained = drainedAmong(state, state.members.active);
  return poolNodes(
    pool,
    state.members.active,
    (node) => standingOf(state, pool, node),
    (node) => reachabilityOf(state, node),
    (node) => viewOf(state, node),
    (family) => undeliveringFor(state, pool, family),
    (node) => preferenceWeight(pool, state.nodes.labels.get(node)),
    (node) => drained.has(node) || isAboutToTake(state, pool, node),
  );
}

/**
 * Whether the node leaves the pool's addresses to others until it can answer for them, as a speaker that starts. Not where others wait for the next
 * owner anyway (sticky pools), or pass connections on to it.
 */
function isAboutToTake({ members }: SpeakerState, pool: Pool, node: string): boolean {
  return isIn(members.starting, node) && pool.l2Placement.sticky !== true && !pool.keepConnections;
}

function viewOf({ members: { gossip, withoutGossip } }: SpeakerState, node: string): View | "none" {
  if (isIn(withoutGossip, node) || gossip?.summary(node)?.knowsViews === false) return "none";
  return gossip?.view(node) ?? "current";
}

/** A speaker of another kind knows of no slots. */
function standingOf(state: SpeakerState, pool: Pool, node: string): Eligibility {
  if (isSlotPool(pool) && isIn(state.members.withoutGossip, node)) return "notSelected";
  return eligibilityOf(state, pool.nodeSelectors, node);
}

/** Active nodes that cannot deliver packets of a family to Pods, where the pool asks for that and all active nodes take it into account. */
export function undeliveringFor(
  { members }: Pick<SpeakerState, "members">,
  { announceWhen }: Pool,
  family: Family,
): readonly string[] {
  const { active, gossip, withoutGossip } = members;
  if (announceWhen === "alive" || gossip === undefined || withoutGossip.length > 0) return [];
  return gossip.undelivering(active, family);
}

/** Further nodes that cannot deliver packets for the address. */
export function undeliveringAt({ members }: Pick<SpeakerState, "members">, pool: Pool, address: Address): readonly string[] {
  const { active, gossip, withoutGossip } = members;
  if (pool.announceWhen === "alive" || gossip === undefined || withoutGossip.length > 0) return [];
  return gossip.undeliveringAt(active, address);
}

/** The part of a pool's layer 2 that depends on the node's labels and taints. */
function standing(state: SpeakerState, pool: Pool, node: string, isAway: boolean): string {
  return `${eligibilityOf(state, pool.nodeSelectors, node)} ${preferenceWeight(pool, state.nodes.labels.get(node))} ${isAway}`;
}

/** Whether the node leaves its addresses to others, which have to know of it: else nobody would announce them. */
export function isDrainedNode(state: Pick<SpeakerState, "nodes" | "members">, node: string): boolean {
  return drainedAmong(state, [node]).size > 0;
}

/** The nodes among these that leave their addresses to others. */
export function drainedAmong({ nodes, members }: Pick<SpeakerState, "nodes" | "members">, among: readonly string[]): Set<string> {
  const drained = among.filter((node) => isDrained(nodes.labels.get(node), nodes.taints.get(node)));
  const { active, gossip, withoutGossip } = members;
  const doAllKnow = () => withoutGossip.length === 0 && active.every((other) => gossip?.knowsDrain(other) !== false);
  return new Set(drained.length > 0 && doAllKnow() ? drained : []);
}

/** Whether the node is to have no routes, as far as others have them. They last until routers prefer those of others. */
export function givesRoutesUp(state: SpeakerState, node: string): boolean {
  return isDrainedNode(state, node) || eligibilityOf(state, [], node) === "excluded";
}

/** @param selectors choose the nodes; none: all */
export function eligibilityOf(state: SpeakerState, selectors: readonly LabelSelector[], node: string): Eligibility {
  const { nodes, ignoreExcludeLabel } = state;
  if (isCentral(node) || isUntold(state, node)) return "notSelected"; // It is no node, or not known yet.
  return eligibility(selectors, nodes.labels.get(node), ignoreExcludeLabel, nodes.taints.get(node));
}

/** Whether no node has to know all that concerns others alone. */
export function isRingLarge({ members, nodes }: Pick<SpeakerState, "members" | "nodes">): boolean {
  return members.active.length >= nodes.followed.rule.fromMembers;
}

/** Nodes with a working speaker that count as without one, by their taint. */
export function outOfServiceNodes({ members, nodes }: Pick<SpeakerState, "members" | "nodes">): readonly string[] {
  return members.active.filter((node) => nodes.taints.get(node)?.includes(outOfServiceTaint));
}

/** Whether Kubernetes has the node, and hears from its kubelet. */
export function isReady({ nodes }: Pick<SpeakerState, "nodes">, node: string): boolean {
  const taints = nodes.taints.get(node);
  return taints !== undefined && isHeard(taints);
}

/** Where the node can announce, as far as it has reported. */
export function reachabilityOf(
  { members: { gossip, withoutGossip } }: Pick<SpeakerState, "members">,
  node: string,
): KnownReachability {
  if (gossip === undefined || isIn(withoutGossip, node)) return "notReported";
  return gossip.reachability(node) ?? "pending";
}

/** The names of interfaces that the pool asks for, and those that these nodes have; empty where it asks for none. */
export function interfacesText(
  { members }: Pick<SpeakerState, "members">,
  pool: Pool | undefined,
  nodes: readonly string[],
): string {
  if (pool === undefined || pool.interfaces.length === 0) return "";
  const each = listOf(nodes, (node) => {
    const reachability = reachabilityOf({ members }, node);
    return `${node} has ${typeof reachability === "string" ? "not said" : [...reachability.interfaces.keys()].join(" ") || "none"}`;
  });
  return ` (it asks for ${list(pool.interfaces)}; ${each})`;
}

/** Whether any node but this one can answer, as far as they have reported. */
export function canOthersAnswer(state: SpeakerState): boolean {
  const others = state.members.active.filter((node) => node !== state.node).map((node) => reachabilityOf(state, node));
  return others.some((one) => one === "notReported" || (one !== "pending" && one.answers));
}

/** Why this node does not announce what its owner, another node, does. */
export function whyNotHere(state: SpeakerState, pool: Pool, address: Address): NotHere {
  const { node } = state;
  const own = eligibilityOf(state, pool.nodeSelectors, node);
  if (own !== "eligible") return whyNot[own];
  if (!hasInterface(pool, reachabilityOf(state, node))) return "noInterface";
  if (!canHaveInKernel(pool, reachabilityOf(state, node))) return "noKernelAccess";
  const nodes = nodesOf(state, pool);
  const within = eligibleFor(nodes, address);
  if (within !== nodes.eligible && nodes.eligible.includes(node) && !within.includes(node)) return "notInSubnet";
  const placement = ownedPlacement(state, address.toString());
  const owner = placement?.owner ?? placement?.rival ?? node; // Contenders are alike.
  if (nodes.drained.includes(node) && !nodes.drained.includes(owner)) return "nodeDrained";
  return (nodes.weights.get(node) ?? 0) < (nodes.weights.get(owner) ?? 0) ? "nodeNotPreferred" : "notOwner";
}

function isSame(a: PoolNodes, b: PoolNodes): boolean {
  return (
    areSameTexts(a.active, b.active) &&
    areSameTexts(a.inService, b.inService) &&
    areSameTexts(a.eligible, b.eligible) &&
    areSameTexts(a.excluded, b.excluded) &&
    areSameTexts(a.withoutInterface, b.withoutInterface) &&
    areSameTexts(a.withoutKernelAccess, b.withoutKernelAccess) &&
    families.every((family) => areSameTexts(a.undelivering[family], b.undelivering[family])) &&
    areSameTexts(a.behind, b.behind) &&
    areSameTexts(a.outdated, b.outdated) &&
    areSameTexts(a.withoutViews, b.withoutViews) &&
    areSameTexts(a.drained, b.drained) &&
    a.weights.size === b.weights.size &&
    a.weights.entries().every(([node, weight]) => b.weights.get(node) === weight) &&
    a.subnets.size === b.subnets.size &&
    a.subnets.entries().every(([node, subnets]) => equalPrefixes(subnets, b.subnets.get(node)))
  );
}

function equalPrefixes(a: readonly Prefix[], b: readonly Prefix[] | undefined): boolean {
  return a.length === b?.length && a.every((prefix, index) => b[index]?.equals(prefix));
}
