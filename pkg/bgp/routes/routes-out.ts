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
import { NlriTable, type NumberedNlri } from "./nlri-table.ts";
import { type LocalEnd, nextHops, type RouteAttributes, resolveAttributes } from "./route.ts";
import { RouteQueue, SentRoutes } from "./sent-routes.ts";
import { WantedRoutes } from "./wanted-routes.ts";

/** The routes that a family still has to send in a session. */
interface FamilyQueue {
  readonly withdrawals: RouteQueue;
  readonly announcements: Map<RouteAttributes, RouteQueue>;
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
  readonly sent: SentRoutes;
  encoded: WeakMap<RouteAttributes, Uint8Array>;
}

/** A walk over all entries, a step at a time; what changes meanwhile is right whether or not the walk has been there. */
interface Sweep {
  readonly entries: Iterator<NumberedNlri | undefined>;
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
  readonly #table: NlriTable;
  readonly #wanted: WantedRoutes;
  readonly #entriesAtOnce: number;
  #session: Session | undefined;
  #sweep: Sweep | undefined;
  #leaving = false;
  #advertised: Record<Family, number> = { IPv4: 0, IPv6: 0 };
  readonly #unsendable: Record<Family, number> = { IPv4: 0, IPv6: 0 };

  /**
   * @param options.table the prefixes of all peers
   * @param options.entriesAtOnce how many prefixes are looked at for each message, where it concerns all of them
   */
  constructor(options: { readonly table?: NlriTable; readonly entriesAtOnce?: number } = {}) {
    this.#table = options.table ?? new NlriTable();
    this.#wanted = new WantedRoutes(this.#table, (entry) => this.#enqueue(entry));
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
      withdrawals: new RouteQueue(),
      announcements: new Map(),
      refresh: undefined,
      refreshWanted: false,
      incomplete: true,
    });
    const queues = new Map(families.filter((family) => negotiated.families.has(family)).map((family) => [family, queue()]));
    const maxLength = negotiated.extendedMessage ? maxExtendedMessageLength : maxMessageLength;
    const format = { maxLength, addPath: negotiated.addPath };
    this.#session = { negotiated, end, format, queues, sent: new SentRoutes(), encoded: new WeakMap() };
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

  /** The session has ended: the peer has dropped all routes. Hundreds may end at once, so the next session forgets what is wanted no more. */
  stop(): void {
    this.#session = undefined;
    this.#sweep = undefined;
    this.#advertised = { IPv4: 0, IPv6: 0 };
    for (const family of families) this.#unsendable[family] = 0;
  }

  /** The peer is gone for good: others may use the numbers of its routes, when all is done up to the end. */
  discard(): Generator<undefined, void> {
    this.stop();
    return this.#wanted.forgetAll();
  }

  /**
   * The peer asks for everything of a family once more (RFC 2918; marked as RFC 7313 says where both sides do that). It is sent once after
   * what waits already, however often the peer asks meanwhile.
   */
  refresh(family: Family): void {
    const queue = this.#session?.queues.get(family);
    if (queue !== undefined) queue.refreshWanted = true;
  }

  /** End-of-RIB is to follow once more. */
  repeatEnd(): void {
    for (const queue of this.#session?.queues.values() ?? []) queue.incomplete = true;
  }

  /** The next message to send, whole; undefined if there is no message yet, and `pending` is 0 when all is advertised. */
  next(): Uint8Array | undefined {
    const session = this.#session;
    if (session === undefined) return undefined;
    if (session.sent.queued < this.#entriesAtOnce) this.#sweepSome();
    for (const [family, { withdrawals }] of session.queues)
      if (!withdrawals.isEmpty) return encodeWithdrawal(family, this.#withdrawn(withdrawals, session), session.format);
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
    return this.#session === undefined ? this.wanted : this.#session.sent.queued + (this.#sweep?.left ?? 0);
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
    const entry = this.#table.get(prefix);
    if (session === undefined || entry === undefined || this.#wanted.get(entry) === undefined) return undefined;
    const { end, negotiated, sent } = session;
    const each = [...(entry.paths?.values() ?? [])].filter((path) => this.#wanted.get(path) !== undefined);
    const carried = this.#isFor(entry, session) ? [entry] : each;
    if (carried.some((path) => sent.isUnsendable(path))) return { state: this.#whyUnsendable(prefix.family) };
    const hops = (route: RouteAttributes) => nextHops(route, prefix.family, end, negotiated.extendedNextHop);
    const all = carried.flatMap((path) => {
      const wanted = this.#wanted.get(path);
      return wanted !== undefined && wanted === sent.advertised(path) ? [hops(wanted)] : [];
    });
    return all.length < carried.length ? { state: "waits" } : { state: "sent", nextHops: all.flat() };
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
    for (const [attributes, waiting] of queue.announcements) {
      if (waiting.isEmpty) {
        queue.announcements.delete(attributes);
        continue;
      }
      const { end, negotiated, format } = session;
      const hops = nextHops(attributes, family, end, negotiated.extendedNextHop);
      if (hops.length > 0)
        return encodeAnnouncement(this.#encoded(attributes, session), hops, family, this.#announced(waiting, session), format);
      // This side has lost its address while they waited, and the sweep that looks for that has not come to them.
      for (const entry of this.#waiting(waiting).take(this.#entriesAtOnce)) this.#enqueue(entry);
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

  /** The first of a queue, over and over: whoever takes it takes it out of the queue. */
  *#waiting(queue: RouteQueue): Generator<NumberedNlri, undefined> {
    for (let entry = this.#table.at(queue.first); entry !== undefined; entry = this.#table.at(queue.first)) yield entry;
  }

  /** The routes of a queue; each one yielded counts as advertised. */
  *#announced(queue: RouteQueue, { sent }: Session): Generator<Nlri> {
    for (const entry of this.#waiting(queue)) {
      sent.put(entry, undefined);
      if (sent.advertised(entry) === undefined) this.#advertised[entry.prefix.family]++;
      sent.setAdvertised(entry, this.#wanted.get(entry));
      yield entry;
    }
  }

  /** The routes of a queue; each one yielded counts as withdrawn. */
  *#withdrawn(queue: RouteQueue, { sent }: Session): Generator<Nlri> {
    for (const entry of this.#waiting(queue)) {
      sent.put(entry, undefined);
      this.#advertised[entry.prefix.family]--;
      sent.setAdvertised(entry, undefined);
      if (this.#wanted.get(entry) === undefined) this.#wanted.forget(entry);
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
    const { sent } = this.#session ?? {};
    const sweep = this.#sweep;
    if (sweep === undefined || sent === undefined) return;
    for (let step = 0; step < this.#entriesAtOnce; step++) {
      const { done, value: entry } = sweep.entries.next();
      if (done) {
        this.#sweep = undefined;
        return;
      }
      if (entry === undefined) continue;
      sweep.left = Math.max(1, sweep.left - 1); // Entries come and go: it is not over before its end.
      if (sent.advertised(entry) !== undefined && sweep.readvertise.has(entry.prefix.family)) sent.setAdvertised(entry, outdated);
      this.#enqueue(entry);
    }
  }

  /** Puts an entry into the queue that its wanted and advertised routes ask for. */
  #enqueue(entry: NumberedNlri): void {
    const session = this.#session;
    if (session === undefined) {
      if (this.#wanted.get(entry) === undefined) this.#wanted.forget(entry);
      return;
    }
    const { sent, queues } = session;
    const { family } = entry.prefix;
    const advertised = sent.advertised(entry);
    const wanted = this.#isFor(entry, session) ? this.#wanted.get(entry) : undefined;
    const isCarried = wanted !== undefined && sendable(family, wanted, session);
    this.#setUnsendable(entry, sent, wanted !== undefined && !isCarried);
    const queue = queues.get(family);
    if (queue === undefined || wanted === advertised) sent.put(entry, undefined);
    else if (isCarried) sent.put(entry, queueOf(queue, wanted));
    else sent.put(entry, advertised === undefined ? undefined : queue.withdrawals);
    if (advertised === undefined && this.#wanted.get(entry) === undefined) this.#wanted.forget(entry);
  }

  /** Whether the session carries it: of a prefix with several paths each in a session with ADD-PATH, in others the one that is chosen. */
  #isFor(entry: NumberedNlri, { format }: Session): boolean {
    const hasAddPath = format.addPath.has(entry.prefix.family);
    return entry.path === 0 ? !hasAddPath || this.#wanted.pathsTo(entry) === 0 : hasAddPath;
  }

  #setUnsendable(entry: NumberedNlri, sent: SentRoutes, isUnsendable: boolean): void {
    if (sent.isUnsendable(entry) === isUnsendable) return;
    sent.setUnsendable(entry, isUnsendable);
    this.#unsendable[entry.prefix.family] += isUnsendable ? 1 : -1;
  }
}

function queueOf({ announcements }: FamilyQueue, attributes: RouteAttributes): RouteQueue {
  let queue = announcements.get(attributes);
  if (queue === undefined) {
    queue = new RouteQueue();
    announcements.set(attributes, queue);
  }
  return queue;
}

function sendable(family: Family, route: RouteAttributes, { queues, end, negotiated }: Session): boolean {
  return queues.has(family) && nextHops(route, family, end, negotiated.extendedNextHop).length > 0;
}
