import { type Allocation, type Allocator, type PoolFacts, poolFacts } from "#pkg/allocator";
import type { Millis } from "#pkg/clock";
import { isStrict, type Pool } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import type { HeldTogether, Holdings } from "#pkg/live-config";
import { asksFor, mayHoldSeveral, recordedAddresses } from "#pkg/service";
import type { Dated } from "#pkg/verdict";
import type { AddressState } from "#pkg/what-if";
import { heedReported } from "./occupancy/occupants.ts";
import type { ControllerState } from "./state.ts";

export interface ServiceStatus extends Dated<Millis> {
  readonly service: Service;
  readonly allocation: Allocation | undefined;
}

/** The core's state, for those who look at it and change nothing: `/v1`, the summary, the keepers, the webhook. */
export class ControllerView implements Holdings {
  readonly #state: ControllerState;

  constructor(state: ControllerState) {
    this.#state = state;
  }

  /** Whether it decides: it leads, and has seen all. */
  get isWorking(): boolean {
    return this.#state.isWorking;
  }

  service(key: string): Service | undefined {
    return this.#state.services.get(key);
  }

  /** All Services. */
  seen(): Iterable<Service> {
    return this.#state.services.values();
  }

  held(service: string): Allocation | undefined {
    return this.#state.allocator.held(service);
  }

  /** Keys of all Services. */
  services(): Iterable<string> {
    return this.#state.services.keys();
  }

  /** How full pools are, and quotas. */
  get usage(): Pick<Allocator, "usage" | "quotaUsage"> {
    return this.#state.allocator;
  }

  /** By its status and by what it was given since; both count, because the second will be the first in a moment. */
  of(key: string): readonly HeldTogether[] {
    const { allocator, services } = this.#state;
    const service = services.get(key);
    if (service === undefined) return [];
    return [
      {
        addresses: recordedAddresses(service),
        mayHoldSeveral: mayHoldSeveral(service),
        asksFor: (address, pool) => asksFor(service, address, pool.name),
      },
      { addresses: allocator.held(key)?.addresses ?? [], mayHoldSeveral: allocator.mayHoldSeveral(key) },
    ];
  }

  /** Services of type LoadBalancer with their addresses and verdicts; one Service, or all. Empty before the work begins. */
  *statuses(only: string | undefined, now: Millis): Iterable<ServiceStatus> {
    const { services, allocator, statuses, verdicts } = this.#state;
    const one = only === undefined ? undefined : services.get(only);
    const those = only === undefined ? services.values() : one === undefined ? [] : [one];
    if (!this.isWorking) return;
    for (const service of those) {
      if (service.type !== "LoadBalancer") continue;
      const allocation = allocator.held(service.key);
      yield { service, allocation, ...verdicts.services.of(service, allocation, statuses.problemOf(service.key, now)) };
    }
  }

  /** These pools, which are in force, in their order. Empty before the work begins. */
  *pools(configured: readonly Pool[]): Iterable<PoolFacts & Dated<Millis>> {
    const { allocator, verdicts } = this.#state;
    if (!this.isWorking) return;
    const byName = new Map(configured.map((pool) => [pool.name, pool]));
    for (const usage of allocator.usage()) {
      const pool = byName.get(usage.pool);
      if (pool !== undefined) yield Object.assign(poolFacts(pool, usage), verdicts.pools.of(usage));
    }
  }

  /** The state to try configurations with these pools on. A standby knows as much. */
  trial(pools: readonly Pool[]): Omit<AddressState, "config"> {
    const { allocator, occupancy } = this.#state;
    const services = [...this.#state.services.values()];
    const recorded = new Set(services.flatMap((service) => recordedAddresses(service).map(String)));
    // A Service that has such an address keeps it, where it does not count yet.
    const strict = pools.filter(isStrict).flatMap(({ ranges }) => ranges);
    const occupied = heedReported(
      occupancy.reported,
      occupancy.occupants,
      (address, counts) => counts || (!recorded.has(`${address}`) && strict.some((range) => range.contains(address))),
    );
    return { services, occupied, namespaces: allocator.namespaces };
  }
}
