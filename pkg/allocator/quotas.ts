import type { Quota } from "#pkg/config";
import { remembered } from "#pkg/memo";
import { namespaceOf } from "#pkg/service";
import { isIn, type NamespaceLabels } from "./fences.ts";
import type { Occupancy } from "./occupancy.ts";
import type { QuotaUsage, Refusal } from "./types.ts";

/** What a quota counts, by the names of its fields. */
export const resources = ["ipv4", "ipv6", "services"] as const;
type Resource = (typeof resources)[number];

/** What is counted together: what the Services of one namespace, or of all of a quota, hold of its pools. */
interface Counter {
  /** Such as `quotas[0]`. */
  readonly quota: string;
  readonly limits: Quota;
  /** Undefined where the namespaces are counted as one. */
  readonly namespace: string | undefined;
  readonly pools: ReadonlySet<string>;
  readonly used: Record<Resource, number>;
}

const maxRemembered = 10_000;

/** How much of their quotas namespaces use, counted with every address that is given or freed. */
export class Quotas {
  readonly quotas: readonly Quota[];
  readonly #labels: NamespaceLabels;
  readonly #together = new Map<number, Counter>(); // index of a quota -> its only counter
  readonly #inUse = new Map<string, Counter>(); // text -> a counter that is not zero
  readonly #ofNamespace = new Map<string, readonly Counter[]>(); // namespace -> the counters of its Services

  constructor(quotas: readonly Quota[], labels: NamespaceLabels) {
    this.quotas = quotas;
    this.#labels = labels;
    for (const [index, quota] of quotas.entries()) if (quota.together) this.#together.set(index, counterOf(index, quota));
  }

  /** Texts of the counters that Services of a namespace are counted by. */
  countersOf(namespace: string): string[] {
    return this.#countersOf(namespace).map(counterText);
  }

  /** Counts a Service that is on these slots and was not (1), or that is about to leave them (-1). */
  count(service: string, slots: readonly bigint[], occupancy: Occupancy, change: 1 | -1): void {
    this.#count(service, slots, occupancy, change, (counter, slot) => this.#holders(counter, slot, occupancy) === 1);
  }

