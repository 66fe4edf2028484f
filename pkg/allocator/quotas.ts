import { remembered } from "#pkg/collections";
import { isIn, type NamespaceLabels, type Quota } from "#pkg/config";
import { namespaceOf } from "#pkg/service";
import type { Occupancy } from "./occupancy.ts";
import type { Ask, QuotaUsage, Refusal } from "./types.ts";

/** Resources that a quota counts, by the names of its fields. */
export const resources = ["ipv4", "ipv6", "services"] as const;
type Resource = (typeof resources)[number];

/** One count: addresses of the quota's pools that the Services of one namespace, or of all its namespaces, hold. */
interface Counter {
  /** Such as `quotas[0]`. */
  readonly quota: string;
  readonly limits: Quota;
  /** Undefined where the namespaces are counted as one. */
  readonly namespace: string | undefined;
  readonly pools: ReadonlySet<string>;
  readonly used: Record<Resource, number>;
  /** Service -> what it waits for from an IPAM: that is nobody else's while it does. */
  readonly asked: Map<string, Readonly<Record<Resource, number>>>;
}

const maxRemembered = 10_000;

/** How much of their quotas namespaces use, counted with every address that is given or freed. */
export class Quotas {
  readonly quotas: readonly Quota[];
  readonly #labels: NamespaceLabels;
  readonly #together = new Map<number, Counter>(); // index of a quota -> its only counter
  readonly #inUse = new Map<string, Counter>(); // text -> a counter that is not zero, or that Services ask for something of
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

  /** A Service that is on the slots `held` waits for these from an IPAM, and for nothing else. */
  setAsked(service: string, asks: readonly Ask[], held: readonly bigint[], occupancy: Occupancy): void {
    const counters = this.#countersOf(namespaceOf(service));
    if (counters.length === 0) return;
    const [all, before] = [asks.map(countedSlot), countedSlots(held, occupancy)];
    for (const counter of counters) {
      const counted = all.filter((each) => isCounted(counter, each));
      const services = Number(!before.some((each) => isCounted(counter, each)));
      if (counted.length === 0) counter.asked.delete(service);
      else counter.asked.set(service, { ipv4: amount(counted, "ipv4"), ipv6: amount(counted, "ipv6"), services });
      this.#keep(counter);
    }
  }

  /**
   * Why a Service that holds the slots `held` may not hold `wanted` instead, and what an IPAM is to choose. Addresses that the Service has
   * and keeps are never in the way.
   */
  refusal(
    service: string,
    wanted: readonly bigint[],
    held: readonly bigint[],
    occupancy: Occupancy,
    unchosen: readonly Ask[],
  ): Refusal | undefined {
    const namespace = namespaceOf(service);
    const counters = this.#countersOf(namespace);
    if (counters.length === 0) return undefined;
    const [allWanted, allHeld] = [
      [...countedSlots(wanted, occupancy), ...unchosen.map(countedSlot)],
      countedSlots(held, occupancy),
    ];
    for (const counter of counters) {
      const after = allWanted.filter((each) => isCounted(counter, each));
      const before = allHeld.filter((each) => isCounted(counter, each));
      const isOn = ({ slot }: CountedSlot, slots: readonly bigint[]) => slot !== undefined && slots.includes(slot);
      const holders = ({ slot }: CountedSlot) => (slot === undefined ? 0 : this.#holders(counter, slot, occupancy));
      const added = after.filter((each) => !isOn(each, held) && holders(each) === 0);
      const freed = before.filter((each) => !isOn(each, wanted) && holders(each) === 1);
      for (const resource of resources) {
        const limit = counter.limits[resource];
        if (limit === undefined) continue;
        const isNew = resource === "services" && after.length > 0 && before.length === 0;
        const needs = resource === "services" ? Number(isNew) : amount(added, resource);
        const left = counter.used[resource] - (resource === "services" ? 0 : amount(freed, resource));
        const asked = counter.asked.entries().reduce((sum, [other, each]) => sum + (other === service ? 0 : each[resource]), 0);
        if (needs === 0 || left + asked + needs <= limit) continue;
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
          asked,
          needs,
        };
      }
    }
    return undefined;
  }

