import { type Clock, type Millis, Portions, type Random } from "#pkg/clock";
import { ConfigReader } from "#pkg/config-reader";
import { CustomResources } from "#pkg/custom-resources";
import {
  type ApiError,
  type ApiProblem,
  type Cluster,
  type EndpointSlice,
  type Informer,
  Informers,
  problemOf,
  type Resource,
  resources,
  type Scope,
  type Service,
  servicesOf,
  slicesOf,
} from "#pkg/k8s";
import {
  type ConfigStatus,
  configKey,
  customResources,
  type HeldTogether,
  type InForce,
  LiveConfig,
  type LiveConfigEffect,
  type LiveDecision,
  lastGoodKey,
  readCandidate,
  type SeenConfig,
  statusConfigMap,
} from "#pkg/live-config";
import type { Log } from "#pkg/log";
import type { KubernetesMetrics } from "#pkg/metrics";
import { quarantineConfigMap } from "#pkg/quarantine";
import { type LoadBalancerClasses, recordedHoldings } from "#pkg/service";
import type { ClusterEvent } from "./core/index.ts";
import { NodeInformers } from "./node-informers.ts";
import { PolicySources } from "./policy-sources.ts";

export interface SourcesOptions {
  readonly cluster: Pick<Cluster, "informer" | "count" | "servedResources">;
  readonly namespace: string;
  /** This node's name. */
  readonly node: string;
  /** See `NodeInformers`. */
  readonly hasNodeAddresses?: boolean;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  /** `crds`: MetalLB's custom resources are the configuration in its place. */
  readonly configSource: "configmap" | "crds";
  readonly classes: LoadBalancerClasses;
  readonly emit: (event: ClusterEvent) => void;
  readonly metrics: KubernetesMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

// A Service of another type counts as deleted: nothing is announced for it. The controller follows all of them, and empties their statuses.
const loadBalancers: Scope = { fieldSelector: "spec.type=LoadBalancer", isSelectorOptional: true, isForMany: true };
// A Service of type LoadBalancer has an address in the cluster.
const withHeads: Scope = { labelSelector: "!service.kubernetes.io/headless", isForMany: true };
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
  #endpoints: Informer<EndpointSlice> | undefined;
  readonly #nodes: NodeInformers;
  readonly #customResources: CustomResources | undefined;
  readonly #policy: PolicySources;
  #next: InForce | undefined; // In force as soon as all is known that it asks for.
  #startFailure: ApiError | undefined; // Why it was not started yet.
  #phase: "new" | "started" | "synced" | "begun" | "disposed" = "new";

