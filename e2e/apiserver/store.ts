import { expired } from "./api-error.ts";
import { without } from "./json.ts";
import type { KubeObject } from "./objects.ts";
import type { Resource } from "./resource.ts";

/** One stored version of an object. Its JSON is made once, for all readers. */
export class Entry {
  readonly object: KubeObject;
  #fields: string | undefined;

  constructor(object: KubeObject) {
    this.object = object;
  }

  get json(): string {
    const { kind, apiVersion } = this.object;
    return `{"kind":"${kind}","apiVersion":"${apiVersion}",${this.#body.slice(1)}`;
  }

  /** The object as an item of a list, where the real API leaves out the list's own fields: kind and version. */
  get itemJson(): string {
    return this.#body;
  }

  get #body(): string {
    this.#fields ??= JSON.stringify(without(this.object, "kind", "apiVersion"));
    return this.#fields;
  }
}

export type ChangeType = "ADDED" | "MODIFIED" | "DELETED";

/** A write, as watches see it. `previous` is what the object was before. */
export class Change {
  readonly type: ChangeType;
  readonly version: number;
  readonly entry: Entry;
  readonly previous: Entry | undefined;
  #line: Buffer | undefined;

  constructor(type: ChangeType, version: number, entry: Entry, previous: Entry | undefined) {
    this.type = type;
    this.version = version;
    this.entry = entry;
    this.previous = previous;
  }

  /** The line of a watch, made once for all watches. */
  get line(): Buffer {
    this.#line ??= Buffer.from(`{"type":"${this.type}","object":${this.entry.json}}\n`);
    return this.#line;
  }
}

class Collection {
  entries = new Map<string, Entry>(); // object key -> newest version
  readonly history: Change[] = []; // Oldest first, with some from before the floor.
  readonly listeners = new Set<(change: Change) => void>();
  readonly snapshots = new Map<number, readonly Entry[]>(); // version -> all entries then, for lists in pages
  sorted: readonly Entry[] | undefined; // undefined: to be made from `entries`
  floor: number; // watches from before this version have missed changes

  constructor(floor: number) {
    this.floor = floor;
  }

  /** Watches and pages from before this version have missed changes. */
  forget(floor: number): void {
    this.history.length = 0;
    this.snapshots.clear();
    this.floor = floor;
  }
}

/** All objects at one time. */
export interface Backup {
  readonly version: number;
  /** How many writes there had been. */
  readonly writes: number;
  readonly entries: ReadonlyMap<Resource, ReadonlyMap<string, Entry>>;
}

const maximumSnapshots = 16;

/**
 * The objects, one resource version for all of them, and for each resource a bounded window of past changes. It checks nothing but
 * versions; what may be written is decided by its caller. Objects put in must not be changed afterwards.
 */
export class Store {
  readonly #collections = new Map<Resource, Collection>();
  readonly #historySize: number;
  #version = 1;
  #highestVersion = 1; // That it had before it was restored.
  #writes = 0; // Restores take none back.

  /** `historySize`: changes kept of each resource. */
  constructor(historySize: number) {
    this.#historySize = historySize;
  }

  /** The resource version of the newest write to anything. */
  get version(): number {
    return this.#version;
  }

  /** How many writes there were. */
  get writes(): number {
    return this.#writes;
  }

  get(resource: Resource, key: string): KubeObject | undefined {
    return this.#collection(resource).entries.get(key)?.object;
  }

