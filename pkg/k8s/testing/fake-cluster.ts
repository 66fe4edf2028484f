import { setImmediate } from "node:timers/promises";
import type { Millis } from "#pkg/clock";
import { ApiError, type Cluster, type ConfigMap, type Handlers, type Informer, type ObjectMeta, type Resource } from "#pkg/k8s";
import type { ConditionsWrite, StatusWriteOptions } from "../cluster.ts";
import type { EventRecorder } from "../event-recorder.ts";
import { type Scope, tellOf } from "../informers.ts";
import type { Service } from "../objects.ts";
import type { PodRow } from "../pod-rows.ts";
import { configMap } from "./objects.ts";

/** An informer that has seen what the test says. */
export class FakeInformer<V extends ObjectMeta> implements Informer<V> {
  readonly resource: Resource<V>;
  readonly scope: Scope;
  started = false;
  disposed = false;
  synced = false;
  lostSince: Millis | undefined;
  /** The version of the store that it last caught up with; undefined once a test has told it something else. */
  caughtUpWith: number | undefined;
  /** The next delivery is a list, as after a restore. */
  isToList = false;
  readonly #handlers: Handlers<V>;
  readonly #objects = new Map<string, V>(); // key -> object

  constructor(resource: Resource<V>, scope: Scope, handlers: Handlers<V>) {
    this.resource = resource;
    this.scope = scope;
    this.#handlers = handlers;
  }

  start(): void {
    this.started = true;
  }

  relist(): void {
    this.isToList = true;
  }

  /** Owners that became wanted. */
  readonly wanted: string[] = [];

  /** Nothing is ever left out. */
  want(owner: string): void {
    this.wanted.push(owner);
  }

  get(key: string): V | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<V> {
    return this.#objects.values();
  }

  get size(): number {
    return this.#objects.size;
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }

  /** These objects are now as they are here. */
  see(...objects: V[]): void {
    for (const object of objects) this.seeAtOnce([object]);
  }

