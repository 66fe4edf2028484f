import { ApiError } from "#pkg/k8s";

/** An object as JSON has it. Never changed in place. */
export interface RawObject {
  readonly metadata: RawMetadata;
  readonly [field: string]: unknown;
}

export interface RawMetadata {
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly [field: string]: unknown;
}

/** The given part of an object; the API adds the rest. */
export type Given = Readonly<Record<string, unknown>>;

export interface Selection {
  readonly plural: string;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

export interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly version: number;
  readonly plural: string;
  readonly key: string;
  readonly object: RawObject;
  readonly before: RawObject | undefined;
}

/** The API's contents at one time, as in a backup. */
export interface Backup {
  readonly version: number;
  /** How many writes there had been. */
  readonly writes: number;
  readonly objects: ReadonlyMap<string, ReadonlyMap<string, RawObject>>;
}

interface Watcher {
  readonly selection: Selection;
  /** Changes up to here are not sent: it may be a version of the future, after a restore. */
  readonly after: number;
  readonly changed: (change: Change) => void;
  readonly ended: () => void;
}

/**
 * Objects as an API server with etcd keeps them: versions, preconditions, watches from a version, compaction, and restores from a backup.
 * Keys are `namespace/name`, or the name of an object without a namespace. It checks nothing of what it stores.
 */
export class KubernetesApi {
  #objects = new Map<string, Map<string, RawObject>>(); // plural -> key -> object
  #history: Change[] = [];
  #version = 1;
  #highest = 1; // That the API had before it was restored.
  #writes = 0; // Restores take none back.
  #floor = 1; // Watches from before have missed changes.
  #uids = 0;
  readonly #watchers = new Set<Watcher>();
  readonly #onChange: (change: Change) => void;

  /** @param onChange called with each change, before anybody else sees it */
  constructor(onChange: (change: Change) => void) {
    this.#onChange = onChange;
  }

  get writes(): number {
    return this.#writes;
  }

  get version(): number {
    return this.#version;
  }

  get(plural: string, key: string): RawObject | undefined {
    return this.#objects.get(plural)?.get(key);
  }

