import { type Address, type Family, families, type Prefix } from "#pkg/net";
import { encodeRouteRefresh } from "../codec/message-codec.ts";
import { maxExtendedMessageLength, maxMessageLength } from "../codec/messages.ts";
import type { Nlri } from "../codec/prefixes.ts";
import {
  encodeAnnouncement,
  encodeAttributes,
  encodeEndOfRib,
  encodeWithdrawal,
  type UpdateFormat,
} from "../codec/update-encoder.ts";
import type { Negotiated } from "../session/state.ts";
import { type LocalEnd, nextHops, type RouteAttributes, resolveAttributes } from "./route.ts";
import { type PrefixState, WantedRoutes } from "./wanted-routes.ts";

/** The routes that a family still has to send in a session. */
interface FamilyQueue {
  readonly withdrawals: Set<PrefixState>;
  readonly announcements: Map<RouteAttributes, Set<PrefixState>>;
  /** Between the marks of RFC 7313: `begin` is to be sent before the next announcement, `end` when all have gone. */
  refresh: "begin" | "end" | undefined;
  /** The peer has asked for all routes again, which waits until everything else is sent. */
  refreshWanted: boolean;
  /** End-of-RIB is still owed (RFC 4724, section 2). */
  incomplete: boolean;
}

interface Session {
  readonly negotiated: Negotiated;
  readonly end: LocalEnd;
  readonly format: UpdateFormat;
  readonly queues: ReadonlyMap<Family, FamilyQueue>; // the families that both sides speak
  encoded: WeakMap<RouteAttributes, Uint8Array>;
}

/** A walk over all entries, a step at a time; what changes meanwhile is right whether or not the walk has been there. */
interface Sweep {
  readonly entries: Iterator<PrefixState>;
  /** Entries that it has not come to. */
  left: number;
  /** Routes of these that are advertised are to be sent once more. */
  readonly readvertise: ReadonlySet<Family>;
}

// Entries that a sweep comes to between two messages: enough to fill one.
const entriesAtOnce = 1_000;

/** Stands for advertised attributes that must be sent again. Equal to none that are wanted. */
const outdated: RouteAttributes = Object.freeze({
  localPref: undefined,
  med: undefined,
  asPathPrepend: 0,
  communities: [],
  largeCommunities: [],
  linkBandwidth: undefined,
  nextHop: undefined,
});

/** Why routes of a family do not go out in this session. */
export interface Unsendable {
  readonly family: Family;
  readonly reason: "familyNotNegotiated" | "noNextHop";
  readonly prefixes: number;
}

/** How a wanted route stands in the session: the peer was sent it, it waits for that, or the session cannot carry it. */
export type RouteStanding =
  | { readonly state: "sent"; readonly nextHops: readonly Address[] }
  | { readonly state: "waits" | Unsendable["reason"] };

/**
 * The Adj-RIB-Out of one peer (RFC 4271, section 3.2): the wanted routes, and the difference to those advertised. A prefix has one route, or
 * several paths, all of which a session with ADD-PATH is sent, and any other session one (RFC 7911). Nothing is
 * encoded before `next` pulls it, so what was superseded while the connection was slow is never sent. Announcements with the same
 * attributes travel together, and withdrawals before any of them. The cost of a change does not depend on how many prefixes there are;
 * what concerns all of them is found out while messages are pulled, some for each.
 */
export class RoutesOut {
  readonly #wanted = new WantedRoutes((entry) => this.#enqueue(entry));
  readonly #entriesAtOnce: number;
  #session: Session | undefined;
  #sessions = 0; // Sessions that have ended.
  #sweep: Sweep | undefined;
  #leaving = false;
  #advertised: Record<Family, number> = { IPv4: 0, IPv6: 0 };
  #queued = 0;
  readonly #unsendable: Record<Family, number> = { IPv4: 0, IPv6: 0 };

  /** @param options how many prefixes are looked at for each message, where it concerns all of them */
  constructor(options: { readonly entriesAtOnce?: number } = {}) {
    this.#entriesAtOnce = options.entriesAtOnce ?? entriesAtOnce;
  }

  /** The only route to a prefix. The last call for a prefix counts. */
  advertise(prefix: Prefix, attributes: RouteAttributes): void {
    this.#wanted.advertise(prefix, attributes);
  }

