import type { Millis } from "#pkg/clock";
import type { ApiError } from "./errors.ts";
import type { ConfigMap, ObjectMeta } from "./objects.ts";
import type { Part } from "./part.ts";
import { type Resource, resources } from "./resources.ts";

/** The objects of a resource to watch; absent fields mean all. Selectors are in the syntax of kubectl. */
export interface Scope {
  readonly namespace?: string;
  readonly fieldSelector?: string;
  /** Whether a server that does not know a field of `fieldSelector` (400) is asked for all objects instead, from then on. */
  readonly isSelectorOptional?: true;
  readonly labelSelector?: string;
  /** The objects are many, and followed by each node: a server lists them from its memory, one after the other, where it can. */
  readonly isForMany?: true;
  readonly part?: Part;
}

export interface Handlers<V> {
  /**
   * An object came (`before` undefined), changed or went (`now` undefined). Also called for each object of the first list. After
   * a gap an object that was deleted and made again is one change, with another `uid`. `get` already answers with the new state.
   */
  changed(key: string, now: V | undefined, before: V | undefined): void;
  /** In place of `changed`, for all changes of a list that is taken over as a whole. `get` already answers with the new state of all. */
  replaced?(changes: readonly ObjectChange<V>[]): void;
  /** The first list is complete: every object there was has been passed to `changed`. */
  synced?(): void;
  /** A later list was passed to `changed`, too. It may lack what a write was answered with before, where the API was restored from a backup. */
  relisted?(): void;
  /**
   * Called before the changes of a later list which shows that the API was restored from a backup: its version is earlier than one that was seen,
   * or an object in it is another one although all changes up to its version were seen. A caller that has to read all else again disposes of
   * the informer, which then tells no changes. For informers that always keep the same parts of objects.
   */
  restored?(): void;
  /** `lostSince` is another. */
  reached?(): void;
  /** The server refuses to list or watch these objects (403). It is asked again and again. */
  forbidden?(): void;
}

export interface ObjectChange<V> {
  readonly key: string;
  readonly now: V | undefined;
  readonly before: V | undefined;
}

/** Tells of changes that came at once. */
export function tellOf<V>(handlers: Pick<Handlers<V>, "changed" | "replaced">, changes: readonly ObjectChange<V>[]): void {
  if (handlers.replaced !== undefined) handlers.replaced(changes);
  else for (const { key, now, before } of changes) handlers.changed(key, now, before);
}

/** The current objects of one resource, followed as they change. Nothing happens before `start`, nor after disposal. */
export interface Informer<V> extends Disposable {
  start(): void;
  /** Lists all objects again: another part of them is kept from now on. `relisted` says when that is done. */
  relist(): void;
  /** Objects of this owner are wanted from now on (`Scope.part`). */
  want(owner: string): void;
  readonly synced: boolean;
  /** Since when it has not seen what changes, because the API is out of reach; undefined while it does. */
  readonly lostSince: Millis | undefined;
  /** The last error, until it sees what changes. */
  readonly failure?: ApiError | undefined;
  /** `key` as in `ObjectMeta`. */
  get(key: string): V | undefined;
  values(): IterableIterator<V>;
  readonly size: number;
}

/** A `Cluster`, as far as informers need it. */
export interface Source {
  informer<V extends ObjectMeta>(resource: Resource<V>, scope: Scope, handlers: Handlers<V>): Informer<V>;
}

/** Informers that a program needs all of: started, waited for and disposed of together. */
export class Informers implements Disposable {
  readonly #cluster: Source;
  readonly #synced: () => void;
  readonly #told: Pick<Handlers<ObjectMeta>, "reached" | "restored">;
  readonly #followed: { readonly what: string; readonly informer: Informer<ObjectMeta> }[] = [];

  /** `synced` runs each time that one of them has seen all there is. @param told see `Handlers`, of any of them */
  constructor(cluster: Source, synced: () => void, told: Pick<Handlers<ObjectMeta>, "reached" | "restored"> = {}) {
    this.#told = told;
    this.#cluster = cluster;
    this.#synced = synced;
  }

  /** @param what as people read it in `missing` */
  follow<V extends ObjectMeta>(
    what: string,
    resource: Resource<V>,
    scope: Scope,
    changed: Handlers<V>["changed"],
    ofLists: Pick<Handlers<V>, "replaced" | "relisted"> = {},
  ): Informer<V> {
    const informer = this.#cluster.informer(resource, scope, {
      changed,
      ...ofLists,
      synced: this.#synced,
      ...this.#told,
    });
    this.#followed.push({ what, informer });
    return informer;
  }

  /** The one ConfigMap of that name. */
  followConfigMap(namespace: string, name: string, changed: (now: ConfigMap | undefined) => void): void {
    const what = `ConfigMap ${namespace}/${name}`;
    this.follow(what, resources.configMaps, named(namespace, name), (_key, now) => changed(now));
  }

  /** In the order in which they are followed. */
  start(): void {
    for (const { informer } of this.#followed) informer.start();
  }

  /** Resources that have not been seen completely. */
  get missing(): readonly string[] {
    return this.#followed.filter(({ informer }) => !informer.synced).map(({ what }) => what);
  }

  /** Since when one of them has not seen what changes; undefined while all do. */
  get lostSince(): Millis | undefined {
    const lost = this.#followed.flatMap(({ informer }) => informer.lostSince ?? []);
    return lost.length === 0 ? undefined : Math.min(...lost);
  }

  /** The error of the first of them that has one. */
  get failure(): ApiError | undefined {
    return this.#followed.find(({ informer }) => informer.failure !== undefined)?.informer.failure;
  }

  [Symbol.dispose](): void {
    for (const { informer } of this.#followed) informer[Symbol.dispose]();
  }
}

/** The one object of that name. */
export function named(namespace: string, name: string): Scope {
  return { namespace, fieldSelector: `metadata.name=${name}` };
}