  list(selection: Selection): RawObject[] {
    const found = [...(this.#objects.get(selection.plural)?.values() ?? [])];
    return found.filter((object) => matches(selection, object));
  }

  /** @throws {ApiError} 409 where there is one of that name */
  create(plural: string, namespace: string | undefined, given: Given): RawObject {
    const metadata = { ...fields(given.metadata), ...(namespace !== undefined && { namespace }) };
    const key = keyOf(metadata);
    if (this.get(plural, key) !== undefined) throw new ApiError(`${plural} ${key} already exists`, 409, "AlreadyExists");
    return this.#write("ADDED", plural, key, { ...given, metadata: { ...metadata, uid: `uid-${++this.#uids}` } });
  }

  /**
   * Applies a merge patch (RFC 7396). A version or uid in it is a precondition.
   * @param part what of the object may be different afterwards
   * @throws {ApiError} 404, 409
   */
  patch(plural: string, key: string, patch: Given, part: "status" | "all"): RawObject {
    const object = this.#expect(plural, key, patch);
    const changes = part === "status" ? { status: patch.status } : patch;
    const merged = merge(object, changes) as Given;
    // Dates are not simulated: the Lease is renewed twice with the same one.
    if (plural !== "leases" && JSON.stringify(merged) === JSON.stringify(object)) return object;
    return this.#write("MODIFIED", plural, key, { ...merged, metadata: { ...fields(merged.metadata), ...identity(object) } });
  }

  /**
   * Replaces it as a whole. A version or uid in it is a precondition.
   * @throws {ApiError} 404, 409
   */
  update(plural: string, key: string, given: Given): RawObject {
    const object = this.#expect(plural, key, given);
    return this.#write("MODIFIED", plural, key, { ...given, metadata: { ...fields(given.metadata), ...identity(object) } });
  }

  remove(plural: string, key: string): void {
    const object = this.get(plural, key);
    if (object !== undefined) this.#write("DELETED", plural, key, object);
  }

  /** @throws {ApiError} 410 where the changes since are no longer all there */
  watch(
    selection: Selection,
    after: number,
    changed: (change: Change) => void,
    ended: () => void,
  ): { readonly [Symbol.dispose]: () => void } {
    if (after < this.#floor) throw new ApiError("too old resource version", 410, "Expired");
    const watcher = { selection, after, changed, ended };
    for (const change of this.#history) this.#tell(watcher, change);
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  /** Forgets the changes so far. */
  compact(): void {
    this.#history = [];
    this.#floor = ++this.#version;
  }

  backup(): Backup {
    const objects = new Map([...this.#objects].map(([plural, all]) => [plural, new Map(all)]));
    return { version: this.#version, writes: this.#writes, objects };
  }

  /**
   * Everything is as it was then; all watches end. The version is as it was too, unless it is bumped: then it is one that nobody has seen, and
   * watches from earlier ones have missed changes (`etcdutl snapshot restore --bump-revision --mark-compacted`).
   */
  restore({ version: restored, objects }: Backup, bump: boolean): void {
    const before = this.#objects;
    this.#highest = Math.max(this.#highest, this.#version);
    const version = bump ? this.#highest + 1_000 : restored;
    this.#objects = new Map([...objects].map(([plural, all]) => [plural, new Map(all)]));
    this.#version = version;
    this.#floor = version;
    this.#history = [];
    for (const plural of new Set([...before.keys(), ...objects.keys()]))
      for (const key of new Set([...(before.get(plural)?.keys() ?? []), ...(objects.get(plural)?.keys() ?? [])])) {
        const [was, is] = [before.get(plural)?.get(key), objects.get(plural)?.get(key)];
        const object = is ?? was;
        if (was === is || object === undefined) continue;
        const type = is === undefined ? "DELETED" : was === undefined ? "ADDED" : "MODIFIED";
        this.#onChange({ type, version, plural, key, object, before: was });
      }
    this.endWatches();
  }

  /** As when the server restarts. */
  endWatches(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const { ended } of watchers) ended();
  }

  #expect(plural: string, key: string, { metadata }: Given): RawObject {
    const object = this.get(plural, key);
    if (object === undefined) throw new ApiError(`${plural} ${key} not found`, 404, "NotFound");
    const { resourceVersion, uid } = fields(metadata);
    const asked = { resourceVersion, uid };
    for (const field of ["resourceVersion", "uid"] as const)
      if (asked[field] !== undefined && asked[field] !== object.metadata[field])
        throw new ApiError(`${plural} ${key} has been modified`, 409, "Conflict");
    return object;
  }

  #write(type: Change["type"], plural: string, key: string, given: Given): RawObject {
    const version = ++this.#version;
    this.#writes++;
    const object = { ...given, metadata: { ...fields(given.metadata), resourceVersion: `${version}` } } as unknown as RawObject;
    const all = this.#objects.get(plural) ?? new Map<string, RawObject>();
    this.#objects.set(plural, all);
    const change: Change = { type, version, plural, key, object, before: all.get(key) };
    if (type === "DELETED") all.delete(key);
    else all.set(key, object);
    this.#history.push(change);
    this.#onChange(change);
    for (const watcher of [...this.#watchers]) this.#tell(watcher, change);
    return object;
  }

  #tell({ selection, after, changed }: Watcher, change: Change): void {
    if (change.version > after && change.plural === selection.plural && matches(selection, change.object)) changed(change);
  }
}

function matches({ namespace, name }: Selection, { metadata }: RawObject): boolean {
  return (namespace === undefined || namespace === metadata.namespace) && (name === undefined || name === metadata.name);
}

function identity({ metadata: { uid, name, namespace } }: RawObject): Given {
  return { uid, name, ...(namespace !== undefined && { namespace }) };
}

function keyOf({ namespace, name }: Given): string {
  return namespace === undefined ? `${name}` : `${namespace}/${name}`;
}

function fields(value: unknown): Given {
  return typeof value === "object" && value !== null ? (value as Given) : {};
}

/** RFC 7396. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> =
    typeof target === "object" && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else if (value !== undefined) result[name] = merge(result[name], value);
  }
  return result;
}
