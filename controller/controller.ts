import type { Allocator } from "#pkg/allocator";
import { type Clock, Portions, type Random } from "#pkg/clock";
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
import { ConfigKeeper } from "./config-keeper.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { ServiceController } from "./service-controller.ts";

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
    followConfigMap(statusConfigMap, (now) => this.#config.statusChanged(now));
    followConfigMap(quarantineConfigMap, (now) => this.#serviceController.setOccupied(decodeQuarantine(now?.data ?? {})));
    this.#serviceController = new ServiceController({
      ...options,
      portions,
      services: this.#services,
      decided: (service) => this.#config.serviceChanged(service),
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
    });
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

  /** Stops deciding; writes under way get 1 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#informers[Symbol.dispose]();
    this.#portions[Symbol.dispose]();
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
