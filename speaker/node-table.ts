import { isDeepStrictEqual } from "node:util";
import type { Pool } from "#pkg/config";
import { type KnownReach, type Labels, type PoolNodes, poolNodes, type Standing, standing } from "#pkg/placement";

/** The labels of all nodes, and what follows for each pool from them and from where nodes can answer; kept until any of it changes. */
export class NodeTable {
  readonly #active: () => readonly string[];
  readonly #ignoreExcludeLabel: boolean;
  readonly #reachOf: (node: string) => KnownReach;
  readonly #labels = new Map<string, Labels>(); // node -> its labels
  readonly #pools = new Map<Pool, PoolNodes>(); // Those that were asked for.

  constructor(active: () => readonly string[], ignoreExcludeLabel: boolean, reachOf: (node: string) => KnownReach) {
    this.#active = active;
    this.#ignoreExcludeLabel = ignoreExcludeLabel;
    this.#reachOf = reachOf;
  }

  /** Undefined: there is no such node. @returns the pools that another set of nodes may announce now */
  set(node: string, labels: Labels | undefined): Pool[] {
    const pools = [...this.#pools].filter(([, { active }]) => active.includes(node)).map(([pool]) => pool);
    const before = pools.map((pool) => this.standing(pool, node));
    if (labels === undefined) this.#labels.delete(node);
    else this.#labels.set(node, labels);
    const changed = pools.filter((pool, index) => this.standing(pool, node) !== before[index]);
    for (const pool of changed) this.#pools.delete(pool);
    return changed;
  }

  /** Nodes can answer elsewhere than before. @returns the pools that another set of nodes may announce now */
  reachesChanged(): Pool[] {
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
    const active = this.#active();
    const known = this.#pools.get(pool);
    if (known?.active === active) return known;
    const nodes = poolNodes(pool, active, (node) => this.standing(pool, node), this.#reachOf);
    this.#pools.set(pool, nodes);
    return nodes;
  }

  standing(pool: Pool, node: string): Standing {
    return standing(pool, this.#labels.get(node), this.#ignoreExcludeLabel);
  }
}
