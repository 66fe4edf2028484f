import { aliveKey, announcedLabels, decodeAnnounced } from "#pkg/announced";
import { type Clock, inTurns, type Millis, type Random } from "#pkg/clock";
import { CustomResources } from "#pkg/custom-resources";
import {
  type Cluster,
  type ConfigMap,
  configMapReference,
  type Informer,
  Informers,
  NamespaceLabels,
  type ObjectReference,
  resources,
  type Service,
  servicesOf,
} from "#pkg/k8s";
import { configKey, lastGoodKey, mayRenumber, statusConfigMap, summaryConfigMap } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import { decodeQuarantine, quarantineConfigMap } from "#pkg/quarantine";
import type { LoadBalancerClasses } from "#pkg/service";
import type { ControllerRunner, ServiceChange } from "./core/index.ts";
import { summaryHash } from "./status/summary.ts";

export interface SourcesOptions {
  readonly cluster: Pick<Cluster, "informer" | "servedResources">;
  readonly namespace: string;
  /** Name of the ConfigMap with the configuration. */
  readonly configMap: string;
  readonly classes: LoadBalancerClasses;
  readonly restored: () => void;
  /** In place of the ConfigMap, the configuration is MetalLB's custom resources. */
  readonly configSource: "configmap" | "crds";
  readonly runner: Pick<ControllerRunner, "dispatch">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** So many Services of a list take the core a millisecond or two. */
export const maxSeenAtOnce = 500;

/** Follows objects of the Kubernetes API and delivers them to the core. */
export class Sources implements Disposable {
  readonly #informers: Informers;
  readonly #announced: Informers;
  readonly #services: Informer<Service>;
  readonly #customResources: CustomResources | undefined;
  readonly #runner: SourcesOptions["runner"];
  #unseen: ServiceChange[] | undefined; // Changes of a list that the core sees in portions, and those that come meanwhile.
  #telling: Promise<void> = Promise.resolve(); // The core sees them.
  #caughtUp: (() => void) | undefined; // Called after the next list.
  readonly namespaces: NamespaceLabels;

  constructor(options: SourcesOptions) {
    const { cluster, namespace, configMap, classes, configSource, runner } = options;
    this.#runner = runner;
    const emit = runner.dispatch;
    const seen = () => this.#seen();
    this.#informers = new Informers(cluster, seen, { reached: seen, restored: options.restored });
    this.namespaces = new NamespaceLabels({
      cluster,
      onChange: (name, labels, isNews) => emit({ type: "namespace", name, labels, isNews }),
      onKnown: (state) => {
        const labels = state === "known" ? state : { missing: NamespaceLabels.missing("controller") };
        emit({ type: "namespacesKnown", labels });
      },
    });
    const servicesChanged = (changed: readonly ServiceChange[]) => {
      if (this.#unseen === undefined) this.#telling = inTurns(options.clock, this.#tell([...changed]));
      else for (const change of changed) this.#unseen.push(change); // It counts when all of a list have been seen, too.
    };
    const serviceChanged = (key: string, now: Service | undefined) => servicesChanged([{ key, now }]);
    this.#services = this.#informers.follow("Services", servicesOf(classes, "labels"), {}, serviceChanged, {
      replaced: servicesChanged,
      relisted: () => {
        emit({ type: "relisted" });
        void this.#telling.then(() => this.#caughtUp?.());
      },
    });
    // Nothing waits for these: they say nothing of addresses.
    this.#announced = new Informers(cluster, () => {});
    const announced = { namespace, labelSelector: announcedLabels };
    this.#announced.follow("announced Services", resources.configMaps, announced, (_key, now) => {
      if (now === undefined) return;
      emit({ type: "announced", lines: decodeAnnounced(now, namespace), alive: now.data[aliveKey]?.slice(0, 64) });
    });
    if (configSource === "crds")
      this.#customResources = new CustomResources({
        ...options,
        offered: ({ text, ...offer }) => emit({ type: "configMap", now: { ...offer, secretText: text } }),
        changing: (areChanging) => emit({ type: "objectsChanging", areChanging }),
        reached: seen,
      });
    else
      this.#informers.followConfigMap(namespace, configMap, (now) => emit({ type: "configMap", now: now && configMapSeen(now) }));
    this.#informers.followConfigMap(namespace, statusConfigMap, (now) => {
      const data = now?.data ?? {};
      emit({ type: "statusMap", secretText: data[lastGoodKey], hasSummary: summaryHash(data) !== "" });
      this.#customResources?.lastGoodChanged(data[lastGoodKey]);
    });
    this.#informers.followConfigMap(namespace, summaryConfigMap, (now) =>
      emit({ type: "summaryMap", hash: summaryHash(now?.data ?? {}) }),
    );
    this.#informers.followConfigMap(namespace, quarantineConfigMap, (now) =>
      emit({ type: "occupied", reported: decodeQuarantine(now?.data ?? {}) }),
    );
  }

  start(): void {
    this.#informers.start();
    this.#customResources?.start();
    this.#announced.start();
  }

  /** Has all Services listed again, and calls back when the core has seen all that had been written into them by now. */
  catchUp(caughtUp: () => void): void {
    this.#caughtUp = () => {
      this.#caughtUp = undefined;
      caughtUp();
    };
    this.#services.relist();
  }

  /** An object of the configuration, by the name that problems give it. */
  referenceOf(object: string): ObjectReference | undefined {
    return this.#customResources?.referenceOf(object);
  }

  /** Resources that have to be seen before the work begins; empty once it can begin. */
  get missing(): readonly string[] {
    return [...this.#informers.missing, ...(this.#customResources?.missing ?? [])];
  }

  [Symbol.dispose](): void {
    this.#caughtUp = undefined;
    this.#informers[Symbol.dispose]();
    this.#customResources?.[Symbol.dispose]();
    this.#announced[Symbol.dispose]();
    this.namespaces[Symbol.dispose]();
  }

  /** All Services of a list are seen before the change of one counts. Both take some microseconds for each of thousands. */
  *#tell(changed: ServiceChange[]): Generator<undefined, void> {
    this.#unseen = changed;
    for (let seen = 0; seen < changed.length; ) {
      const portion = changed.slice(seen, seen + maxSeenAtOnce);
      seen += portion.length; // More may come before the next portion.
      this.#runner.dispatch({ type: "services", changed: portion.map(({ key, now }) => ({ key, now })) });
      yield;
    }
    this.#unseen = undefined;
    for (const { key } of changed) {
      this.#runner.dispatch({ type: "service", key });
      yield;
    }
  }

  get #lostSince(): Millis | undefined {
    return this.#informers.lostSince ?? this.#customResources?.lostSince;
  }

  #seen(): void {
    this.#runner.dispatch({ type: "seen", isCurrent: this.missing.length === 0 && this.#lostSince === undefined });
  }
}

function configMapSeen(now: ConfigMap) {
  return {
    about: configMapReference(now),
    version: now.resourceVersion,
    secretText: now.data[configKey],
    mayRenumber: mayRenumber(now.annotations),
  };
}