  /**
   * All paths to a prefix, by path identifiers from 1 on; each has a next hop. A session without ADD-PATH is sent one of them. The last call for a
   * prefix counts.
   * @param only the one for such a session; any where absent
   */
  advertisePaths(prefix: Prefix, paths: ReadonlyMap<number, RouteAttributes>, only?: RouteAttributes): void {
    this.#wanted.advertisePaths(prefix, paths, only);
  }

  withdraw(prefix: Prefix): void {
    this.#wanted.withdraw(prefix);
  }

  /** From now on every route carries the community GRACEFUL_SHUTDOWN and, on iBGP, the lowest preference (RFC 8326); or no longer. */
  setLeaving(leaving: boolean): void {
    if (leaving === this.#leaving) return;
    this.#leaving = leaving;
    if (this.#session === undefined) return;
    this.#session.encoded = new WeakMap();
    this.#startSweep(families);
  }

  /** A session is established: nothing is advertised yet. */
  start(negotiated: Negotiated, end: LocalEnd): void {
    if (this.#session !== undefined) this.stop();
    const queue = (): FamilyQueue => ({
      withdrawals: new Set(),
      announcements: new Map(),
      refresh: undefined,
      refreshWanted: false,
      incomplete: true,
    });
    const queues = new Map(families.filter((family) => negotiated.families.has(family)).map((family) => [family, queue()]));
    const maxLength = negotiated.extendedMessage ? maxExtendedMessageLength : maxMessageLength;
    const format = { maxLength, addPath: negotiated.addPath };
    this.#session = { negotiated, end, format, queues, encoded: new WeakMap() };
    this.#startSweep([]);
  }

  /** This side has other addresses: routes get other next hops, those that now have none are withdrawn, and others go out at last. */
  setAddresses({ addresses, linkLocal }: Pick<LocalEnd, "addresses" | "linkLocal">): void {
    const before = this.#session;
    if (before === undefined) return;
    const end = { ...before.end, addresses, linkLocal };
    const hops = (family: Family, of: LocalEnd) =>
      nextHops({ nextHop: undefined }, family, of, before.negotiated.extendedNextHop).join(" ");
    const changed = families.filter((family) => hops(family, before.end) !== hops(family, end));
    if (changed.length === 0) return;
    this.#session = { ...before, end };
    this.#startSweep(changed);
  }

  /** The session has ended: the peer has dropped all routes. Hundreds may end at once, so entries find out when they are looked at next. */
  stop(): void {
    this.#session = undefined;
    this.#sessions++;
    this.#sweep = undefined;
    this.#advertised = { IPv4: 0, IPv6: 0 };
    this.#queued = 0;
    for (const family of families) this.#unsendable[family] = 0;
  }

  /**
   * The peer asks for everything of a family once more (RFC 2918; marked as RFC 7313 says where both sides do that). It is sent once after
   * what waits already, however often the peer asks meanwhile.
   */
  refresh(family: Family): void {
    const queue = this.#session?.queues.get(family);
    if (queue !== undefined) queue.refreshWanted = true;
  }

  /** The next message to send, whole; undefined if there is no message yet, and `pending` is 0 when all is advertised. */
  next(): Uint8Array | undefined {
    const session = this.#session;
    if (session === undefined) return undefined;
    if (this.#queued < this.#entriesAtOnce) this.#sweepSome();
    for (const [family, { withdrawals }] of session.queues)
      if (withdrawals.size > 0) return encodeWithdrawal(family, this.#withdrawn(withdrawals), session.format);
    for (const [family, queue] of session.queues) {
      const message = this.#nextOf(family, queue, session);
      if (message !== undefined) return message;
    }
    return undefined;
  }

  /**
   * Prefixes whose announcement or withdrawal waits to be sent, and those of which it is not known yet; without a session, all that are
   * wanted.
   */
  get pending(): number {
    return this.#session === undefined ? this.wanted : this.#queued + (this.#sweep?.left ?? 0);
  }

  /** Prefixes that should be advertised; in a session with ADD-PATH, paths to them. */
  get wanted(): number {
    const addPath = this.#session?.format.addPath;
    return families.reduce((sum, family) => sum + this.#wanted.count(family, addPath?.has(family) ?? false), 0);
  }

  /** Prefixes to which there are several paths, and the session carries one. */
  get narrowed(): number {
    const session = this.#session;
    if (session === undefined) return 0;
    const narrow = families.filter((family) => session.queues.has(family) && !session.format.addPath.has(family));
    return narrow.reduce((sum, family) => sum + this.#wanted.several(family), 0);
  }

  /** Prefixes that are advertised, or paths to them. */
  get advertised(): number {
    return this.#advertised.IPv4 + this.#advertised.IPv6;
  }

  /** The same of a family. */
  advertisedOf(family: Family): number {
    return this.#advertised[family];
  }

  /** Undefined for a route that is not wanted, and without a session. */
  standing(prefix: Prefix): RouteStanding | undefined {
    const session = this.#session;
    const entry = this.#wanted.get(prefix);
    if (session === undefined || entry === undefined) return undefined;
    const { wanted, paths } = this.#current(entry);
    if (wanted === undefined) return undefined;
    const each = [...(paths?.values() ?? [])].filter((path) => path.wanted !== undefined);
    const sent = isFor(entry, session) ? [entry] : each.map((path) => this.#current(path));
    if (sent.some(({ unsendable }) => unsendable)) return { state: this.#whyUnsendable(prefix.family) };
    const { end, negotiated } = session;
    const hops = (route: RouteAttributes) => nextHops(route, prefix.family, end, negotiated.extendedNextHop);
    const all = sent.flatMap((path) => (path.wanted === path.advertised && path.wanted !== undefined ? [hops(path.wanted)] : []));
    return all.length < sent.length ? { state: "waits" } : { state: "sent", nextHops: all.flat() };
  }

  /** What this session cannot carry; empty without one. */
  unsendable(): readonly Unsendable[] {
    return families.flatMap((family): Unsendable[] => {
      const prefixes = this.#unsendable[family];
      return prefixes === 0 ? [] : [{ family, reason: this.#whyUnsendable(family), prefixes }];
    });
  }

  #whyUnsendable(family: Family): Unsendable["reason"] {
    return this.#session?.queues.has(family) ? "noNextHop" : "familyNotNegotiated";
  }

  #nextOf(family: Family, queue: FamilyQueue, session: Session): Uint8Array | undefined {
    if (queue.refresh === "begin") {
      queue.refresh = "end";
      return encodeRouteRefresh(family, "beginning");
    }
    for (const [attributes, entries] of queue.announcements) {
      if (entries.size === 0) {
        queue.announcements.delete(attributes);
        continue;
      }
      const { end, negotiated, format } = session;
      const hops = nextHops(attributes, family, end, negotiated.extendedNextHop);
      if (hops.length > 0)
        return encodeAnnouncement(this.#encoded(attributes, session), hops, family, this.#announced(entries), format);
      // This side has lost its address while they waited, and the sweep that looks for that has not come to them.
      for (const entry of entries.values().take(this.#entriesAtOnce)) this.#enqueue(entry);
      return undefined;
    }
    if (this.#sweep !== undefined) return undefined;
    if (queue.refresh === "end") {
      queue.refresh = undefined;
      return encodeRouteRefresh(family, "end");
    }
    if (queue.incomplete) {
      queue.incomplete = false;
      return encodeEndOfRib(family);
    }
    if (!queue.refreshWanted) return undefined;
    queue.refreshWanted = false;
    this.#startSweep([family]);
    this.#sweepSome();
    if (session.negotiated.enhancedRouteRefresh) queue.refresh = "begin";
    return this.#nextOf(family, queue, session);
  }

  #encoded(attributes: RouteAttributes, session: Session): Uint8Array {
    let octets = session.encoded.get(attributes);
    if (octets === undefined) {
      octets = encodeAttributes(resolveAttributes(attributes, session.end, this.#leaving), session.negotiated);
      session.encoded.set(attributes, octets);
    }
    return octets;
  }

  /** The routes of a queue; each one yielded counts as advertised. */
  *#announced(queue: Set<PrefixState>): Generator<Nlri> {
    for (const entry of queue) {
      this.#put(entry, undefined);
      if (entry.advertised === undefined) this.#advertised[entry.prefix.family]++;
      entry.advertised = entry.wanted;
      yield entry;
    }
  }

  /** The routes of a queue; each one yielded counts as withdrawn. */
  *#withdrawn(queue: Set<PrefixState>): Generator<Nlri> {
    for (const entry of queue) {
      this.#put(entry, undefined);
      this.#advertised[entry.prefix.family]--;
      entry.advertised = undefined;
      if (entry.wanted === undefined) this.#wanted.forget(entry);
      yield entry;
    }
  }

  /** This sweep also does the work that an earlier sweep did not come to. */
  #startSweep(readvertise: readonly Family[]): void {
    const { size } = this.#wanted;
    const both = new Set([...(this.#sweep?.readvertise ?? []), ...readvertise]);
    this.#sweep = size === 0 ? undefined : { entries: this.#wanted.values(), left: size, readvertise: both };
  }

  #sweepSome(): void {
    const sweep = this.#sweep;
    if (sweep === undefined) return;
    for (let step = 0; step < this.#entriesAtOnce; step++) {
      const { done, value: entry } = sweep.entries.next();
      if (done) {
        this.#sweep = undefined;
        return;
      }
      sweep.left = Math.max(1, sweep.left - 1); // Entries come and go: it is not over before its end.
      this.#current(entry);
      if (entry.advertised !== undefined && sweep.readvertise.has(entry.prefix.family)) entry.advertised = outdated;
      this.#enqueue(entry);
    }
  }

  /** Puts an entry into the queue that its wanted and advertised routes ask for. */
  #enqueue(entry: PrefixState): void {
    const { advertised, prefix } = this.#current(entry);
    const session = this.#session;
    const wanted = session === undefined || isFor(entry, session) ? entry.wanted : undefined;
    const carried = session !== undefined && wanted !== undefined && sendable(prefix.family, wanted, session);
    this.#setUnsendable(entry, session !== undefined && wanted !== undefined && !carried);
    const withdrawals = session?.queues.get(prefix.family)?.withdrawals;
    if (withdrawals === undefined || wanted === advertised) this.#put(entry, undefined);
    else if (carried) this.#put(entry, this.#queueOf(entry, wanted));
    else this.#put(entry, advertised === undefined ? undefined : withdrawals);
    if (entry.wanted === undefined && entry.advertised === undefined) this.#wanted.forget(entry);
  }

  /** State of an earlier session is void. */
  #current(entry: PrefixState): PrefixState {
    if (entry.session === this.#sessions) return entry;
    entry.session = this.#sessions;
    entry.advertised = undefined;
    entry.queue = undefined;
    entry.unsendable = false;
    return entry;
  }

  #queueOf({ prefix }: PrefixState, attributes: RouteAttributes): Set<PrefixState> | undefined {
    const announcements = this.#session?.queues.get(prefix.family)?.announcements;
    let queue = announcements?.get(attributes);
    if (announcements !== undefined && queue === undefined) {
      queue = new Set();
      announcements.set(attributes, queue);
    }
    return queue;
  }

  #setUnsendable(entry: PrefixState, unsendable: boolean): void {
    if (entry.unsendable === unsendable) return;
    entry.unsendable = unsendable;
    this.#unsendable[entry.prefix.family] += unsendable ? 1 : -1;
  }

  #put(entry: PrefixState, queue: Set<PrefixState> | undefined): void {
    if (entry.queue === queue) return;
    if (entry.queue?.delete(entry)) this.#queued--;
    entry.queue = queue;
    if (queue === undefined) return;
    queue.add(entry);
    this.#queued++;
  }
}

/** Whether the session carries it: of a prefix with several paths each in a session with ADD-PATH, in others the one that is chosen. */
function isFor({ prefix, path, pathsWanted }: PrefixState, { format }: Session): boolean {
  const hasAddPath = format.addPath.has(prefix.family);
  return path === 0 ? pathsWanted === 0 || !hasAddPath : hasAddPath;
}

function sendable(family: Family, route: RouteAttributes, { queues, end, negotiated }: Session): boolean {
  return queues.has(family) && nextHops(route, family, end, negotiated.extendedNextHop).length > 0;
}
