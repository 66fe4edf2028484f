import type { Family, Prefix } from "#pkg/net";
import type { Nlri } from "../codec/prefixes.ts";
import { choosePath } from "./choose-path.ts";
import type { RouteAttributes } from "./route.ts";

/** One prefix, or one of several paths to it: the route wanted, and the one advertised. */
export interface PrefixState extends Nlri {
  wanted: RouteAttributes | undefined;
  /** Of a prefix that has several paths, or had some that are still advertised: their entries, by path identifier. */
  paths: Map<number, PrefixState> | undefined;
  /** How many of these are wanted. The prefix's own route is for sessions without ADD-PATH then. */
  pathsWanted: number;
  /** The session that the other fields are about. */
  session: number;
  advertised: RouteAttributes | undefined;
  /** The queue in which it waits. */
  queue: Set<PrefixState> | undefined;
  /** It is wanted, but the session cannot carry it. */
  unsendable: boolean;
}

/**
 * The routes that a peer should have. A prefix has one route, whose path identifier is 0, or several paths, and then a route for sessions
 * without ADD-PATH besides (RFC 7911).
 */
export class WantedRoutes {
  readonly #entries = new Map<string, PrefixState>(); // prefix -> its entry
  #paths = 0; // Entries of paths.
  readonly #counts = { IPv4: none(), IPv6: none() };
  readonly #changed: (entry: PrefixState) => void;

  /** @param changed called when another route is wanted */
  constructor(changed: (entry: PrefixState) => void) {
    this.#changed = changed;
  }

  get(prefix: Prefix): PrefixState | undefined {
    return this.#entries.get(prefix.toString());
  }

  /** All entries, those of prefixes with one route and of paths; also of routes that are wanted no more, until they are forgotten. */
  *values(): Generator<PrefixState, undefined> {
    for (const entry of this.#entries.values()) {
      yield entry;
      if (entry.paths !== undefined) yield* entry.paths.values();
    }
  }

  get size(): number {
    return this.#entries.size + this.#paths;
  }

  advertise(prefix: Prefix, attributes: RouteAttributes): void {
    this.#wantAll(this.#entryOf(prefix), attributes, undefined);
  }

  advertisePaths(
    prefix: Prefix,
    paths: ReadonlyMap<number, RouteAttributes>,
    only: RouteAttributes | undefined = choosePath(prefix, paths),
  ): void {
    if (paths.size === 0) this.withdraw(prefix);
    else this.#wantAll(this.#entryOf(prefix), only, paths);
  }

  withdraw(prefix: Prefix): void {
    const entry = this.get(prefix);
    if (entry !== undefined) this.#wantAll(entry, undefined, undefined);
  }

  /** To be called when a route is neither wanted nor advertised. */
  forget(entry: PrefixState): void {
    const whole = entry.path === 0 ? entry : this.get(entry.prefix);
    if (whole === undefined) return;
    if (entry !== whole && whole.paths?.delete(entry.path)) this.#paths--;
    if (whole.paths?.size === 0) whole.paths = undefined;
    const isIdle = whole.wanted === undefined && whole.advertised === undefined && whole.paths === undefined;
    if (isIdle) this.#entries.delete(whole.prefix.toString());
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

  #entryOf(prefix: Prefix): PrefixState {
    const key = prefix.toString();
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = newEntry(prefix, 0);
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #wantAll(entry: PrefixState, only: RouteAttributes | undefined, paths: ReadonlyMap<number, RouteAttributes> | undefined): void {
    if (paths !== undefined) {
      entry.paths ??= new Map();
      for (const [path, attributes] of paths) {
        let one = entry.paths.get(path);
        if (one === undefined) {
          one = newEntry(entry.prefix, path);
          entry.paths.set(path, one);
          this.#paths++;
        }
        this.#want(one, attributes, 0);
      }
    }
    this.#want(entry, only, paths?.size ?? 0);
    for (const [path, one] of entry.paths ?? []) if (paths?.has(path) !== true) this.#want(one, undefined, 0);
  }

  #want(entry: PrefixState, wanted: RouteAttributes | undefined, pathsWanted: number): void {
    if (entry.wanted === wanted && entry.pathsWanted === pathsWanted) return;
    this.#add(entry, -1);
    entry.wanted = wanted;
    entry.pathsWanted = pathsWanted;
    this.#add(entry, 1);
    this.#changed(entry);
  }

  #add({ prefix, path, wanted, pathsWanted }: PrefixState, sign: 1 | -1): void {
    if (wanted === undefined) return;
    const counts = this.#counts[prefix.family];
    counts[path !== 0 ? "path" : pathsWanted === 0 ? "only" : "chosen"] += sign;
    if (pathsWanted > 1) counts.several += sign;
  }
}

function newEntry(prefix: Prefix, path: number): PrefixState {
  return {
    prefix,
    path,
    wanted: undefined,
    paths: undefined,
    pathsWanted: 0,
    session: -1,
    advertised: undefined,
    queue: undefined,
    unsendable: false,
  };
}

/** Of a family: the only routes to prefixes, those chosen of several paths, these paths; and prefixes with several. */
function none() {
  return { only: 0, chosen: 0, path: 0, several: 0 };
}
