import { type Clock, type Millis, Portions } from "#pkg/clock";
import type { Config } from "#pkg/config";
import { ConfigReader } from "#pkg/config-reader";
import {
  type Cluster,
  type ConfigMap,
  type EndpointSlice,
  type Informer,
  Informers,
  named,
  type Resource,
  resources,
  type Service,
  servicesOf,
} from "#pkg/k8s";
import { configurationVerdict, type HeldTogether, LiveConfig, lastGoodKey, type State, statusConfigMap } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import type { KubernetesMetrics } from "#pkg/metrics";
import { quarantineConfigMap } from "#pkg/quarantine";
import { asksFor, type LoadBalancerClasses, mayHoldSeveral, recordedAddresses } from "#pkg/service";
import type { Dated } from "#pkg/verdict";
import type { ClusterEvent } from "./core/index.ts";

export interface SourcesOptions {
  readonly cluster: Pick<Cluster, "informer">;
  readonly namespace: string;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  readonly classes: LoadBalancerClasses;
  readonly emit: (event: ClusterEvent) => void;
  readonly metrics: KubernetesMetrics;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ConfigStatus extends Dated<Millis> {
  readonly inForce: Config | undefined;
  /** Since when it is in force; undefined without a configuration. */
  readonly inForceSince: Millis | undefined;
  /** The version of the ConfigMap that this process has seen last; undefined before the first. */
  readonly seen: string | undefined;
}

// Each looks at some hundred Services, which takes 2 ms at most.
const portionsPerTurn = 2;

/** Follows all objects of the API that announcements depend on, and decides which configuration is in force. */
export class Sources implements Disposable {
  readonly #options: SourcesOptions;
  readonly #live: LiveConfig;
  readonly #reader: ConfigReader;
  readonly #portions: Portions;
  readonly #informers: Informers;
  readonly #services: Informer<Service>;
  #configSince: Millis;
  #inForceSince: Millis | undefined;
  #seen: string | undefined; // the ConfigMap's resource version
  #phase: "new" | "started" | "synced" | "disposed" = "new";

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.#configSince = options.clock.now();
    const { cluster, namespace, classes, metrics, emit, clock, log } = options;
    this.#informers = new Informers(
      cluster,
      () => this.#check(),
      () => emit({ type: "apiLost", since: this.#informers.lostSince ?? Infinity }),
    );
    this.#services = this.#informers.follow("Services", servicesOf(classes), {}, (key, now) => this.#serviceChanged(key, now));
    this.#informers.follow("Nodes", resources.nodes, {}, (name, node) => {
      metrics.updates.inc();
      emit({ type: "node", name, node });
    });
    const followConfigMap = (name: string, changed: (now: ConfigMap | undefined) => void) =>
      this.#informers.follow(`ConfigMap ${namespace}/${name}`, resources.configMaps, named(namespace, name), (_key, now) =>
        changed(now),
      );
    followConfigMap(options.configMap, (now) => {
      this.#seen = now?.resourceVersion;
      this.#live.configMapChanged(now?.data);
    });
    followConfigMap(statusConfigMap, (now) => this.#live.lastGoodChanged(now?.data[lastGoodKey]));
    followConfigMap(quarantineConfigMap, (now) => emit({ type: "quarantine", data: now?.data ?? {} }));
    this.#reader = new ConfigReader(log);
    this.#portions = new Portions(clock, portionsPerTurn);
    this.#live = new LiveConfig({
      reader: this.#reader,
      portions: this.#portions,
      holdings: { services: () => this.#serviceKeys(), of: (service) => this.#held(service) },
      log,
      changed: (now, before) => this.#configChanged(now, before),
      namespaceLabels: () => "awaited",
      // Preparations for a configuration that may come into force begin before it does.
      wasRead: (config) => emit({ type: "configRead", config }),
    });
  }

  /** @param endpoints EndpointSlices, or Endpoints where the API has no slices */
  start(endpoints: Resource<EndpointSlice>): void {
    if (this.#phase !== "new") return;
    this.#phase = "started";
    const { metrics, emit } = this.#options;
    this.#informers.follow("endpoints", endpoints, {}, (key, now, before) => {
      metrics.updates.inc();
      emit({ type: "slice", key, now, before });
    });
    this.#informers.start();
  }

  /** Everything has been seen, the members among it: makes the first decision. */
  startConfig(): void {
    this.#live.start();
    this.#options.emit({ type: "start" });
  }

  /** Resources that have not been seen; nothing is announced before the list is empty. */
  get missing(): readonly string[] {
    return this.#phase === "new" ? ["the API"] : this.#informers.missing;
  }

  /** Why the ConfigMap's configuration is not the one in force; undefined when it is, or before everything has been seen. */
  get refused(): string | undefined {
    return this.#live.refused;
  }

  /** The configuration in force, the verdict on the ConfigMap's, and their dates. */
  get configuration(): ConfigStatus {
    const { state } = this.#live;
    const { config } = state.inForce ?? {};
    const verdict = configurationVerdict(state);
    return { inForce: config, inForceSince: this.#inForceSince, seen: this.#seen, verdict, since: this.#configSince };
  }

  [Symbol.dispose](): void {
    this.#phase = "disposed";
    this.#informers[Symbol.dispose]();
    this.#reader[Symbol.dispose]();
    this.#portions[Symbol.dispose]();
  }

  #check(): void {
    if (this.#phase !== "started" || this.#informers.missing.length > 0) return;
    this.#phase = "synced";
    this.#options.emit({ type: "clusterSynced" });
  }

  #serviceChanged(key: string, service: Service | undefined): void {
    this.#options.metrics.updates.inc();
    this.#options.emit({ type: "service", key, service });
    this.#live.serviceChanged(key);
  }

  #configChanged({ inForce, verdict }: State, before: State): void {
    const { metrics, emit, clock } = this.#options;
    this.#configSince = clock.now();
    const accepted = verdict?.type === "accepted";
    metrics.updates.inc();
    if (!accepted) metrics.updateErrors.inc();
    metrics.showConfig({ loaded: inForce !== undefined, stale: !accepted });
    if (inForce === undefined || inForce === before.inForce) return;
    this.#inForceSince = clock.now();
    emit({ type: "config", config: inForce.config, pools: inForce.pools });
  }

  *#serviceKeys(): Iterable<string> {
    for (const { key } of this.#services.values()) yield key;
  }

  #held(key: string): readonly HeldTogether[] {
    const service = this.#services.get(key);
    if (service === undefined) return [];
    return [
      {
        addresses: recordedAddresses(service),
        mayHoldSeveral: mayHoldSeveral(service),
        asksFor: (address, pool) => asksFor(service, address, pool.name),
      },
    ];
  }
}