  constructor(options: SourcesOptions) {
    this.#options = options;
    const { cluster, namespace, classes, metrics, emit, clock, log } = options;
    const reached = (): void => emit({ type: "apiLost", since: this.#lostSince });
    this.#informers = new Informers(cluster, () => this.#check(), { reached });
    const onKnown = (): void => this.#emitNext();
    this.#policy = new PolicySources({ cluster, emit, relist: () => this.#services.relist(), onKnown, log });
    this.#services = this.#informers.follow(
      "Services",
      servicesOf(classes, this.#policy.kept),
      loadBalancers,
      (key, now) => this.#serviceChanged(key, now),
      {
        // An API that was restored from a backup has the lines of then.
        relisted: () => {
          emit({ type: "linesReplaced" });
          this.#policy.servicesListed();
        },
      },
    );
    this.#nodes = new NodeInformers({
      ...options,
      changed: () => metrics.updates.inc(),
      synced: () => this.#check(),
      reached,
    });
    const seen = (now: SeenConfig | undefined): void => this.#decided(this.#live.configMapChanged(now));
    if (options.configSource === "crds")
      this.#customResources = new CustomResources({
        ...options,
        offered: seen,
        reached: () => {
          reached();
          this.#check();
        },
      });
    else
      this.#informers.followConfigMap(namespace, options.configMap, (now) =>
        seen(now && { text: now.data[configKey], version: now.resourceVersion }),
      );
    this.#informers.followConfigMap(namespace, statusConfigMap, (now) => {
      const lastGood = now?.data[lastGoodKey];
      this.#live.lastGoodChanged(lastGood);
      this.#customResources?.lastGoodChanged(lastGood);
    });
    this.#informers.followConfigMap(namespace, quarantineConfigMap, (now) => emit({ type: "quarantine", data: now?.data ?? {} }));
    this.#reader = new ConfigReader(log);
    this.#portions = new Portions(clock, portionsPerTurn);
    const holdings = { services: () => this.#serviceKeys(), of: (service: string) => this.#held(service) };
    const context = {
      get now() {
        return clock.now();
      },
      do: (effect: LiveConfigEffect) => this.#carryOut(effect),
    };
    this.#live = new LiveConfig(
      context,
      holdings,
      "awaited",
      clock.now(),
      options.configSource === "crds" ? customResources : options.configMap,
    );
  }

  /** @param endpoints EndpointSlices, or Endpoints where the API has no slices */
  start(endpoints: Resource<EndpointSlice>): void {
    if (this.#phase !== "new") return;
    this.#phase = "started";
    const { metrics, emit } = this.#options;
    const part = endpoints === resources.endpointSlices ? { part: slicesOf((service) => this.#isOurs(service)) } : {};
    this.#endpoints = this.#informers.follow("endpoints", endpoints, { ...withHeads, ...part }, (key, now, before) => {
      metrics.updates.inc();
      emit({ type: "slice", key, now, before });
    });
    this.#informers.start();
    void this.#nodes.start();
    this.#customResources?.start();
  }

  /** The API does not even say where it has endpoints. */
  startFails(error: ApiError): void {
    this.#startFailure = error;
  }

  /** Follows these Nodes from now on, in place of those before. */
  followNodes(names: "all" | readonly string[]): void {
    if (this.#phase !== "disposed") this.#nodes.follow(names);
  }

  /** Everything has been seen, the members among it: makes the first decision. */
  startConfig(): void {
    this.#phase = "begun";
    this.#live.start();
    this.#options.emit({ type: "start" });
  }

  /** Resources that have not been seen; nothing is announced before the list is empty. */
  get missing(): readonly string[] {
    if (this.#phase === "new") return ["the API"];
    const nodes = this.#phase === "begun" ? [] : this.#nodes.missing; // Later others tell of those that are not seen.
    return [...this.#informers.missing, ...nodes, ...(this.#customResources?.missing ?? [])];
  }

  /** Why the API is not reached, or refuses to show what announcements depend on, and the remedy; undefined where it does not. */
  get apiProblem(): ApiProblem | undefined {
    const ofStart = this.#phase === "new" ? this.#startFailure : undefined;
    const failure = ofStart ?? this.#informers.failure ?? this.#nodes.failure ?? this.#customResources?.failure;
    return failure && problemOf(failure);
  }

  /** Why the ConfigMap's configuration is not the one in force; undefined when it is, or before everything has been seen. */
  get refused(): string | undefined {
    return this.#live.refused;
  }

  /** The configuration in force, the verdict on the ConfigMap's, and their dates. */
  get configuration(): ConfigStatus {
    return this.#live.status;
  }

  [Symbol.dispose](): void {
    this.#phase = "disposed";
    this.#informers[Symbol.dispose]();
    this.#policy[Symbol.dispose]();
    this.#nodes[Symbol.dispose]();
    this.#customResources?.[Symbol.dispose]();
    this.#reader[Symbol.dispose]();
    this.#portions[Symbol.dispose]();
  }

  get #lostSince(): Millis {
    const ofObjects = Math.min(this.#informers.lostSince ?? Infinity, this.#nodes.lostSince ?? Infinity);
    return Math.min(ofObjects, this.#customResources?.lostSince ?? Infinity);
  }

  #check(): void {
    if (this.#phase !== "started" || this.missing.length > 0) return;
    this.#phase = "synced";
    this.#options.emit({ type: "clusterSynced" });
  }

  /** Whether the Service is one of ours, as far as Services are known. */
  #isOurs(key: string): boolean {
    const service = this.#services.get(key);
    return service === undefined ? !this.#services.synced : service.type === "LoadBalancer" && service.isClaimed;
  }

  #serviceChanged(key: string, service: Service | undefined): void {
    this.#options.metrics.updates.inc();
    this.#options.emit({ type: "service", key, service });
    if (this.#isOurs(key)) this.#endpoints?.want(key);
    this.#decided(this.#live.serviceChanged(key));
  }

  #carryOut(effect: LiveConfigEffect): void {
    const { emit, log } = this.#options;
    switch (effect.type) {
      case "log":
        log[effect.level](effect.message, effect.fields);
        break;
      case "readConfig":
        readCandidate(effect.secretText, this.#reader, this.#portions, (parsed) => this.#live.read(effect.secretText, parsed));
        break;
      case "prepareConfig":
        this.#policy.follow(effect.config);
        emit({ type: "configRead", config: effect.config });
        break;
      case "judgePortion":
        this.#portions.do(() => this.#decided(this.#live.portion(effect.of)));
        break;
      default:
        effect satisfies never;
    }
  }

  #decided(decision: LiveDecision | undefined): void {
    if (decision === undefined) return;
    const { before } = decision;
    const { inForce, verdict } = decision.now;
    const { metrics } = this.#options;
    const accepted = verdict?.type === "accepted";
    metrics.updates.inc();
    if (!accepted) metrics.updateErrors.inc();
    metrics.showConfig({ loaded: inForce !== undefined, stale: !accepted });
    if (inForce === undefined || inForce === before.inForce) return;
    this.#policy.follow(inForce.config);
    this.#next = inForce;
    this.#emitNext();
  }

  /** Nothing is announced to the wrong routers, or without what a Service asks for, because that is not known yet. */
  #emitNext(): void {
    if (this.#phase === "disposed" || !this.#policy.isKnown) return;
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) this.#options.emit({ type: "config", config: next.config, pools: next.pools });
  }

  *#serviceKeys(): Iterable<string> {
    for (const { key } of this.#services.values()) yield key;
  }

  #held(key: string): readonly HeldTogether[] {
    const service = this.#services.get(key);
    return service === undefined ? [] : [recordedHoldings(service)];
  }
}
