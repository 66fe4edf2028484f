import type { Clock, Millis } from "#pkg/clock";
import { type Family, families } from "#pkg/net";
import { unicastFamily } from "../codec/messages.ts";
import type { ReadUpdate } from "../codec/testing/update-reader.ts";

export interface ModelRoute {
  readonly prefix: string;
  readonly family: Family;
  readonly path: number | undefined;
  readonly nextHops: readonly string[];
  readonly communities: readonly number[];
  isStale: boolean;
  /** It was there before the neighbor began to send all once more (RFC 7313). */
  isBeforeRefresh: boolean;
}

/** Why a route went. `timer`: its neighbor did not come back in time. */
export type Removal = "withdrawn" | "endOfRib" | "endOfRefresh" | "notKept" | "timer" | "session" | "restart";

export interface ModelRoutesOptions {
  readonly clock: Clock;
  readonly onRemoved: (route: ModelRoute, why: Removal) => void;
  readonly onViolation: (what: string) => void;
}

/** The routes that a router has from its neighbor, also while there is no session (RFC 4724, 7313, 9494). */
export class ModelRoutes {
  readonly all = new Map<string, ModelRoute>(); // prefix and path identifier -> route
  readonly #options: ModelRoutesOptions;
  /** Counts begins and ends of sessions: a timer of an earlier one does nothing. */
  #epoch = 0;

  constructor(options: ModelRoutesOptions) {
    this.#options = options;
  }

  /** How many prefixes of a family there are. */
  count(family: Family): number {
    return new Set(this.#those((route) => route.family === family).map(({ prefix }) => prefix)).size;
  }

  /** A session begins. @param isKept whether the neighbor has kept its forwarding state of a family */
  begin(isKept: (family: Family) => boolean): void {
    this.#epoch++;
    for (const family of families) if (!isKept(family)) this.#removeStale(family, "notKept");
  }

  /** A session ends. @param isKept whether routes of a family are kept for now */
  end(isKept: (family: Family) => boolean): void {
    for (const route of this.#those(() => true)) {
      // Twice in a row without being fresh in between: RFC 4724, section 4.2.
      if (!isKept(route.family) || route.isStale) this.#remove(route, "session");
      route.isStale = true;
    }
  }

  /** The router's process ends. */
  stop(isKept: boolean): void {
    this.#epoch++;
    if (!isKept) this.clear();
    for (const route of this.all.values()) route.isStale = true;
  }

  clear(): void {
    for (const route of this.#those(() => true)) this.#remove(route, "restart");
  }

  /** Stale routes go after so long. */
  keep(ms: Millis): void {
    const { clock } = this.#options;
    const epoch = ++this.#epoch;
    clock.schedule("router", clock.now() + ms, () => {
      if (epoch === this.#epoch) for (const family of families) this.#removeStale(family, "timer");
    });
  }

  /** @param addPath families whose routes come with a path identifier */
  update(update: ReadUpdate, addPath: ReadonlySet<Family>): void {
    const { onViolation } = this.#options;
    if (update.forgiven.length > 0) onViolation(update.forgiven.join("; "));
    if (update.ignored.length > 0) onViolation(`routes of a family that was not agreed on: ${JSON.stringify(update.ignored)}`);
    for (const [index, prefix] of update.withdrawn.entries()) {
      const route = this.all.get(`${prefix} ${update.withdrawnPaths[index]}`);
      if (route !== undefined) this.#remove(route, "withdrawn");
    }
    for (const [index, prefix] of update.announced.entries()) {
      const path = update.announcedPaths[index];
      if ((path === undefined) === addPath.has(prefix.family)) onViolation(`a path identifier ${path} of ${prefix.family}`);
      this.all.set(`${prefix} ${path}`, {
        prefix: `${prefix}`,
        family: prefix.family,
        path,
        nextHops: (update.attributes?.nextHops ?? []).map(String),
        communities: update.attributes?.communities ?? [],
        isStale: false,
        isBeforeRefresh: false,
      });
    }
    const ended = update.endOfRib && unicastFamily(update.endOfRib);
    if (ended !== undefined) this.#removeStale(ended, "endOfRib");
  }

  /** A mark of RFC 7313. */
  mark(family: Family | undefined, isBeginning: boolean): void {
    for (const route of this.#those((route) => route.family === family))
      if (isBeginning) route.isBeforeRefresh = true;
      else if (route.isBeforeRefresh) this.#remove(route, "endOfRefresh");
  }

  #those(are: (route: ModelRoute) => boolean): ModelRoute[] {
    return [...this.all.values()].filter(are);
  }

  #removeStale(family: Family, why: Removal): void {
    for (const route of this.#those((route) => route.isStale && route.family === family)) this.#remove(route, why);
  }

  #remove(route: ModelRoute, why: Removal): void {
    this.all.delete(`${route.prefix} ${route.path}`);
    this.#options.onRemoved(route, why);
  }
}
