import type { Millis } from "#pkg/clock";
import type { SimulatedCluster } from "../simulated-cluster.ts";

// A dozen acts in as many seconds may move an address a dozen times, and each move is two changes: one comes, the other goes.
const maxChanges = 40;
const windowMs: Millis = 30_000;

/** An address that goes to and fro between nodes all the time is of no use, though none of it lasts for as long as a hand-over may. */
export class Moves {
  readonly #owners = new Map<string, string>(); // address -> the nodes that answer for it
  readonly #changes = new Map<string, Millis[]>(); // address -> when these were others, lately

  /** To be called often. @returns what is wrong */
  check(cluster: SimulatedCluster): string | undefined {
    const owners = cluster.owners();
    for (const address of new Set([...owners.keys(), ...this.#owners.keys()])) {
      const nodes = (owners.get(address) ?? []).join();
      if (nodes === this.#owners.get(address)) continue;
      this.#owners.set(address, nodes);
      const changes = (this.#changes.get(address) ?? []).filter((at) => at > cluster.now - windowMs);
      this.#changes.set(address, [...changes, cluster.now]);
      if (changes.length >= maxChanges)
        return `who answers for ${address} has changed ${changes.length + 1} times in ${windowMs} ms`;
    }
    return undefined;
  }
}
