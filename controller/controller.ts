import type { Allocation, Allocator, PoolUsage } from "#pkg/allocator";
import { type Clock, type Millis, Portions, type Random } from "#pkg/clock";
import type { Protocol } from "#pkg/config";
import {
  type Cluster,
  type ConfigMap,
  type EventRecorder,
  type Informer,
  Informers,
  named,
  resources,
  type Service,
  servicesOf,
} from "#pkg/k8s";
import { statusConfigMap } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import type { Address } from "#pkg/net";
import { decodeQuarantine, quarantineConfigMap } from "#pkg/quarantine";
import { type LoadBalancerClasses, recordedAddresses } from "#pkg/service";
import type { Dated } from "#pkg/verdict";
import { ConfigKeeper, type ConfigStatus } from "./config-keeper.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { ServiceController } from "./service-controller.ts";
import { StatusKeeper } from "./status-keeper.ts";

export interface ControllerOptions {
  readonly cluster: Pick<Cluster, "informer" | "writeIngress" | "writeConfigMap">;
  readonly events: Pick<EventRecorder, "record">;
  readonly namespace: string;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  readonly classes: LoadBalancerClasses;
  readonly allocator: Allocator;
  readonly metrics: ControllerMetrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

export interface ServiceStatus extends Dated<Millis> {
  readonly service: Service;
  readonly allocation: Allocation | undefined;
}

export interface PoolStatus extends PoolUsage, Dated<Millis> {
  readonly protocol: Protocol | undefined;
}

const drainMs = 1_000;
// Each takes some 2 ms.
const portionsPerTurn = 2;

/**
 * The controller without its process. Follows Services and the ConfigMaps. Begins to work when it leads, and each of them has been seen
 * whole: no address is given before all that are taken are known.
 */
export class Controller implements AsyncDisposable {
  readonly #options: ControllerOptions;
  readonly #config: ConfigKeeper;
  readonly #serviceController: ServiceController;
  readonly #informers: Informers;
  readonly #portions: Portions;
  readonly #status: StatusKeeper;
  readonly #services: Informer<Service>;
  #leading = false;
  #working = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { cluster, namespace, classes, clock } = options;
    const portions = new Portions(clock, portionsPerTurn);
    this.#portions = portions;
    this.#informers = new Informers(cluster, () => this.#begin());
    this.#services = this.#informers.follow("Services", servicesOf(classes), {}, (...change) => this.#serviceChanged(...change));
    const followConfigMap = (name: string, changed: (now: ConfigMap | undefined) => void) =>
      this.#informers.follow(`ConfigMap ${namespace}/${name}`, resources.configMaps, named(namespace, name), (_key, now) =>
        changed(now),
      );
    followConfigMap(options.configMap, (now) => this.#config.configMapChanged(now));
    followConfigMap(statusConfigMap, (now) => {
      this.#config.statusChanged(now);
      this.#status.seen(now?.data ?? {});
    });
    followConfigMap(quarantineConfigMap, (now) => this.#serviceController.setOccupied(decodeQuarantine(now?.data ?? {})));
    this.#serviceController = new ServiceController({
      ...options,
      portions,
      services: this.#services,
      decided: (service) => {
        this.#config.serviceChanged(service);
        this.#status.changed();
      },
    });
    this.#config = new ConfigKeeper({
      ...options,
      portions,
      holdings: {
        services: () => this.#serviceKeys(),
        of: (service) => this.#heldBy(service),
      },
      inForce: ({ pools }) => this.#serviceController.configure(pools),
      none: (why) => this.#serviceController.unconfigure(why),
      changed: () => this.#status.changed(),
    });
    this.#status = new StatusKeeper({ ...options, portions, of: this });
  }

  start(): void {
    this.#informers.start();
  }

  /** This controller is the one at work, of all that there are. */
  lead(): void {
    this.#leading = true;
    this.#begin();
  }

  /** What has to be seen before the work begins; empty once it can begin. */
  get missing(): readonly string[] {
    return this.#informers.missing;
  }

  /** Why the ConfigMap's configuration is not the one in force; undefined when it is, or before the work has begun. */
  get refused(): string | undefined {
    return this.#config.refused;
  }

  /** Whether it decides: it leads, and has seen all. */
  get isWorking(): boolean {
    return this.#working;
  }

  /** Services of type LoadBalancer with what they hold and what is the case with them; of one, or of all. None before the work began. */
  *services(only?: string): Iterable<ServiceStatus> {
    const one = only === undefined ? undefined : this.#services.get(only);
    const those = only === undefined ? this.#services.values() : one === undefined ? [] : [one];
    if (!this.#working) return;
    for (const service of those) {
      if (service.type !== "LoadBalancer") continue;
      const allocation = this.#options.allocator.held(service.key);
      yield { service, allocation, ...this.#serviceController.verdictOn(service) };
    }
  }

  /** The pools in force, in their order; none before the work began. */
  *pools(): Iterable<PoolStatus> {
    if (!this.#working) return;
    const protocols = new Map(this.#config.status.inForce?.pools.map(({ name, protocol }) => [name, protocol]));
    for (const pool of this.#serviceController.pools()) yield { ...pool, protocol: protocols.get(pool.pool) };
  }

  get configuration(): ConfigStatus {
    return this.#config.status;
  }

  /** Stops deciding; writes under way get 1 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#informers[Symbol.dispose]();
    this.#portions[Symbol.dispose]();
    this.#status[Symbol.dispose]();
    const deadline = this.#options.clock.now() + drainMs;
    await Promise.all([this.#serviceController.close(deadline), this.#config.close(deadline)]);
  }

  #begin(): void {
    if (this.#working || !this.#leading || this.missing.length > 0) return;
    this.#working = true;
    this.#options.log.info("synced, assigning addresses", { event: "stateSynced", services: this.#services.size });
    this.#config.start();
  }

  #serviceChanged(key: string, now: Service | undefined, before: Service | undefined): void {
    this.#config.serviceChanged(key);
    this.#serviceController.serviceChanged(key, now, before);
  }

  *#serviceKeys(): Iterable<string> {
    for (const { key } of this.#services.values()) yield key;
  }

  /** By its status and by what it was given since; both count, because the second will be the first in a moment. */
  #heldBy(key: string): readonly (readonly Address[])[] {
    const service = this.#services.get(key);
    if (service === undefined) return [];
    return [recordedAddresses(service), this.#options.allocator.held(key)?.addresses ?? []];
  }
}