  /**
   * Costs of slots of a pool in the quotas of a Service that comes to them: within one family, slots with equal texts cost the same. Empty:
   * nothing, because each counter of a slot counts it already.
   */
  costs(service: string, pool: string, occupancy: Occupancy): (slot: bigint) => string {
    const counters = this.#countersOf(namespaceOf(service)).filter((counter) => isCounted(counter, { pool }));
    const texts = counters.map(counterText);
    return (slot) => texts.filter((_, index) => this.#holders(counters[index] as Counter, slot, occupancy) === 0).join();
  }

  /** Each once, whatever is counted between two of them. */
  *usage(): Iterable<QuotaUsage> {
    for (const { quota, limits, namespace, used } of [...this.#inUse.values()])
      for (const resource of resources) {
        const limit = limits[resource];
        if (limit !== undefined && used.services > 0) yield { quota, namespace, resource, limit, used: used[resource] };
      }
  }

  #countersOf(namespace: string): readonly Counter[] {
    if (this.quotas.length === 0) return [];
    return remembered(this.#ofNamespace, namespace, maxRemembered, () => this.#findCounters(namespace));
  }

  /** A namespace of which nothing is known yet may have any labels: its first Services would get, and keep, more than they may have. */
  #isUnder(quota: Quota, namespace: string): boolean {
    return isIn(quota, namespace, this.#labels) || (quota.namespaceSelectors.length > 0 && !this.#labels.has(namespace));
  }

  #findCounters(namespace: string): readonly Counter[] {
    const found: Counter[] = [];
    for (const [index, quota] of this.quotas.entries()) {
      if (!this.#isUnder(quota, namespace)) continue;
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
    const all = countedSlots(slots, occupancy);
    for (const counter of counters) {
      const { used } = counter;
      const counted = all.filter((each) => isCounted(counter, each));
      if (counted.length > 0) used.services += change;
      for (const { slot, resource } of counted) if (slot !== undefined && counts(counter, slot)) used[resource] += change;
      this.#keep(counter);
    }
  }

  #keep(counter: Counter): void {
    if (counter.used.services === 0 && counter.asked.size === 0) this.#inUse.delete(counterText(counter));
    else this.#inUse.set(counterText(counter), counter);
  }

  /** How many Services on the slot the counter counts. */
  #holders({ limits, namespace }: Counter, slot: bigint, occupancy: Occupancy): number {
    if (namespace !== undefined) return occupancy.holdersOf(slot, namespace);
    let count = 0;
    for (const [other, holders] of occupancy.namespaces(slot)) if (this.#isUnder(limits, other)) count += holders;
    return count;
  }
}

/** Identifies the used-up quota that a waiting Service waits for. */
export function counterText({ quota, namespace }: Pick<Counter, "quota" | "namespace">): string {
  return namespace === undefined ? quota : `${quota} of ${namespace}`;
}

function counterOf(index: number, limits: Quota, namespace?: string): Counter {
  const used = { ipv4: 0, ipv6: 0, services: 0 };
  return { quota: `quotas[${index}]`, limits, namespace, pools: new Set(limits.pools), used, asked: new Map() };
}

/** A slot, its pool, and as what it counts. */
interface CountedSlot {
  /** Undefined where an IPAM is to choose it. */
  readonly slot: bigint | undefined;
  readonly pool: string;
  readonly resource: "ipv4" | "ipv6";
}

function countedSlots(slots: readonly bigint[], { layout }: Occupancy): CountedSlot[] {
  return slots.map((slot) => {
    const { pool, address } = layout.at(slot);
    return { ...countedSlot({ pool: pool.name, family: address.family }), slot };
  });
}

function countedSlot({ pool, family }: Ask): CountedSlot {
  return { slot: undefined, pool, resource: family === "IPv4" ? "ipv4" : "ipv6" };
}

function isCounted({ pools }: Counter, { pool }: Pick<CountedSlot, "pool">): boolean {
  return pools.size === 0 || pools.has(pool);
}

function amount(counted: readonly CountedSlot[], wanted: Resource): number {
  return counted.filter(({ resource }) => resource === wanted).length;
}
