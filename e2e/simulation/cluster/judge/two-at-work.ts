import type { ObjectChange } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import { ingressOf } from "../api/people.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import type { Judge } from "./judge.ts";
import { wrongAtRest } from "./rest.ts";

// Longer than a speaker takes to follow a status, and than the first waits of controllers that overwrite one another.
const quietMs: Millis = 60_000;
// Each controller may decide once by what it saw before, and once by what the other one wrote.
const maxWrites = 6;

/**
 * Two controllers that both work come to rest, and leave the cluster as one of them would. Problems are sentences for people.
 *
 * Always: no status is written more than a few times since people or faults changed anything. At the end: the addresses are as promised, and
 * speakers announce them.
 */
export class TwoAtWork implements Judge {
  problem: string | undefined;
  readonly #writes = new Map<string, number>(); // Service -> how often a controller changed its addresses since the last act
  #changedAt: Millis = -Infinity;
  readonly #endOfActs: Millis;

  /** @param endOfActs until then writes are not counted */
  constructor(endOfActs: Millis) {
    this.#endOfActs = endOfActs;
  }

  changed(cluster: SimulatedCluster, { plural, key, object, before }: ObjectChange, byPeople: boolean): void {
    if (plural !== "services" || ingressOf(before).join() === ingressOf(object).join()) return;
    cluster.note(`${key} has ${ingressOf(object).join(" and ") || "no address"}`);
    this.#changedAt = cluster.now;
    if (byPeople || cluster.now < this.#endOfActs) return;
    const count = (this.#writes.get(key) ?? 0) + 1;
    this.#writes.set(key, count);
    if (count > maxWrites) this.problem ??= `the status of ${key} was written ${count} times, and nobody changed anything`;
  }

  check(): void {}

  isAtRest(cluster: SimulatedCluster): boolean {
    return cluster.now > Math.max(this.#changedAt, this.#endOfActs) + quietMs && wrongAtRest(cluster) === undefined;
  }

  checkAtRest(cluster: SimulatedCluster): string | undefined {
    return this.problem ?? wrongAtRest(cluster);
  }
}