  /** The same of a list that is taken over: what is told of the first can be asked of all. */
  seeAtOnce(objects: readonly V[]): void {
    this.caughtUpWith = undefined;
    const before = objects.map(({ key }) => this.#objects.get(key));
    for (const object of objects) this.#objects.set(object.key, object);
    tellOf(
      this.#handlers,
      objects.map((now, index) => ({ key: now.key, now, before: before[index] })),
    );
  }

  forget(key: string): void {
    this.caughtUpWith = undefined;
    const before = this.#objects.get(key);
    this.#objects.delete(key);
    this.#handlers.changed(key, undefined, before);
  }

  /** The API is out of reach since then, or undefined: reached again. */
  lose(since: Millis | undefined): void {
    this.lostSince = since;
    this.#handlers.reached?.();
  }

  /** The server refuses the list. */
  forbid(): void {
    this.#handlers.forbidden?.();
  }

  /** The later list has what is older than others that were seen. @returns whether somebody wanted to know */
  restore(): boolean {
    this.isToList = false;
    this.#handlers.restored?.();
    return this.disposed;
  }

  /** A later list is complete. */
  listAgain(): void {
    this.isToList = false;
    this.#handlers.relisted?.();
  }

  /** The first list is complete, or the one that somebody asked for meanwhile. */
  sync(): void {
    this.synced = true;
    this.#handlers.synced?.();
    if (this.isToList) this.listAgain();
  }
}

type Plural = "services" | "configmaps" | "namespaces" | "secrets";

/**
 * The API as controller and speaker see it. A test either says what each informer sees (`of`), or stores objects, which informers
 * learn of when they are delivered. Every write and every event is a line of `transcript`.
 */
export class FakeCluster
  implements
    Pick<Cluster, "informer" | "count" | "podRows" | "servedResources" | "writeIngress" | "writeConditions" | "writeConfigMap">,
    Pick<EventRecorder, "record">
{
  readonly transcript: string[] = [];
  readonly informers: FakeInformer<ObjectMeta>[] = [];
  /** Writes fail as they do when the API server is away. */
  away = false;
  /** Resources of definitions: plural -> versions. */
  readonly served = new Map<string, readonly string[]>();
  /** Writes about these objects fail: key -> error. */
  readonly refused = new Map<string, ApiError>();
  /** A write of a Service's status waits for this, and fails if it fails. @param within how long the answer may take */
  beforeStatus: ((key: string, within: Millis) => Promise<void>) | undefined;
  /** An admission webhook: what it makes of a status. */
  admit: (addresses: readonly string[]) => readonly string[] = (addresses) => addresses;
  /** Informers of these kinds learn nothing. */
  readonly silent = new Set<Plural>();
  /** Nor do those of these kinds: the server refuses to list them. */
  readonly forbidden = new Set<Plural>();
  /** Writes take until this is kept. */
  gate: Promise<void> = Promise.resolve();
  #stored = new Map<string, ObjectMeta>(); // plural and key -> object
  #version = 1;
  #writesUnderWay = 0;

  informer<V extends ObjectMeta>(resource: Resource<V>, scope: Scope, handlers: Handlers<V>): FakeInformer<V> {
    const informer = new FakeInformer(resource, scope, handlers);
    this.informers.push(informer as unknown as FakeInformer<ObjectMeta>);
    return informer;
  }

  /** Unless it is replaced, for those who can do without. */
  count(): Promise<number | undefined> {
    return this.away ? Promise.reject(new ApiError("Cannot count", 0, "Unreachable")) : Promise.resolve(undefined);
  }

  podRows(): Promise<readonly PodRow[]> {
    return this.away ? Promise.reject(new ApiError("Cannot list", 0, "Unreachable")) : Promise.resolve([]);
  }

  servedResources(): Promise<ReadonlyMap<string, readonly string[]>> {
    return this.away ? Promise.reject(new ApiError("Cannot look", 0, "Unreachable")) : Promise.resolve(new Map(this.served));
  }

  /** The one informer of a resource, or that of the one object with that name. */
  of<V extends ObjectMeta>(resource: Resource<V>, name?: string): FakeInformer<V> {
    const found = this.informers.find(({ resource: { plural }, scope }) => {
      const isOfOne = scope.fieldSelector?.startsWith("metadata.name=") === true;
      return plural === resource.plural && (name === undefined ? !isOfOne : scope.fieldSelector === `metadata.name=${name}`);
    });
    if (found === undefined) throw new Error(`Cannot find the informer of ${resource.plural} ${name ?? ""}: there is none`);
    return found as unknown as FakeInformer<V>;
  }

  put(plural: Plural, object: ObjectMeta): void {
    this.#stored.set(`${plural} ${object.key}`, { ...object, resourceVersion: `${++this.#version}` });
  }

  remove(plural: Plural, key: string): void {
    this.#stored.delete(`${plural} ${key}`);
    this.#version++;
  }

  /** All stored objects, for `restore`. */
  backup(): ReadonlyMap<string, ObjectMeta> {
    return new Map(this.#stored);
  }

  /** Puts all objects back, with their versions, and lets informers list again. */
  restore(backup: ReadonlyMap<string, ObjectMeta>): void {
    this.#stored = new Map(backup);
    this.#version++;
    for (const informer of this.informers) informer.isToList = true;
  }

  service(key: string): Service | undefined {
    return this.#stored.get(`services ${key}`) as Service | undefined;
  }

  configMap(key: string): ReturnType<typeof configMap> | undefined {
    return this.#stored.get(`configmaps ${key}`) as ReturnType<typeof configMap> | undefined;
  }

  get busy(): boolean {
    return this.#writesUnderWay > 0;
  }

  /** Informers catch up with the stored objects: these informers, or all. */
  deliver(informers: readonly FakeInformer<ObjectMeta>[] = this.informers): void {
    for (const informer of informers) {
      const { started, disposed, synced, resource } = informer;
      if (!started || disposed || this.silent.has(resource.plural as Plural)) continue;
      if (this.forbidden.has(resource.plural as Plural)) {
        informer.forbid();
        continue;
      }
      const version = this.#version;
      if (informer.caughtUpWith === version && !informer.isToList) continue; // Most deliveries bring nothing, and to look at thousands of objects takes long.
      const current = this.#matching(informer);
      const isOld = ({ key, resourceVersion }: ObjectMeta) =>
        resourceVersion !== informer.get(key)?.resourceVersion && Number(resourceVersion) < (informer.caughtUpWith ?? 0);
      if (informer.isToList && [...current.values()].some(isOld) && informer.restore()) continue;
      for (const { key } of [...informer.values()]) if (!current.has(key)) informer.forget(key);
      informer.seeAtOnce([...current.values()].filter((object) => informer.get(object.key) !== object));
      if (!synced) informer.sync();
      else if (informer.isToList) informer.listAgain();
      informer.caughtUpWith = version;
    }
  }

  writeIngress(
    service: Service,
    addresses: readonly string[],
    { answerWithin = 30_000 }: StatusWriteOptions = {},
  ): Promise<"written" | "conflict" | "gone"> {
    const write = () =>
      this.#write(`status of ${service.key}`, () => {
        const refusal = this.refused.get(service.key);
        if (refusal !== undefined) throw refusal;
        const stored = this.service(service.key);
        if (stored === undefined) return "gone";
        if (stored.resourceVersion !== service.resourceVersion) {
          this.transcript.push(`${service.key}: conflict`);
          return "conflict";
        }
        this.transcript.push(`${service.key}: status ${addresses.join(" ") || "cleared"}`);
        const ingress = this.admit(addresses);
        // An unchanged status gets no new version.
        if (ingress.join() !== stored.ingress.join() || stored.hasHostnames)
          this.put("services", { ...stored, ingress, hasHostnames: false } as Service);
        return "written";
      });
    return this.beforeStatus === undefined ? write() : this.beforeStatus(service.key, answerWithin).then(write);
  }

