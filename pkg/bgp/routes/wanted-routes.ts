import type { Family, Prefix } from "#pkg/net";
import { choosePath } from "./choose-path.ts";
import { chunkBits, chunkSize, offsetMask } from "./chunks.ts";
import type { NlriTable, NumberedNlri } from "./nlri-table.ts";
import type { RouteAttributes } from "./route.ts";

/** The routes under successive numbers that a peer should have. */
class Chunk {
  readonly wanted = new Array<RouteAttributes | undefined>(chunkSize).fill(undefined);
  /** How many paths to a prefix are wanted. Its own route is for sessions without ADD-PATH then. */
  readonly paths = new Uint16Array(chunkSize);
  /** It is wanted, or was and is still advertised. */
  readonly isUsed = new Uint8Array(chunkSize);
}

const forgottenAtOnce = 1_000;

/**
 * The routes that a peer should have. A prefix has one route, whose path identifier is 0, or several paths, and then a route for sessions
 * without ADD-PATH besides (RFC 7911).
 */
export class WantedRoutes {
  readonly #table: NlriTable;
  readonly #chunks: (Chunk | undefined)[] = [];
  readonly #counts = { IPv4: none(), IPv6: none() };
  readonly #changed: (entry: NumberedNlri) => void;
  #size = 0;

  /** @param changed called when another route is wanted */
  constructor(table: NlriTable, changed: (entry: NumberedNlri) => void) {
    this.#table = table;
    this.#changed = changed;
  }

  get({ number }: NumberedNlri): RouteAttributes | undefined {
    return this.#chunks[number >>> chunkBits]?.wanted[number & offsetMask];
  }

  /** How many paths to a prefix are wanted. */
  pathsTo({ number }: NumberedNlri): number {
    return this.#chunks[number >>> chunkBits]?.paths[number & offsetMask] ?? 0;
  }

  /** All entries, those of prefixes and of paths, also of routes that are wanted no more, until they are forgotten. Undefined where a number has none. */
  *values(): Generator<NumberedNlri | undefined, undefined> {
    for (let index = 0; index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index];
      if (chunk === undefined) continue;
      for (let offset = 0; offset < chunkSize; offset++)
        yield chunk.isUsed[offset] === 0 ? undefined : this.#table.at((index << chunkBits) | offset);
    }
  }

  /** How many entries there are. */
  get size(): number {
    return this.#size;
  }

  advertise(prefix: Prefix, attributes: RouteAttributes): void {
    this.#wantAll(this.#table.of(prefix), attributes, undefined);
  }

  advertisePaths(
    prefix: Prefix,
    paths: ReadonlyMap<number, RouteAttributes>,
    only: RouteAttributes | undefined = choosePath(prefix, paths),
  ): void {
    if (paths.size === 0) this.withdraw(prefix);
    else this.#wantAll(this.#table.of(prefix), only, paths);
  }

  withdraw(prefix: Prefix): void {
    const entry = this.#table.get(prefix);
    if (entry !== undefined && this.get(entry) !== undefined) this.#wantAll(entry, undefined, undefined);
  }

  /** To be called when a route is neither wanted nor advertised. */
  forget(entry: NumberedNlri): void {
    const chunk = this.#chunks[entry.number >>> chunkBits];
    const offset = entry.number & offsetMask;
    if (chunk === undefined || chunk.isUsed[offset] === 0) return;
    chunk.isUsed[offset] = 0;
    this.#size--;
    this.#table.release(entry);
  }

  /** Forgets all, some between two `yield`s, for a peer that is gone. */
  *forgetAll(): Generator<undefined, void> {
    let looked = 0;
    for (const entry of this.values()) {
      if (entry !== undefined) this.forget(entry);
      if (++looked % forgottenAtOnce === 0) yield;
    }
  }

  /** How many routes of a family a session should carry. */
  count(family: Family, hasAddPath: boolean): number {
    const { only, chosen, path } = this.#counts[family];
    return only + (hasAddPath ? path : chosen);
  }

  /** To how many prefixes there are several paths. */
  several(family: Family): number {
    return this.#counts[family].several;
  }

  #wantAll(
    entry: NumberedNlri,
    only: RouteAttributes | undefined,
    paths: ReadonlyMap<number, RouteAttributes> | undefined,
  ): void {
    for (const [path, attributes] of paths ?? []) this.#want(this.#table.pathOf(entry, path), attributes, 0);
    this.#want(entry, only, paths?.size ?? 0);
    for (const [path, one] of entry.paths ?? []) if (paths?.has(path) !== true) this.#want(one, undefined, 0);
  }

  #want(entry: NumberedNlri, wanted: RouteAttributes | undefined, paths: number): void {
    const before = this.get(entry);
    if (before === wanted && this.pathsTo(entry) === paths) return;
    this.#chunks[entry.number >>> chunkBits] ??= new Chunk();
    const chunk = this.#chunks[entry.number >>> chunkBits] as Chunk;
    const offset = entry.number & offsetMask;
    this.#add(entry, -1);
    chunk.wanted[offset] = wanted;
    chunk.paths[offset] = paths;
    this.#add(entry, 1);
    if (chunk.isUsed[offset] === 0) {
      chunk.isUsed[offset] = 1;
      this.#size++;
      entry.users++;
    }
    this.#changed(entry);
  }

  #add(entry: NumberedNlri, sign: 1 | -1): void {
    if (this.get(entry) === undefined) return;
    const paths = this.pathsTo(entry);
    const counts = this.#counts[entry.prefix.family];
    counts[entry.path !== 0 ? "path" : paths === 0 ? "only" : "chosen"] += sign;
    if (paths > 1) counts.several += sign;
  }
}

/** Counts for a family: only routes to a prefix, those chosen of several paths, these paths, and prefixes with several. */
function none() {
  return { only: 0, chosen: 0, path: 0, several: 0 };
}
