import { type ParsedConfig, type Pool, parseConfig } from "#pkg/config";
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
} from "#pkg/k8s";
import { LiveConfig, lastGoodKey, type State, statusConfigMap } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import type { KubernetesMetrics } from "#pkg/metrics";
import type { Address } from "#pkg/net";
import { quarantineConfigMap } from "#pkg/quarantine";
import { recordedAddresses } from "#pkg/service";
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import type { Quarantine } from "./conflicts/quarantine.ts";
import type { Members } from "./members/members.ts";
import type { Speaker } from "./speaker.ts";

export interface SourcesOptions {
  readonly cluster: Pick<Cluster, "informer">;
  readonly namespace: string;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  /** EndpointSlices, or Endpoints where the API has no slices. */
  readonly endpoints: Resource<EndpointSlice>;
  readonly members: Members;
  readonly speaker: Speaker;
  readonly bgp: Pick<BgpSpeaker, "setConfig" | "setNode">;
  /** This node's name. */
  readonly node: string;
  readonly quarantine: Pick<Quarantine, "set">;
  /** A configuration was read that may come into force and has a pool of layer 2. */
  readonly layer2Ahead: () => void;
  /** Another configuration is in force. */
  readonly configured: () => void;
  readonly metrics: KubernetesMetrics;
  readonly log: Log;
}

/** Follows all that announcements depend on, and starts the speaker when each of it has been seen whole. */
export class Sources implements Disposable {
  readonly #options: SourcesOptions;
  readonly #live: LiveConfig;
  readonly #informers: Informers;
  readonly #services: Informer<Service>;
  #membersStarted = false;
  #started = false;

  constructor(options: SourcesOptions) {
    this.#options = options;
    const { cluster, namespace, speaker, bgp, metrics, log } = options;
    this.#informers = new Informers(cluster, () => this.check());
    this.#services = this.#informers.follow("Services", resources.services, {}, (key, now) => this.#serviceChanged(key, now));
    this.#informers.follow("endpoints", options.endpoints, {}, (key, now, before) => {
      metrics.updates.inc();
      speaker.setEndpoints(key, now, before);
    });
    this.#informers.follow("Nodes", resources.nodes, {}, (name, now) => {
      metrics.updates.inc();
      speaker.setNode(name, now?.labels);
      if (name === options.node) bgp.setNode(now);
    });
    const followConfigMap = (name: string, changed: (now: ConfigMap | undefined) => void) =>
      this.#informers.follow(`ConfigMap ${namespace}/${name}`, resources.configMaps, named(namespace, name), (_key, now) =>
        changed(now),
      );
    followConfigMap(options.configMap, (now) => this.#live.configMapChanged(now?.data));
    followConfigMap(statusConfigMap, (now) => this.#live.lastGoodChanged(now?.data[lastGoodKey]));
    followConfigMap(quarantineConfigMap, (now) => options.quarantine.set(now?.data ?? {}));
    this.#live = new LiveConfig({
      parse: (text) => this.#parse(text),
      holdings: { services: () => this.#serviceKeys(), addresses: (service) => this.#addresses(service) },
      log,
      changed: (now, before) => this.#configChanged(now, before),
    });
  }

  start(): void {
    this.#informers.start();
  }

  /** To be called when the members have been seen for the first time. */
  check(): void {
    if (!this.#membersStarted && this.#informers.missing.length === 0) {
      // Not before: to the other members this node counts as one that can take addresses over.
      this.#membersStarted = true;
      this.#options.members.start();
    }
    if (this.#started || this.missing.length > 0) return;
    this.#started = true;
    this.#options.log.info("synced, announcing addresses", { event: "stateSynced", services: this.#services.size });
    this.#live.start();
    this.#options.speaker.start();
  }

  /** What has to be seen before anything is announced; empty once it has been. */
  get missing(): readonly string[] {
    return this.#options.members.synced ? this.#informers.missing : [...this.#informers.missing, "the other speakers"];
  }

  /** Those of the configuration in force. */
  get pools(): readonly Pool[] {
    return this.#live.state.inForce?.config.pools ?? [];
  }

  /** Globs for the interfaces that an address is for, by its pool. */
  interfaces(address: Address): readonly string[] {
    return this.#live.state.inForce?.pools.find(address)?.interfaces ?? [];
  }

  /** Why the ConfigMap's configuration is not the one in force; undefined when it is, or before everything has been seen. */
  get refused(): string | undefined {
    return this.#live.refused;
  }

  [Symbol.dispose](): void {
    this.#informers[Symbol.dispose]();
  }

  #serviceChanged(key: string, now: Service | undefined): void {
    this.#options.metrics.updates.inc();
    this.#options.speaker.setService(key, now);
    this.#live.serviceChanged(key);
  }

  /** What layer 2 needs is begun before this node is a member, to which others leave addresses. */
  #parse(text: string): ParsedConfig {
    const parsed = parseConfig(text);
    if (parsed.config?.pools.some(({ protocol }) => protocol === "layer2")) this.#options.layer2Ahead();
    return parsed;
  }

  #configChanged({ inForce, verdict }: State, before: State): void {
    const { metrics, speaker, bgp } = this.#options;
    const accepted = verdict?.type === "accepted";
    metrics.updates.inc();
    if (!accepted) metrics.updateErrors.inc();
    metrics.showConfig({ loaded: inForce !== undefined, stale: !accepted });
    if (inForce === undefined || inForce === before.inForce) return;
    speaker.setConfig(inForce);
    bgp.setConfig(inForce.config);
    this.#options.configured();
  }

  *#serviceKeys(): Iterable<string> {
    for (const { key } of this.#services.values()) yield key;
  }

  #addresses(key: string): readonly Address[] {
    const service = this.#services.get(key);
    return service === undefined ? [] : recordedAddresses(service);
  }
}
