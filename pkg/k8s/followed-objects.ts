import { isDeepStrictEqual } from "node:util";
import type { Log } from "#pkg/log";
import { type Fields, fields } from "#pkg/untrusted";
import { type Handlers, type ObjectChange, tellOf } from "./informers.ts";
import type { ObjectMeta } from "./objects.ts";
import type { Part, PeekedEvent } from "./part.ts";
import { projectMeta, type Resource } from "./resources.ts";
import type { WatchEvent } from "./watch-events.ts";

// Anybody may make slices of ever new Services.
const maxLeftOut = 50_000;

/** The objects that an informer has. Its handlers are told how they change. */
export class FollowedObjects<V extends ObjectMeta> {
  readonly #resource: Resource<V>;
  readonly #handlers: Handlers<V>;
  readonly #part: Part | undefined;
  readonly #log: Log;
  #objects = new Map<string, V>(); // key -> object
  #listed = new Map<string, V>(); // The same, of a list that is under way.
  #isListing = false;
  #lists = 0; // That began.
  #wholeLists = 0; // The number of the last of them that ended.
  #malformed = 0; // In that list.
  readonly #leftOut = new Set<string>(); // Owners of objects that are dropped.
  #areManyLeftOut = false; // Others besides.
  readonly #removed = new Map<string, string>(); // key of an object that went while some were asked for -> its last version
  #questions = 0;
  #isSynced = false;
  /** Somebody waits to hear that a new list is there, for which the first one may have been given up. */
  isAsked = false;
  #isDisposed = false;

  constructor(resource: Resource<V>, part: Part | undefined, handlers: Handlers<V>, log: Log) {
    this.#resource = resource;
    this.#part = part;
    this.#handlers = handlers;
    this.#log = log;
  }

  /** A whole list has been taken over. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  get all(): ReadonlyMap<string, V> {
    return this.#objects;
  }

  /** A list begins; one that did not end is forgotten. */
  beginList(): void {
    this.#listed = new Map();
    this.#isListing = true;
    this.#lists++;
    this.#malformed = 0;
    this.#leftOut.clear();
    this.#areManyLeftOut = false;
  }

