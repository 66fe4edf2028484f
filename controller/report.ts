import { type PoolFacts, poolFacts } from "#pkg/allocator";
import type { Clock, Millis } from "#pkg/clock";
import type { Dated } from "#pkg/verdict";
import type { ConfigKeeper, ConfigStatus } from "./configuration/config-keeper.ts";
import type { ControllerView } from "./core/index.ts";

/** The controller's report on the configuration, pools and Services. */
export class Report {
  readonly #view: ControllerView;
  readonly #config: Pick<ConfigKeeper, "status">;
  readonly #clock: Clock;

  constructor(view: ControllerView, config: Pick<ConfigKeeper, "status">, clock: Clock) {
    this.#view = view;
    this.#config = config;
    this.#clock = clock;
  }

  get isWorking(): boolean {
    return this.#view.isWorking;
  }

  get configuration(): ConfigStatus {
    return this.#config.status;
  }

  /** See `ControllerView`. */
  services(only?: string): ReturnType<ControllerView["statuses"]> {
    return this.#view.statuses(only, this.#clock.now());
  }

  /** The pools in force, in their order; none before the work began. */
  *pools(): Iterable<PoolFacts & Dated<Millis>> {
    const configured = new Map(this.configuration.inForce?.pools.map((pool) => [pool.name, pool]));
    for (const usage of this.#view.pools()) {
      const pool = configured.get(usage.pool);
      if (pool !== undefined) yield { ...poolFacts(pool, usage), verdict: usage.verdict, since: usage.since };
    }
  }
}