  writeConditions(service: Service, { conditions, gone, annotations }: ConditionsWrite): Promise<void> {
    return this.#write(`conditions of ${service.key}`, () => {
      const refusal = this.refused.get(service.key);
      if (refusal !== undefined) throw refusal;
      const stored = this.service(service.key);
      if (stored?.uid !== service.uid) throw new ApiError("Cannot write conditions", 409, "Conflict");
      for (const { type, status, reason, message } of conditions)
        this.transcript.push(`${service.key}: ${type}=${status} ${reason}: ${message}`);
      for (const type of gone) this.transcript.push(`${service.key}: ${type} gone`);
      for (const [name, value] of Object.entries(annotations))
        this.transcript.push(`${service.key}: ${name} ${value === null ? "gone" : `= ${value}`}`);
      const kept = Object.entries({ ...stored.annotations, ...annotations }).filter(([, value]) => value !== null);
      const types = [...gone, ...conditions.map(({ type }) => type)];
      const others = stored.conditions.filter(({ type }) => !types.includes(type));
      const changed = { conditions: [...others, ...conditions], annotations: Object.fromEntries(kept) };
      this.put("services", { ...stored, ...changed } as Service);
    });
  }

  writeConfigMap(
    namespace: string,
    name: string,
    data: Readonly<Record<string, string | null>> | null,
  ): Promise<ConfigMap["data"]> {
    return this.#write(`ConfigMap ${name}`, () => {
      const refusal = this.refused.get(`${namespace}/${name}`);
      if (refusal !== undefined) throw refusal;
      this.transcript.push(`${namespace}/${name}: written ${Object.keys(data ?? {}).join(", ")}`);
      const before = this.configMap(`${namespace}/${name}`);
      const merged = Object.entries<string | null>({ ...before?.data, ...data }).flatMap(([key, value]) =>
        value === null ? [] : [[key, value] as const],
      );
      const written = configMap(`${namespace}/${name}`, Object.fromEntries(merged));
      this.put("configmaps", written);
      return written.data;
    });
  }

  record(...[{ namespace, name }, type, reason, message]: Parameters<EventRecorder["record"]>): void {
    this.transcript.push(`${namespace}/${name}: ${type} ${reason}: ${message}`);
  }

  async #write<T>(purpose: string, write: () => T): Promise<T> {
    this.#writesUnderWay++;
    try {
      await this.gate;
      await setImmediate();
      if (this.away) throw new ApiError(`Cannot write ${purpose}`, 0, "Unreachable");
      return write();
    } finally {
      this.#writesUnderWay--;
    }
  }

  #matching({ resource, scope }: FakeInformer<ObjectMeta>): Map<string, ObjectMeta> {
    const matches = [...this.#stored].filter(
      ([key, object]) =>
        key.startsWith(`${resource.plural} `) &&
        (scope.namespace === undefined || scope.namespace === object.namespace) &&
        (scope.fieldSelector === undefined || selectable(object).includes(scope.fieldSelector)),
    );
    return new Map(matches.map(([, object]) => [object.key, object]));
  }
}

/** The field selectors that match the object. */
function selectable(object: ObjectMeta & { readonly type?: string }): readonly string[] {
  return [`metadata.name=${object.name}`, `spec.type=${object.type}`];
}
