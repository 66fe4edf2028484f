import { type Allocation, type Allocator, type PoolFacts, poolFacts } from "#pkg/allocator";
import type { Millis } from "#pkg/clock";
import { type Config, isStrict, type Pool } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import type { ConfigStatus } from "#pkg/live-config";
import type { Address } from "#pkg/net";
import { recordedAddresses } from "#pkg/service";
import { type Dated, isProblem } from "#pkg/verdict";
import type { AddressState } from "#pkg/what-if";
import { heedReported } from "./occupancy/occupants.ts";
import { type ControllerState, problemBeside } from "./state.ts";
import { isLasting, withRefusals } from "./statuses/write-failure.ts";

export interface ServiceStatus extends Dated<Millis> {
  readonly service: Service;
  readonly allocation: Allocation | undefined;
}

/** The core's state, for those who look at it and change nothing: `/v1`, the summary, the keepers, the webhook. */
export class ControllerView {
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

  isHeld(address: Address): boolean {
    return this.#state.allocator.isHeld(address);
  }

  /** The configuration in force, the verdict on the ConfigMap's, and their dates. */
  get configuration(): ConfigStatus {
    const { configuration, conditions, summary } = this.#state;
    const { live, record } = configuration;
    return withRefusals(live.status, [
      { cause: "notSaved", what: "cannot be saved as the last good one", refusals: record.refusals },
      { cause: "notReported", what: "conditions of Services are not written", refusals: conditions.refusals },
      { cause: "notReported", what: "the summary of the state is not written", refusals: summary.refusals },
    ]);
  }

  /** The configuration in force here or, on a standby, at the leader as it recorded it. */
  get known(): Config | undefined {
    return this.#state.configuration.live.known;
  }

  /** Why the ConfigMap's configuration is not the one in force; undefined when it is, or before the work has begun. */
  get refused(): string | undefined {
    return this.#state.configuration.live.refused;
  }

  /** Services of type LoadBalancer, each once: one that is made again between two of them would come last once more. None before the work begins. */
  *#ofLoadBalancers(keys: readonly string[] = [...this.#state.services.keys()]): Iterable<Service> {
    for (const key of this.isWorking ? keys : []) {
      const service = this.#state.services.get(key);
      if (service?.type === "LoadBalancer") yield service;
    }
  }

  /** How many Services of type LoadBalancer there are by state and cause; undefined after each that was looked at. None before the work begins. */
  *serviceCounts(now: Millis): Iterable<readonly [state: string, cause: string, count: number] | undefined> {
    const { allocator, verdicts, announcements } = this.#state;
    const counts = new Map<string, number>();
    for (const service of this.#ofLoadBalancers()) {
      const { key } = service;
      const said = verdicts.services.problemOf(service, allocator.held(key), problemBeside(this.#state, service, now));
      const announced = said === undefined || !isProblem(said) ? announcements.stateOf(service) : undefined;
      const { state, cause } = announced ?? said ?? { state: "Assigned", cause: "assigned" };
      counts.set(`${state} ${cause}`, (counts.get(`${state} ${cause}`) ?? 0) + 1);
      yield undefined;
    }
    for (const [key, count] of counts) {
      const [state = "", cause = ""] = key.split(" ");
      yield [state, cause, count];
    }
  }

  /** Why conditions of Services are not written; undefined when they are. */
  get conditionsRefused(): string | undefined {
    return this.#state.conditions.refused;
  }

  /** How many ConfigMaps of the controller the API server refuses again and again: `ingot-summary`, `ingot-status`. */
  get refusedReports(): number {
    const { configuration, summary } = this.#state;
    return [summary.refusals, configuration.record.refusals].filter(isLasting).length;
  }

  /** How full pools are, and quotas. */
  get usage(): Pick<Allocator, "usage" | "quotaUsage"> {
    return this.#state.allocator;
  }

  /** Services of type LoadBalancer with their addresses and verdicts; one Service, or all. Empty before the work begins. */
  *statuses(only: string | undefined, now: Millis): Iterable<ServiceStatus> {
    const { allocator, verdicts } = this.#state;
    for (const service of this.#ofLoadBalancers(only === undefined ? undefined : [only])) {
      const allocation = allocator.held(service.key);
      yield { service, allocation, ...verdicts.services.of(service, allocation, problemBeside(this.#state, service, now)) };
    }
  }

  /** The pools in force, in their order. Empty before the work begins. */
  *pools(): Iterable<PoolFacts & Dated<Millis>> {
    const { allocator, configuration, verdicts } = this.#state;
    if (!this.isWorking) return;
    const byName = new Map(configuration.live.inForce?.config.pools.map((pool) => [pool.name, pool]));
    for (const usage of allocator.usage()) {
      const pool = byName.get(usage.pool);
      if (pool !== undefined) yield Object.assign(poolFacts(pool, usage), verdicts.pools.of(usage));
    }
  }

  /** The present state, to try configurations with these pools on; the trial takes many turns. A standby knows as much. */
  trial(pools: readonly Pool[]): Omit<AddressState, "config"> {
    const { allocator, occupancy } = this.#state;
    const services = [...this.#state.services.values()];
    const isReported = occupancy.reported.size > 0; // Else nobody asks, and to find it takes 30 ms for 50,000 Services.
    const recorded = new Set(isReported ? services.flatMap((service) => recordedAddresses(service).map(String)) : []);
    // A Service that has such an address keeps it, where it does not count yet.
    const strict = pools.filter(isStrict).flatMap(({ ranges }) => ranges);
    const occupied = heedReported(
      occupancy.reported,
      occupancy.occupants,
      (address, counts) => counts || (!recorded.has(`${address}`) && strict.some((range) => range.contains(address))),
    );
    return { services, occupied, namespaces: new Map(allocator.namespaces) };
  }
}