  list(item: unknown): void {
    const meta = projectMeta(item);
    if (meta === undefined) this.#malformed++;
    else if (!this.#isLeftOut(fields(item))) {
      const object = this.#unlessHeld(this.#resource.project(fields(item), meta));
      this.#listed.set(object.key, object);
      if (!this.#isSynced) this.#takeEarly(object);
    }
  }

  /** One object after another: what is kept of a large one may take milliseconds to find. */
  *listPage(items: readonly unknown[]): Generator<undefined, void> {
    for (const item of items) {
      this.list(item);
      yield;
    }
  }

  /** An object that may be in the list is gone. */
  unlist(item: unknown): void {
    const meta = projectMeta(item);
    if (meta === undefined) return;
    this.#listed.delete(meta.key);
    this.#noteRemoved(meta);
    if (!this.#isSynced) this.#drop(meta.key);
  }

  /** The list, of this version, is whole. @param isLast no other list follows at once @param reached all changes up to this version were seen before */
  endList(isLast: boolean, version: string, reached: string | undefined): void {
    if (this.#malformed > 0) this.#log.warn("malformed objects skipped", { objects: this.#malformed });
    this.#replace(this.#listed, version, reached);
    this.#listed = new Map();
    this.#isListing = false;
    this.#wholeLists = this.#lists;
    const isFirst = !this.#isSynced;
    this.#isSynced = true;
    if (!this.#isDisposed && isFirst) this.#handlers.synced?.();
    if (!this.#isDisposed && isLast && (!isFirst || this.isAsked)) this.#handlers.relisted?.();
    if (isLast) this.isAsked = false;
  }

  change({ type, object }: Pick<WatchEvent, "type" | "object">): void {
    const meta = projectMeta(object);
    if (meta === undefined) {
      this.#log.warn("malformed objects skipped", { objects: 1 });
      return;
    }
    const before = this.#objects.get(meta.key);
    if (type === "DELETED") this.#noteRemoved(meta);
    if (type === "DELETED" || this.#isLeftOut(object)) this.#drop(meta.key);
    else if (before?.uid !== meta.uid || before.resourceVersion !== meta.resourceVersion) {
      const now = this.#resource.project(object, meta);
      this.#objects.set(meta.key, now);
      this.#changed(meta.key, now, before);
    }
  }

  /** Objects that were left out are asked for from now on. @returns a number of this question */
  beginQuestion(): number {
    this.#questions++;
    return this.#lists;
  }

  /**
   * Adds the answer, if there is one. An event or a list may have brought a later version of an object, or its removal, and a whole list that began
   * after the question has all that is in the answer and still there.
   */
  endQuestion(owner: string, items: readonly unknown[] | undefined, question: number): void {
    if (items === undefined) this.noteLeftOut(owner);
    else if (question >= this.#wholeLists) for (const item of items) this.#add(item, question);
    if (--this.#questions === 0) this.#removed.clear();
  }

  #add(item: unknown, question: number): void {
    const meta = projectMeta(item);
    if (meta === undefined) return;
    const last = this.#objects.get(meta.key)?.resourceVersion ?? this.#removed.get(meta.key);
    if (isLater(last, meta.resourceVersion)) return;
    this.change({ type: "MODIFIED", object: fields(item) });
    const now = this.#objects.get(meta.key);
    if (this.#isListing && question === this.#lists && now !== undefined) this.#listed.set(meta.key, now);
  }

  #noteRemoved({ key, resourceVersion }: ObjectMeta): void {
    if (this.#questions > 0) this.#removed.set(key, resourceVersion);
  }

  /** An object of an owner that is not wanted. */
  leaveOut({ type, owner, object }: PeekedEvent): void {
    this.noteLeftOut(owner);
    const meta = projectMeta(object);
    if (meta === undefined) return;
    if (type === "DELETED") this.#noteRemoved(meta);
    this.#drop(meta.key);
  }

  noteLeftOut(owner: string): void {
    this.#leftOut.add(owner);
    if (this.#leftOut.size <= maxLeftOut) return;
    this.#leftOut.clear();
    this.#areManyLeftOut = true;
  }

  /** Whether objects of the owner may have been left out, which now are to be asked for. */
  takeLeftOut(owner: string): boolean {
    return this.#leftOut.delete(owner) || this.#areManyLeftOut;
  }

  /** No handler is called any more. */
  dispose(): void {
    this.#isDisposed = true;
  }

  #isLeftOut(object: Fields): boolean {
    if (this.#part === undefined) return false;
    const owner = this.#part.ownerOf(object);
    if (owner === "") return true; // Nobody asks for it.
    if (this.#part.isWanted(owner)) return false;
    this.noteLeftOut(owner);
    return true;
  }

  #drop(key: string): void {
    const before = this.#objects.get(key);
    if (this.#objects.delete(key)) this.#changed(key, undefined, before);
  }

  // All of 10,000 Services at once were a turn of 0.25 s, and nobody decides before all are there. Removed objects go then.
  #takeEarly(object: V): void {
    const before = this.#objects.get(object.key);
    this.#objects.set(object.key, object);
    if (before !== object) this.#changed(object.key, object, before);
  }

  /** Removals come before additions, so that resources of removed objects are free by then. */
  #replace(listed: Map<string, V>, version: string, reached: string | undefined): void {
    const before = this.#objects;
    this.#objects = listed;
    const changes: ObjectChange<V>[] = [];
    for (const [key, object] of before) if (!listed.has(key)) changes.push({ key, now: undefined, before: object });
    for (const [key, now] of listed) if (before.get(key) !== now) changes.push({ key, now, before: before.get(key) });
    const isCustom = this.#resource.isCustom === true;
    const isBack = isLater(reached, version) || changes.some((change) => isOld(change, reached, isCustom));
    if (!this.#isDisposed && isBack) this.#handlers.restored?.();
    if (!this.#isDisposed) tellOf(this.#handlers, changes);
  }

  /** The same version can be another object after the API was restored from a backup. */
  #unlessHeld(object: V): V {
    const held = this.#objects.get(object.key);
    return held !== undefined && isDeepStrictEqual(held, object) ? held : object;
  }

  #changed(key: string, now: V | undefined, before: V | undefined): void {
    if (!this.#isDisposed) this.#handlers.changed(key, now, before);
  }
}

/** Whether it has changed in a version up to which all changes were seen, and this one was not. */
function isOld({ now, before }: ObjectChange<ObjectMeta>, reached: string | undefined, isCustom: boolean): boolean {
  const isSame = now?.uid === before?.uid && now?.resourceVersion === before?.resourceVersion;
  if (now === undefined || (isSame && isCustom)) return false;
  return reached === now.resourceVersion || isLater(reached, now.resourceVersion);
}

/** Versions are numbers of etcd; where they are not, nothing can be said. */
export function isLater(held: string | undefined, version: string): boolean {
  return held !== undefined && /^\d+$/.test(held) && /^\d+$/.test(version) && BigInt(held) > BigInt(version);
}
