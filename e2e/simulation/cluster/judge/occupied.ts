import { LastingWrongs } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { parseAddress } from "#pkg/net";
import { decodeQuarantine, quarantineConfigMap } from "#pkg/quarantine";
import { namespace } from "../api/objects.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import { holdersOf, poolOf } from "./promised.ts";

// A host that is seen when it announces its address, every 5 s.
const seenMs: Millis = 12_000;
// A controller may read of an entry that long after it was taken out, as of all else in the API.
const unseenMs: Millis = 20_000;

/**
 * Addresses of the pool `strict` that hosts without a speaker use: nobody goes on announcing one that is in `ingot-conflicts`, and a Service loses only
 * such a one, unless it had it in use before the host came.
 */
export class Occupied {
  readonly #announced = new LastingWrongs(); // Which address, and where.
  readonly #entryUntil = new Map<string, Millis>(); // address -> when an entry was there last
  readonly #inUse = new Map<string, ReadonlySet<string>>(); // address that a host uses -> the Services that had it before, and for which it was announced

  /** To be called often. @returns what is wrong */
  check(cluster: SimulatedCluster): string | undefined {
    const { now, lan } = cluster;
    for (const address of lan.foreign) {
      if (this.#inUse.has(address)) continue;
      this.#inUse.set(address, new Set(cluster.owners().has(address) ? holdersOf(cluster, address) : []));
    }
    for (const [address, names] of this.#inUse)
      if (!lan.foreign.has(address)) this.#inUse.delete(address);
      // A Service that gives the address up and gets it again has it newly.
      else this.#inUse.set(address, names.intersection(new Set(holdersOf(cluster, address))));
    const wrongs: string[] = [];
    for (const address of entries(cluster)) {
      this.#entryUntil.set(address, now);
      if (!lan.foreign.has(address)) continue;
      for (const [node, { process, announced, hasLostApi }] of cluster.speakers)
        if (
          process.isRunning &&
          !process.isStalled &&
          !hasLostApi &&
          !cluster.machines.withoutCarrier.has(node) &&
          announced.has(address)
        )
          wrongs.push(`${address} is in ingot-conflicts, and node-${node} announces it`);
    }
    for (const [wrong, { since, lasted }] of this.#announced.at(now, wrongs))
      if (lasted > seenMs) return `${wrong} since ${since} ms`;
    return undefined;
  }

  /** Whether it may be taken away from a Service. */
  mayTake(cluster: SimulatedCluster, name: string, address: string): boolean {
    // An entry of between two checks counts too.
    const until = entries(cluster).includes(address) ? cluster.now : (this.#entryUntil.get(address) ?? -Infinity);
    const isReported = cluster.now <= until + unseenMs;
    return isReported && this.#inUse.get(address)?.has(name) !== true;
  }

  /** Whether nobody has to answer for it. */
  isHeldBack({ lan, speakers, now }: SimulatedCluster, address: string): boolean {
    if (poolOf(address) !== "strict") return false;
    const isByHost = lan.foreign.has(address) || now <= (this.#entryUntil.get(address) ?? -Infinity);
    return isByHost || speakers.values().some(({ state }) => state.conflicts.defended.get(address)?.defense.stage === "occupied");
  }
}

/** The addresses in `ingot-conflicts`. */
export function entries(cluster: SimulatedCluster): string[] {
  const data = cluster.api.get("configmaps", `${namespace}/${quarantineConfigMap}`)?.data ?? {};
  return [...decodeQuarantine(data as Readonly<Record<string, string>>).keys()].flatMap((key) => `${parseAddress(key) ?? []}`);
}