  /** All objects of a resource, by key. The array is a snapshot. */
  entries(resource: Resource): readonly Entry[] {
    const collection = this.#collection(resource);
    collection.sorted ??= [...collection.entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
    return collection.sorted;
  }

  /** Keeps the present entries readable by `entriesAt`, until they are compacted or crowded out. @returns their version */
  keepSnapshot(resource: Resource): number {
    const { snapshots } = this.#collection(resource);
    snapshots.set(this.#version, this.entries(resource));
    for (const version of snapshots.keys()) if (snapshots.size > maximumSnapshots) snapshots.delete(version);
    return this.#version;
  }

  /** The entries at a kept version. @throws {ApiError} 410 */
  entriesAt(resource: Resource, version: number): readonly Entry[] {
    const snapshot = this.#collection(resource).snapshots.get(version);
    if (snapshot === undefined)
      throw expired(
        "The provided continue parameter is too old to display a consistent list result. Start a new list without it.",
      );
    return snapshot;
  }

  /** Creates or replaces. @returns the object as stored, with its new resource version */
  write(resource: Resource, object: KubeObject): KubeObject {
    const key = objectKey(object);
    const previous = this.#collection(resource).entries.get(key);
    const entry = this.#stamp(object);
    this.#collection(resource).entries.set(key, entry);
    this.#record(resource, new Change(previous === undefined ? "ADDED" : "MODIFIED", this.#version, entry, previous));
    return entry.object;
  }

  /** @returns the last state, with the resource version of its deletion */
  remove(resource: Resource, object: KubeObject): KubeObject {
    const key = objectKey(object);
    const previous = this.#collection(resource).entries.get(key);
    const entry = this.#stamp(object);
    this.#collection(resource).entries.delete(key);
    this.#record(resource, new Change("DELETED", this.#version, entry, previous));
    return entry.object;
  }

  /** The changes after `version`. @throws {ApiError} 410 when they are no longer all there */
  changesSince(resource: Resource, version: number): readonly Change[] {
    const { history, floor } = this.#collection(resource);
    if (version < floor) throw expired(`too old resource version: ${version} (${floor})`);
    return history.slice(history.findLastIndex((change) => change.version <= version) + 1);
  }

  /** Calls `listener` after each change, in order; disposing ends it. */
  listen(resource: Resource, listener: (change: Change) => void): Disposable {
    const { listeners } = this.#collection(resource);
    listeners.add(listener);
    return { [Symbol.dispose]: () => void listeners.delete(listener) };
  }

  /** Forgets the history, so that every older resource version and `continue` token has expired. */
  compact(): void {
    this.#version++; // A compaction never spares the version that a client saw last.
    for (const collection of this.#collections.values()) collection.forget(this.#version);
  }

  backup(): Backup {
    const entries = new Map([...this.#collections].map(([resource, collection]) => [resource, new Map(collection.entries)]));
    return { version: this.#version, writes: this.#writes, entries };
  }

  /**
   * Everything is as it was then, and listeners hear what is different. The version is as it was too, unless it is bumped: then it is one that
   * nobody has seen, and watches from earlier ones have missed changes (`etcdutl snapshot restore --bump-revision --mark-compacted`).
   */
  restore({ version, entries }: Backup, bump: boolean): void {
    this.#highestVersion = Math.max(this.#highestVersion, this.#version);
    this.#version = bump ? this.#highestVersion + 1_000 : version;
    const before = [...this.#collections.values()].map((collection) => ({ collection, entries: collection.entries }));
    for (const [resource, collection] of this.#collections) {
      collection.forget(this.#version);
      collection.entries = new Map(entries.get(resource));
      collection.sorted = undefined;
    }
    for (const { collection, entries: former } of before)
      for (const key of new Set([...former.keys(), ...collection.entries.keys()])) {
        const [was, is] = [former.get(key), collection.entries.get(key)];
        const entry = is ?? was;
        if (was === is || entry === undefined) continue;
        const type = is === undefined ? "DELETED" : was === undefined ? "ADDED" : "MODIFIED";
        const change = new Change(type, this.#version, entry, was);
        for (const listener of collection.listeners) listener(change);
      }
  }

  #collection(resource: Resource): Collection {
    let collection = this.#collections.get(resource);
    if (collection === undefined) {
      collection = new Collection(this.#version);
      this.#collections.set(resource, collection);
    }
    return collection;
  }

  #stamp(object: KubeObject): Entry {
    this.#version++;
    this.#writes++;
    return new Entry({ ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } });
  }

  #record(resource: Resource, change: Change): void {
    const collection = this.#collection(resource);
    collection.sorted = undefined;
    collection.history.push(change);
    const excess = collection.history.length - this.#historySize;
    if (excess > 0) collection.floor = collection.history[excess - 1]?.version ?? collection.floor;
    // Seldom: what is taken from the front moves all that is behind.
    if (excess > this.#historySize) collection.history.splice(0, excess);
    for (const listener of collection.listeners) listener(change);
  }
}

/** `namespace/name`, or the name alone for an object without a namespace. */
export function objectKey({ metadata: { namespace, name } }: { readonly metadata: KubeObject["metadata"] }): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
