import type { Family, Prefix } from "#pkg/net";
import type { Nlri } from "../codec/prefixes.ts";
import { choosePath } from "./choose-path.ts";
import type { RouteAttributes } from "./route.ts";

/** One prefix, or one of several paths to it: the route wanted, and the one advertised. */
export interface PrefixState extends Nlri {
  wanted: RouteAttributes | undefined;
  /** Of a prefix with several paths: their entries, by path identifier. Its own route is for sessions without ADD-PATH then. */
  paths: ReadonlyMap<number, PrefixState> | undefined;
  /** The session that the other fields are about. */
  session: number;
  advertised: RouteAttributes | undefined;
  /** The queue in which it waits. */
  queue: Set<PrefixState> | undefined;
  /** It is wanted, but the session cannot carry it. */
  unsendable: boolean;
}

/** The state of an entry when a session begins. */
export const anew = { advertised: undefined, queue: undefined, unsendable: false };

/**
 * The routes that a peer should have. A prefix has one route, whose path identifier is 0, or several paths, and then a route for sessions
 * without ADD-PATH besides (RFC 7911).
 */
export class WantedRoutes {
  readonly #entries = new Map<string, PrefixState>(); // prefix, and path identifier if not 0 -> entry
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
  values(): MapIterator<PrefixState> {
    return this.#entries.values();
  }

  get size(): number {
    return this.#entries.size;
  }

  advertise(prefix: Prefix, attributes: RouteAttributes): void {
    this.#want(this.#entryOf(prefix, 0), attributes, undefined);
  }

  advertisePaths(
    prefix: Prefix,
    paths: ReadonlyMap<number, RouteAttributes>,
    only: RouteAttributes | undefined = choosePath(prefix, paths),
  ): void {
    const entries = new Map<number, PrefixState>();
    for (const [path, attributes] of paths) {
      const entry = this.#entryOf(prefix, path);
      entries.set(path, entry);
      this.#want(entry, attributes, undefined);
    }
    this.#want(this.#entryOf(prefix, 0), only, entries);
  }

  withdraw(prefix: Prefix): void {
    const entry = this.get(prefix);
    if (entry !== undefined) this.#want(entry, undefined, undefined);
  }

  /** To be called when a route is neither wanted nor advertised. */
  forget(entry: PrefixState): void {
    this.#entries.delete(keyOf(entry));
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

  #entryOf(prefix: Prefix, path: number): PrefixState {
    const key = keyOf({ prefix, path });
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { prefix, path, wanted: undefined, paths: undefined, session: -1, ...anew };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #want(entry: PrefixState, wanted: RouteAttributes | undefined, paths: PrefixState["paths"]): void {
    const { paths: before } = entry;
    if (entry.wanted === wanted && before === paths) return;
    this.#add(entry, -1);
    entry.wanted = wanted;
    entry.paths = paths;
    this.#add(entry, 1);
    this.#changed(entry);
    for (const [path, one] of before ?? []) if (!paths?.has(path)) this.#want(one, undefined, undefined);
  }

  #add({ prefix, path, wanted, paths }: PrefixState, sign: 1 | -1): void {
    if (wanted === undefined) return;
    const counts = this.#counts[prefix.family];
    counts[path !== 0 ? "path" : paths === undefined ? "only" : "chosen"] += sign;
    if ((paths?.size ?? 0) > 1) counts.several += sign;
  }
}

/** Of a family: the only routes to prefixes, those chosen of several paths, these paths; and prefixes with several. */
function none() {
  return { only: 0, chosen: 0, path: 0, several: 0 };
}

function keyOf({ prefix, path }: Nlri): string {
  return path === 0 ? prefix.toString() : `${prefix} ${path}`;
}
