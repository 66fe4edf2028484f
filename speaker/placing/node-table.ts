import { isDeepStrictEqual } from "node:util";
import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import {
  type Eligibility,
  eligibility,
  eligibleFor,
  hasInterface,
  type KnownReachability,
  type Labels,
  type PoolNodes,
  poolNodes,
} from "#pkg/placement";
import type { Gossip } from "../members/members.ts";

export interface NodeTableOptions {
  /** Nodes with a speaker. */
  readonly active: () => readonly string[];
  /** How the speakers tell one another of themselves, if they do. */
  readonly gossip: () => Gossip | undefined;
  /** Nodes that Kubernetes excludes from load balancers announce all the same. */
  readonly ignoreExcludeLabel: boolean;
}

/** Why a node does not announce what another one does. */
export type NotHere =
  | "notOwner"
  | "nodeExcluded"
  /** The pool's node selectors match other nodes, and not this one. */
  | "nodeNotSelected"
  | "noInterface"
  | "notInSubnet";

const whyNot: Readonly<Record<Exclude<Eligibility, "eligible">, NotHere>> = {
  excluded: "nodeExcluded",
  notSelected: "nodeNotSelected",
};

/** The labels of all nodes, and what follows for each pool from them and from where nodes can answer; kept until any of it changes. */
export class NodeTable {
  readonly #options: NodeTableOptions;
  readonly #labels = new Map<string, Labels>(); // node -> its labels
  readonly #pools = new Map<Pool, PoolNodes>(); // Those that were asked for.

  constructor(options: NodeTableOptions) {
    this.#options = options;
  }

  /** Undefined: there is no such node. @returns the pools that another set of nodes may announce now */
  set(node: string, labels: Labels | undefined): Pool[] {
    const pools = [...this.#pools].filter(([, { active }]) => active.includes(node)).map(([pool]) => pool);
    const before = pools.map((pool) => this.eligibility(pool, node));
    if (labels === undefined) this.#labels.delete(node);
    else this.#labels.set(node, labels);
    const changed = pools.filter((pool, index) => this.eligibility(pool, node) !== before[index]);
    for (const pool of changed) this.#pools.delete(pool);
    return changed;
  }

  /** Nodes can answer elsewhere than before. @returns the pools that another set of nodes may announce now */
  reachabilityChanged(): Pool[] {
    const pools = [...this.#pools];
    this.#pools.clear();
    const changed = pools.filter(([pool, before]) => !isDeepStrictEqual(this.of(pool), before));
    for (const [pool, before] of pools) if (!changed.some(([other]) => other === pool)) this.#pools.set(pool, before);
    return changed.map(([pool]) => pool);
  }

  /** Other pools are in force. */
  forgetPools(): void {
    this.#pools.clear();
  }

  of(pool: Pool): PoolNodes {
    const active = this.#options.active();
    const known = this.#pools.get(pool);
    if (known?.active === active) return known;
    const nodes = poolNodes(
      pool,
      active,
      (node) => this.eligibility(pool, node),
      (node) => this.reachability(node),
    );
    this.#pools.set(pool, nodes);
    return nodes;
  }

  eligibility(pool: Pool, node: string): Eligibility {
    return eligibility(pool, this.#labels.get(node), this.#options.ignoreExcludeLabel);
  }

  /** Where the node can answer, as far as it has told. */
  reachability(node: string): KnownReachability {
    const gossip = this.#options.gossip();
    if (gossip === undefined || gossip.nodesWithoutGossip().includes(node)) return "notReported";
    return gossip.state.reachability(node) ?? "pending";
  }

  /** Whether any node but this one can answer, as far as they have told. */
  othersAnswer(node: string): boolean {
    const reachabilities = this.#options.active().flatMap((other) => (other === node ? [] : this.reachability(other)));
    return reachabilities.some((one) => one === "notReported" || (one !== "pending" && one.answers));
  }

  /** Why the node does not announce what another one does. */
  whyAnother(pool: Pool, node: string, address: Address): NotHere {
    const eligibility = this.eligibility(pool, node);
    if (eligibility !== "eligible") return whyNot[eligibility];
    if (!hasInterface(pool, this.reachability(node))) return "noInterface";
    const nodes = this.of(pool);
    return nodes.eligible.includes(node) && !eligibleFor(nodes, address).includes(node) ? "notInSubnet" : "notOwner";
  }
}
