import { setImmediate } from "node:timers/promises";
import { Allocator } from "#pkg/allocator";
import { SimulatedClock, seededRandom } from "#pkg/clock";
import {
  ApiError,
  type Cluster,
  type ConfigMap,
  type EventRecorder,
  type Handlers,
  type Informer,
  type ObjectMeta,
  type ObjectReference,
  type Resource,
  type Scope,
  type Service,
} from "#pkg/k8s";
import { configKey, lastGoodKey, statusConfigMap } from "#pkg/live-config";
import { silentLog } from "#pkg/log";
import { Registry } from "#pkg/metrics";
import { encodeQuarantine, quarantineConfigMap } from "#pkg/quarantine";
import { Controller } from "../controller.ts";
import { createMetrics } from "../metrics.ts";

export type ServiceSpec = Partial<Omit<Service, "key" | "namespace" | "name">>;

/** A Service of one IPv4 family that asks for nothing in particular. Its key is `default/NAME`. */
export function makeService(name: string, spec: ServiceSpec = {}): Service {
  return {
    key: `default/${name}`,
    namespace: "default",
    name,
    uid: `uid-${name}`,
    resourceVersion: "1",
    annotations: {},
    type: "LoadBalancer",
    loadBalancerClass: undefined,
    clusterIPs: ["10.96.0.1"],
    ports: [{ name: "", protocol: "TCP", port: 80 }],
    selector: {},
    externalTrafficPolicy: "Cluster",
    loadBalancerIP: "",
    ingress: [],
    ...spec,
  };
}

/** A layer-2 configuration from `NAME FIRST-LAST…` for each pool. */
export function configText(...pools: string[]): string {
  const entries = pools.map((pool) => {
    const [name, ...ranges] = pool.split(" ");
    return `- name: ${name}\n  protocol: layer2\n  addresses:\n${ranges.map((range) => `  - ${range}\n`).join("")}`;
  });
  return `address-pools:\n${entries.join("")}`;
}

interface Watch {
  readonly resource: Resource<ObjectMeta>;
  readonly scope: Scope;
  readonly handlers: Handlers<ObjectMeta>;
  readonly seen: Map<string, ObjectMeta>; // key -> what the informer knows
  state: "created" | "started" | "synced" | "stopped";
}

/** The API as a controller sees it. All that is written into it, and every event, is a line of `transcript`. */
export class FakeCluster implements Pick<Cluster, "informer" | "writeIngress" | "writeConfigMap">, Pick<EventRecorder, "record"> {
  readonly transcript: string[] = [];
  readonly #objects = new Map<string, ObjectMeta>(); // plural and key -> object
  readonly #watches = new Set<Watch>();
  #version = 1;
  #inFlight = 0;
  /** Writes fail as they do when the API server is away. */
  away = false;
  /** Informers of these kinds learn nothing. */
  readonly silent = new Set<"services" | "configmaps">();
  /** Writes take until this is kept. */
  gate: Promise<void> = Promise.resolve();

  put(plural: "services" | "configmaps", object: ObjectMeta): void {
    this.#objects.set(`${plural} ${object.key}`, { ...object, resourceVersion: `${++this.#version}` });
  }

  remove(plural: "services" | "configmaps", key: string): void {
    this.#objects.delete(`${plural} ${key}`);
  }

  service(key: string): Service | undefined {
    return this.#objects.get(`services ${key}`) as Service | undefined;
  }

  get busy(): boolean {
    return this.#inFlight > 0;
  }

  informer<V extends ObjectMeta>(resource: Resource<V>, scope: Scope, handlers: Handlers<V>): Informer<V> {
    const watch = { resource, scope, handlers, seen: new Map(), state: "created" } as unknown as Watch;
    this.#watches.add(watch);
    return {
      start() {
        watch.state = "started";
      },
      get synced() {
        return watch.state === "synced";
      },
      get: (key) => watch.seen.get(key) as V | undefined,
      values: () => watch.seen.values() as IterableIterator<V>,
      get size() {
        return watch.seen.size;
      },
      [Symbol.dispose]: () => void this.#watches.delete(watch),
    };
  }

  /** Informers catch up with what is stored. */
  deliver(): void {
    for (const watch of this.#watches) {
      const { resource, seen, handlers } = watch;
      if (watch.state === "created" || this.silent.has(resource.plural as "services")) continue;
      const current = this.#matching(watch);
      for (const [key, before] of [...seen]) {
        if (current.has(key)) continue;
        seen.delete(key);
        handlers.changed(key, undefined, before);
      }
      for (const [key, now] of current) {
        const before = seen.get(key);
        if (before === now) continue;
        seen.set(key, now);
        handlers.changed(key, now, before);
      }
      if (watch.state === "synced") continue;
      watch.state = "synced";
      handlers.synced?.();
    }
  }

