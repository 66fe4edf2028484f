import { type Cluster, type ConfigMap, Informers, named, resources, servicesOf } from "#pkg/k8s";
import { statusConfigMap } from "#pkg/live-config";
import { decodeQuarantine, quarantineConfigMap } from "#pkg/quarantine";
import type { LoadBalancerClasses } from "#pkg/service";
import { Namespaces } from "./configuration/namespaces.ts";
import type { ControllerEvent, ServiceChange } from "./core/index.ts";

export interface SourcesOptions {
  readonly cluster: Pick<Cluster, "informer">;
  readonly namespace: string;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  readonly classes: LoadBalancerClasses;
  readonly emit: (event: ControllerEvent) => void;
}

/** Follows objects of the Kubernetes API and delivers them to the core. */
export class Sources implements Disposable {
  readonly #informers: Informers;
  readonly #emit: SourcesOptions["emit"];
  readonly namespaces: Namespaces;

  constructor({ cluster, namespace, configMap, classes, emit }: SourcesOptions) {
    this.#emit = emit;
    const seen = () => this.#seen();
    this.#informers = new Informers(cluster, seen, seen);
    this.namespaces = new Namespaces({ cluster, emit });
    const servicesChanged = (changed: readonly ServiceChange[]) => {
      emit({ type: "services", changed: changed.map(({ key, now }) => ({ key, now })) });
      for (const { key } of changed) emit({ type: "service", key });
    };
    this.#informers.follow("Services", servicesOf(classes, "labels"), {}, (key, now) => servicesChanged([{ key, now }]), {
      replaced: servicesChanged,
      relisted: () => emit({ type: "relisted" }),
    });
    const followConfigMap = (name: string, changed: (now: ConfigMap | undefined) => void) =>
      this.#informers.follow(`ConfigMap ${namespace}/${name}`, resources.configMaps, named(namespace, name), (_key, now) =>
        changed(now),
      );
    followConfigMap(configMap, (now) => emit({ type: "configMap", now }));
    followConfigMap(statusConfigMap, (now) => emit({ type: "statusMap", now }));
    followConfigMap(quarantineConfigMap, (now) => emit({ type: "occupied", reported: decodeQuarantine(now?.data ?? {}) }));
  }

  start(): void {
    this.#informers.start();
  }

  /** Resources that have to be seen before the work begins; empty once it can begin. */
  get missing(): readonly string[] {
    return this.#informers.missing;
  }

  [Symbol.dispose](): void {
    this.#informers[Symbol.dispose]();
    this.namespaces[Symbol.dispose]();
  }

  #seen(): void {
    this.#emit({ type: "seen", isCurrent: this.missing.length === 0 && this.#informers.lostSince === undefined });
  }
}
