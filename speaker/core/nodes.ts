import type { Pool } from "#pkg/config";
import type { Address, Prefix } from "#pkg/net";
import {
  type Eligibility,
  eligibility,
  eligibleFor,
  hasInterface,
  type KnownReachability,
  type PoolNodes,
  poolNodes,
} from "#pkg/placement";
import type { NodeFields } from "./events.ts";
import type { SpeakerState } from "./state.ts";

/** Why a node does not announce what another one does. */
export type NotHere =
  | "notOwner"
  | "nodeExcluded"
  | "nodeOutOfService"
  /** The pool's node selectors match other nodes, and not this one. */
  | "nodeNotSelected"
  | "noInterface"
  | "notInSubnet";

const whyNot: Readonly<Record<Exclude<Eligibility, "eligible">, NotHere>> = {
  excluded: "nodeExcluded",
  notSelected: "nodeNotSelected",
  outOfService: "nodeOutOfService",
};

/** Undefined: there is no such node. @returns the pools that another set of nodes may announce now */
export function setNode(state: SpeakerState, node: string, fields: NodeFields | undefined): Pool[] {
  const { nodes } = state;
  const pools = [...nodes.pools].filter(([, { active }]) => active.includes(node)).map(([pool]) => pool);
  const before = pools.map((pool) => eligibilityOf(state, pool, node));
  if (fields === undefined) {
    nodes.labels.delete(node);
    nodes.taints.delete(node);
  } else {
    nodes.labels.set(node, fields.labels);
    nodes.taints.set(node, fields.taints);
  }
  const changed = pools.filter((pool, index) => eligibilityOf(state, pool, node) !== before[index]);
  for (const pool of changed) nodes.pools.delete(pool);
  return changed;
}

/** Nodes can answer elsewhere than before. @returns the pools that another set of nodes may announce now */
export function reachabilityChanged(state: SpeakerState): Pool[] {
  const known = state.nodes.pools;
  const before = [...known];
  known.clear();
  const changed: Pool[] = [];
  for (const [pool, nodes] of before) {
    if (!isSame(nodesOf(state, pool), nodes)) changed.push(pool);
    else known.set(pool, nodes); // Addresses share the lists of candidates, by which placement sees that nothing is different.
  }
  return changed;
}

/** The nodes with a speaker, by what they may do for the pool. */
export function nodesOf(state: SpeakerState, pool: Pool): PoolNodes {
  const { active } = state.members;
  const known = state.nodes.pools.get(pool);
  if (known?.active === active) return known;
  const nodes = poolNodes(
    pool,
    active,
    (node) => eligibilityOf(state, pool, node),
    (node) => reachabilityOf(state, node),
    (node) => state.members.gossip?.view(node) ?? "current",
  );
  state.nodes.pools.set(pool, nodes);
  return nodes;
}

export function eligibilityOf({ nodes, ignoreExcludeLabel }: SpeakerState, pool: Pool, node: string): Eligibility {
  return eligibility(pool, nodes.labels.get(node), ignoreExcludeLabel, nodes.taints.get(node));
}

/** Where the node can answer, as far as it has reported. */
export function reachabilityOf({ members: { gossip, withoutGossip } }: SpeakerState, node: string): KnownReachability {
  if (gossip === undefined || withoutGossip.includes(node)) return "notReported";
  return gossip.reachability(node) ?? "pending";
}

/** Whether any node but this one can answer, as far as they have reported. */
export function canOthersAnswer(state: SpeakerState): boolean {
  const others = state.members.active.filter((node) => node !== state.node).map((node) => reachabilityOf(state, node));
  return others.some((one) => one === "notReported" || (one !== "pending" && one.answers));
}

/** Why this node does not announce what another one does. */
export function whyNotHere(state: SpeakerState, pool: Pool, address: Address): NotHere {
  const { node } = state;
  const own = eligibilityOf(state, pool, node);
  if (own !== "eligible") return whyNot[own];
  if (!hasInterface(pool, reachabilityOf(state, node))) return "noInterface";
  const nodes = nodesOf(state, pool);
  return nodes.eligible.includes(node) && !eligibleFor(nodes, address).includes(node) ? "notInSubnet" : "notOwner";
}

function isSame(a: PoolNodes, b: PoolNodes): boolean {
  return (
    equalTexts(a.active, b.active) &&
    equalTexts(a.inService, b.inService) &&
    equalTexts(a.eligible, b.eligible) &&
    equalTexts(a.excluded, b.excluded) &&
    equalTexts(a.withoutInterface, b.withoutInterface) &&
    equalTexts(a.behind, b.behind) &&
    equalTexts(a.outdated, b.outdated) &&
    a.subnets.size === b.subnets.size &&
    a.subnets.entries().every(([node, subnets]) => equalPrefixes(subnets, b.subnets.get(node)))
  );
}

function equalTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

function equalPrefixes(a: readonly Prefix[], b: readonly Prefix[] | undefined): boolean {
  return a.length === b?.length && a.every((prefix, index) => b[index]?.equals(prefix));
}