  writeIngress(service: Service, addresses: readonly string[]): Promise<"written" | "conflict" | "gone"> {
    return this.#write(`status of ${service.key}`, () => {
      const stored = this.service(service.key);
      if (stored === undefined) return "gone";
      if (stored.resourceVersion !== service.resourceVersion) {
        this.transcript.push(`${service.key}: conflict`);
        return "conflict";
      }
      this.transcript.push(`${service.key}: status ${addresses.join(" ") || "cleared"}`);
      this.put("services", { ...stored, ingress: addresses } as Service);
      return "written";
    });
  }

  writeConfigMap(namespace: string, name: string, data: Readonly<Record<string, string>>): Promise<void> {
    return this.#write(`ConfigMap ${name}`, () => {
      this.transcript.push(`${namespace}/${name}: written`);
      this.put("configmaps", makeConfigMap(name, data));
    });
  }

  record({ namespace, name }: ObjectReference, type: "Normal" | "Warning", reason: string, message: string): void {
    this.transcript.push(`${namespace}/${name}: ${type} ${reason}: ${message}`);
  }

  async #write<T>(purpose: string, write: () => T): Promise<T> {
    this.#inFlight++;
    try {
      await this.gate;
      await setImmediate();
      if (this.away) throw new ApiError(`Cannot write ${purpose}`, 0, "Unreachable");
      return write();
    } finally {
      this.#inFlight--;
    }
  }

  #matching({ resource, scope }: Watch): Map<string, ObjectMeta> {
    const matches = [...this.#objects].filter(
      ([key, { namespace, name }]) =>
        key.startsWith(`${resource.plural} `) &&
        (scope.namespace === undefined || scope.namespace === namespace) &&
        (scope.fieldSelector === undefined || scope.fieldSelector === `metadata.name=${name}`),
    );
    return new Map(matches.map(([, object]) => [object.key, object]));
  }
}

function makeConfigMap(name: string, data: Readonly<Record<string, string>>): ConfigMap {
  const namespace = "metallb-system";
  return { key: `${namespace}/${name}`, namespace, name, uid: `uid-${name}`, resourceVersion: "1", data };
}

/** A cluster with one controller at work in it. */
export class World {
  readonly cluster = new FakeCluster();
  readonly clock = new SimulatedClock();
  registry = new Registry();
  controller = this.#create();

  /** The ConfigMap as it is from now on; undefined deletes it. */
  config(text: string | undefined): void {
    if (text === undefined) this.cluster.remove("configmaps", "metallb-system/config");
    else this.cluster.put("configmaps", makeConfigMap("config", { [configKey]: text }));
  }

  lastGood(text: string): void {
    this.cluster.put("configmaps", makeConfigMap(statusConfigMap, { [lastGoodKey]: text }));
  }

  /** Other hosts of the network have these addresses, and no others. */
  occupied(...addresses: string[]): void {
    const occupant = { mac: "02:00:00:00:00:42", node: "node1", interface: "eth0", since: "" };
    const data = Object.fromEntries(addresses.map((address) => [address, encodeQuarantine(occupant)]));
    this.cluster.put("configmaps", makeConfigMap(quarantineConfigMap, data));
  }

  service(name: string, spec: ServiceSpec = {}): void {
    this.cluster.put("services", makeService(name, spec));
  }

  /** Changes some fields of a Service as its owner would. */
  change(name: string, spec: ServiceSpec): void {
    const service = this.cluster.service(`default/${name}`);
    if (service === undefined) throw new Error(`Cannot change service ${name}: there is none`);
    this.cluster.put("services", { ...service, ...spec });
  }

  delete(name: string): void {
    this.cluster.remove("services", `default/${name}`);
  }

  /** The status of each Service that has been asked for. */
  addresses(...names: string[]): string[] {
    return names.map((name) => `${name}=${this.cluster.service(`default/${name}`)?.ingress.join("+") ?? "gone"}`);
  }

  /** Lets everything happen that happens without time passing. @returns what was written and told since the last time */
  async settle(): Promise<string[]> {
    do {
      this.cluster.deliver();
      this.clock.advanceBy(0);
      await setImmediate();
      this.cluster.deliver();
    } while (this.cluster.busy || this.clock.pending().includes("work queue"));
    return this.cluster.transcript.splice(0);
  }

  /** The process ends and another one starts; all that it knew is lost. */
  async restart(): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
    this.registry = new Registry();
    this.controller = this.#create();
    this.controller.start();
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
    const values = (await this.registry.getSingleMetric(name)?.get())?.values ?? [];
    return values.find((value) => Object.entries(labels).every(([label, text]) => value.labels[label] === text))?.value;
  }

  #create(): Controller {
    const allocator = new Allocator();
    return new Controller({
      cluster: this.cluster,
      events: this.cluster,
      namespace: "metallb-system",
      configMap: "config",
      allocator,
      metrics: createMetrics(this.registry, allocator),
      log: silentLog,
      clock: this.clock,
      random: seededRandom(1),
    });
  }
}

/** A controller that has started with this configuration, if any, and settled with these Services. */
export async function startWorld(
  config: string | undefined,
  services: Readonly<Record<string, ServiceSpec>> = {},
): Promise<World> {
  const world = new World();
  if (config !== undefined) world.config(config);
  for (const [name, spec] of Object.entries(services)) world.service(name, spec);
  world.controller.start();
  await world.settle();
  return world;
}
