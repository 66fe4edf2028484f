import { type Allocation, type PoolFacts, poolFacts } from "#pkg/allocator";
import type { RecordedAllocator } from "#pkg/assignment";
import { type Clock, type Millis, Portions, type Random } from "#pkg/clock";
import { isStrict, type ParsedConfig } from "#pkg/config";
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
import { type HeldTogether, statusConfigMap } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import { decodeQuarantine, quarantineConfigMap } from "#pkg/quarantine";
import { asksFor, type LoadBalancerClasses, mayHoldSeveral, recordedAddresses } from "#pkg/service";
import type { Dated } from "#pkg/verdict";
import { ConfigKeeper, type ConfigStatus } from "./config-keeper.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { Namespaces } from "./namespaces.ts";
import { NetboxKeeper } from "./netbox-keeper.ts";
import { heedOccupants } from "./occupants.ts";
import { ServiceController } from "./service-controller.ts";
import { StatusKeeper } from "./status-keeper.ts";
import type { Trial } from "./webhook/review.ts";

export interface ControllerOptions {
  readonly cluster: Pick<Cluster, "informer" | "writeIngress" | "writeConfigMap">;
  /** No other controller can lead yet. `cluster` asks it before each write by itself. */
  readonly mayWrite: () => boolean;
  readonly events: Pick<EventRecorder, "record">;
  readonly namespace: string;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  readonly classes: LoadBalancerClasses;
  readonly allocator: RecordedAllocator;
  readonly metrics: ControllerMetrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

export interface ServiceStatus extends Dated<Millis> {
  readonly service: Service;
  readonly allocation: Allocation | undefined;
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
  readonly #netbox: NetboxKeeper;
  readonly #status: StatusKeeper;
  readonly #services: Informer<Service>;
  readonly #namespaces: Namespaces;
  #reported: ReturnType<typeof decodeQuarantine> = new Map(); // address -> the host of the network that has it, as speakers report
  #leading = false;
  #working = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { cluster, namespace, classes, clock } = options;
    const portions = new Portions(clock, portionsPerTurn);
    this.#portions = portions;
    this.#informers = new Informers(
      cluster,
      () => this.#begin(),
      () => this.#begin(),
    );
    this.#namespaces = new Namespaces({
      cluster,
      changed: (...change) => this.#serviceController.namespaceChanged(...change),
      known: () => {
        this.#config.namespaceLabelsChanged();
        this.#serviceController.allChanged();
      },
    });
    this.#services = this.#informers.follow(
      "Services",
      servicesOf(classes, "labels"),
      {},
      (...change) => this.#serviceChanged(...change),
      () => this.#serviceController.relisted(),
    );
    const followConfigMap = (name: string, changed: (now: ConfigMap | undefined) => void) =>
      this.#informers.follow(`ConfigMap ${namespace}/${name}`, resources.configMaps, named(namespace, name), (_key, now) =>
        changed(now),
      );
    followConfigMap(options.configMap, (now) => this.#config.configMapChanged(now));
    followConfigMap(statusConfigMap, (now) => {
      this.#config.statusChanged(now);
      this.#status.seen(now?.data ?? {});
    });
    followConfigMap(quarantineConfigMap, (now) => {
      this.#reported = decodeQuarantine(now?.data ?? {});
      this.#serviceController.setOccupied(this.#reported);
    });
    this.#serviceController = new ServiceController({
      ...options,
      portions,
      services: this.#services,
      decided: (service, unmet) => {
        this.#netbox.decided(service, unmet);
        this.#config.serviceChanged(service);
        this.#status.changed();
      },
      reservedElsewhere: (held) => this.#config.reservedElsewhere(held),
    });
    this.#netbox = new NetboxKeeper({
      ...options,
      portions,
      services: this.#services,
      held: (service) => options.allocator.held(service)?.addresses ?? [],
      onChange: (pools) => {
        this.#serviceController.setIpam(pools);
        this.#status.changed();
      },
      onProblem: (pool, problem) => this.#netboxProblem(pool, problem),
    });
    this.#config = new ConfigKeeper({
      ...options,
      portions,
      holdings: {
        services: () => this.#serviceKeys(),
        of: (service) => this.#heldBy(service),
      },
      namespaces: this.#namespaces,
      inForce: (config, mayRenumber) => {
        this.#serviceController.configure(config, mayRenumber);
        this.#netbox.configure(config.pools);
      },
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
  *pools(): Iterable<PoolFacts & Dated<Millis>> {
    if (!this.#working) return;
    const configured = new Map(this.#config.status.inForce?.pools.map((pool) => [pool.name, pool]));
    for (const usage of this.#serviceController.pools()) {
      const pool = configured.get(usage.pool);
      if (pool !== undefined) yield { ...poolFacts(pool, usage), verdict: usage.verdict, since: usage.since };
    }
  }

  /**
   * What another configuration can be tried on, with the labels of namespaces that it asks for, if they come until then; undefined before all has
   * been seen. A standby knows as much.
   */
  async trial({ config, namespaceLabels }: ParsedConfig, until: Millis): Promise<Trial | undefined> {
    if (this.missing.length > 0) return undefined;
    if (namespaceLabels !== undefined) await this.#namespacesKnown(until);
    const services = [...this.#services.values()];
    const recorded = new Set(services.flatMap((service) => recordedAddresses(service).map(String)));
    // Who has such an address keeps it, where it does not count yet.
    const { known } = this.#config;
    const strict = [config, known].flatMap((each) => each?.pools.filter(isStrict) ?? []).flatMap(({ ranges }) => ranges);
    const occupied = heedOccupants(
      this.#reported,
      this.#serviceController.occupants,
      (address, counts) => counts || (!recorded.has(`${address}`) && strict.some((range) => range.contains(address))),
    );
    return { config: known, services, occupied, namespaces: this.#options.allocator.namespaces };
  }

  get configuration(): ConfigStatus {
    return this.#config.status;
  }

  /** Stops deciding; writes under way get 1 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#informers[Symbol.dispose]();
    this.#namespaces[Symbol.dispose]();
    this.#portions[Symbol.dispose]();
    this.#status[Symbol.dispose]();
    this.#netbox[Symbol.dispose]();
    const deadline = this.#options.clock.now() + drainMs;
    await Promise.all([this.#serviceController.close(deadline), this.#config.close(deadline)]);
  }

  #begin(): void {
    // On a standby that has lost sight of one of them it may be of before: with an old ConfigMap it would undo what was changed since.
    const isCurrent = this.missing.length === 0 && this.#informers.lostSince === undefined;
    if (this.#working || !this.#leading || !isCurrent) return;
    this.#working = true;
    this.#options.log.info("synced, assigning addresses", { event: "stateSynced", services: this.#services.size });
    this.#config.start();
  }

  #serviceChanged(key: string, now: Service | undefined, before: Service | undefined): void {
    this.#config.serviceChanged(key);
    this.#serviceController.serviceChanged(key, now, before);
  }

  #namespacesKnown(until: Millis): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.schedule("labels of namespaces", until, resolve);
    this.#namespaces.whenKnown(() => {
      timer[Symbol.dispose]();
      resolve();
    });
    return promise;
  }

  #netboxProblem(pool: string, problem: string | undefined): void {
    const { log } = this.#options;
    if (problem === undefined) {
      log.info("NetBox is as it should be again", { event: "ipamWorking", pool });
      return;
    }
    log.warn("a pool's records in NetBox cannot be kept", { event: "ipamFailing", pool, error: problem });
    this.#config.recordEvent("Warning", "ipamFailing", `Pool ${JSON.stringify(pool)}: ${problem}`);
  }

  *#serviceKeys(): Iterable<string> {
    for (const { key } of this.#services.values()) yield key;
  }

  /** By its status and by what it was given since; both count, because the second will be the first in a moment. */
  #heldBy(key: string): readonly HeldTogether[] {
    const { allocator } = this.#options;
    const service = this.#services.get(key);
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
}