  /** Counts all Services, on the slots that they are on, from nothing. */
  countAll(holdings: Iterable<readonly [service: string, slots: readonly bigint[]]>, occupancy: Occupancy): void {
    const shared = new Map<Counter, Set<bigint>>(); // counter -> slots with several holders that are counted already
    const isFirst = (counter: Counter, slot: bigint): boolean => {
      if (this.#holders(counter, slot, occupancy) === 1) return true;
      const seen = shared.get(counter) ?? new Set();
      shared.set(counter, seen);
      if (seen.has(slot)) return false;
      seen.add(slot);
      return true;
    };
    for (const [service, slots] of holdings) this.#count(service, slots, occupancy, 1, isFirst);
  }

  /** The same quotas, with nothing counted. */
  anew(): Quotas {
    return new Quotas(this.quotas, this.#labels);
  }

  /** Why a Service that holds the slots `held` may not hold `wanted` instead. What it has and keeps is never in the way. */
  refusal(service: string, wanted: readonly bigint[], held: readonly bigint[], occupancy: Occupancy): Refusal | undefined {
    const namespace = namespaceOf(service);
    const counters = this.#countersOf(namespace);
    if (counters.length === 0) return undefined;
    const [allWanted, allHeld] = [placesOf(wanted, occupancy), placesOf(held, occupancy)];
    for (const counter of counters) {
      const after = allWanted.filter((place) => isCounted(counter, place));
      const before = allHeld.filter((place) => isCounted(counter, place));
      const added = after.filter(({ slot }) => !held.includes(slot) && this.#holders(counter, slot, occupancy) === 0);
      const freed = before.filter(({ slot }) => !wanted.includes(slot) && this.#holders(counter, slot, occupancy) === 1);
      for (const resource of resources) {
        const limit = counter.limits[resource];
        if (limit === undefined) continue;
        const isNew = resource === "services" && after.length > 0 && before.length === 0;
        const needs = resource === "services" ? Number(isNew) : amount(added, resource);
        const left = counter.used[resource] - (resource === "services" ? 0 : amount(freed, resource));
        if (needs === 0 || left + needs <= limit) continue;
        const { quota, namespace: counted } = counter;
        const pools = [...counter.pools];
        return {
          reason: "quotaExceeded",
          quota,
          namespace,
          together: counted === undefined,
          pools,
          resource,
          limit,
          used: left,
          needs,
        };
      }
    }
    return undefined;
  }

  /**
   * What slots of a pool would add to the quotas of a Service that comes to them: of one family equal texts add the same. Empty: nothing,
   * because each that counts a slot counts it already.
   */
  costs(service: string, pool: string, occupancy: Occupancy): (slot: bigint) => string {
    const counters = this.#countersOf(namespaceOf(service)).filter((counter) => isCounted(counter, { pool }));
    const texts = counters.map(counterText);
    return (slot) => texts.filter((_, index) => this.#holders(counters[index] as Counter, slot, occupancy) === 0).join();
  }

  *usage(): Iterable<QuotaUsage> {
    for (const { quota, limits, namespace, used } of this.#inUse.values())
      for (const resource of resources) {
        const limit = limits[resource];
        if (limit !== undefined) yield { quota, namespace, resource, limit, used: used[resource] };
      }
  }

  #countersOf(namespace: string): readonly Counter[] {
    if (this.quotas.length === 0) return [];
    return remembered(this.#ofNamespace, namespace, maxRemembered, () => this.#findCounters(namespace));
  }

  #findCounters(namespace: string): readonly Counter[] {
    const found: Counter[] = [];
    for (const [index, quota] of this.quotas.entries()) {
      if (!isIn(quota, namespace, this.#labels)) continue;
      const counter = this.#together.get(index) ?? counterOf(index, quota, namespace);
      found.push(this.#inUse.get(counterText(counter)) ?? counter);
    }
    return found;
  }

  /** @param counts whether the slot is one more, or one less, for the counter */
  #count(
    service: string,
    slots: readonly bigint[],
    occupancy: Occupancy,
    change: 1 | -1,
    counts: (counter: Counter, slot: bigint) => boolean,
  ): void {
    const counters = this.#countersOf(namespaceOf(service));
    if (counters.length === 0) return;
    const places = placesOf(slots, occupancy);
    for (const counter of counters) {
      const { used } = counter;
      const counted = places.filter((place) => isCounted(counter, place));
      if (counted.length > 0) used.services += change;
      for (const { slot, resource } of counted) if (counts(counter, slot)) used[resource] += change;
      if (used.services === 0) this.#inUse.delete(counterText(counter));
      else this.#inUse.set(counterText(counter), counter);
    }
  }

  /** How many Services on the slot the counter counts. */
  #holders({ limits, namespace }: Counter, slot: bigint, occupancy: Occupancy): number {
    if (namespace !== undefined) return occupancy.holdersOf(slot, namespace);
    let count = 0;
    for (const [other, holders] of occupancy.namespaces(slot)) if (isIn(limits, other, this.#labels)) count += holders;
    return count;
  }
}

/** What a waiting Service waits for when the quota is used up. */
export function counterText({ quota, namespace }: Pick<Counter, "quota" | "namespace">): string {
  return namespace === undefined ? quota : `${quota} of ${namespace}`;
}

function counterOf(index: number, limits: Quota, namespace?: string): Counter {
  const used = { ipv4: 0, ipv6: 0, services: 0 };
  return { quota: `quotas[${index}]`, limits, namespace, pools: new Set(limits.pools), used };
}

/** A slot, its pool, and as what it counts. */
interface Place {
  readonly slot: bigint;
  readonly pool: string;
  readonly resource: "ipv4" | "ipv6";
}

function placesOf(slots: readonly bigint[], { layout }: Occupancy): Place[] {
  return slots.map((slot) => {
    const { pool, address } = layout.at(slot);
    return { slot, pool: pool.name, resource: address.family === "IPv4" ? "ipv4" : "ipv6" };
  });
}

function isCounted({ pools }: Counter, { pool }: Pick<Place, "pool">): boolean {
  return pools.size === 0 || pools.has(pool);
}

function amount(places: readonly Place[], wanted: Resource): number {
  return places.filter(({ resource }) => resource === wanted).length;
}
