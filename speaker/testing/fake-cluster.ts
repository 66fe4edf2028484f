import type { Cluster, Handlers, Informer, ObjectMeta, Resource, Scope } from "#pkg/k8s";

/** An informer that has seen what the test says. */
export class FakeInformer<V extends ObjectMeta> implements Informer<V> {
  readonly resource: Resource<V>;
  readonly scope: Scope;
  started = false;
  disposed = false;
  synced = false;
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
    for (const object of objects) {
      const before = this.#objects.get(object.key);
      this.#objects.set(object.key, object);
      this.#handlers.changed(object.key, object, before);
    }
  }

  forget(key: string): void {
    const before = this.#objects.get(key);
    this.#objects.delete(key);
    this.#handlers.changed(key, undefined, before);
  }

  /** The first list is complete. */
  sync(): void {
    this.synced = true;
    this.#handlers.synced?.();
  }
}

/** An API of which informers see only what a test tells them. */
export class FakeCluster implements Pick<Cluster, "informer"> {
  readonly informers: FakeInformer<ObjectMeta>[] = [];

  informer<V extends ObjectMeta>(resource: Resource<V>, scope: Scope, handlers: Handlers<V>): Informer<V> {
    const informer = new FakeInformer(resource, scope, handlers);
    this.informers.push(informer as unknown as FakeInformer<ObjectMeta>);
    return informer;
  }

  /** The one informer of a resource, or that of the one object with that name. */
  of<V extends ObjectMeta>(resource: Resource<V>, name?: string): FakeInformer<V> {
    const fieldSelector = name === undefined ? undefined : `metadata.name=${name}`;
    const found = this.informers.find(
      (one) => one.resource.plural === resource.plural && one.scope.fieldSelector === fieldSelector,
    );
    if (found === undefined)
      throw new Error(`Cannot find the informer of ${resource.plural} ${name ?? ""}: it was not asked for`);
    return found as unknown as FakeInformer<V>;
  }
}
