import { type Address, type Family, families, type Prefix } from "#pkg/net";
import { encodeRouteRefresh } from "../codec/message-codec.ts";
import { maxExtendedMessageLength, maxMessageLength } from "../codec/messages.ts";
import { encodeAnnouncement, encodeAttributes, encodeEndOfRib, encodeWithdrawal } from "../codec/update-encoder.ts";
import type { Negotiated } from "../session/state.ts";
import { type LocalEnd, nextHops, type RouteAttributes, resolveAttributes } from "./route.ts";

/** One prefix: the route wanted, and the one advertised. */
interface PrefixState {
  readonly prefix: Prefix;
  wanted: RouteAttributes | undefined;
  /** The session that the other fields are about. */
  session: number;
  advertised: RouteAttributes | undefined;
  /** The queue in which it waits. */
  queue: Set<PrefixState> | undefined;
  /** It is wanted, but the session cannot carry it. */
  unsendable: boolean;
}

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
  readonly maxLength: number;
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

/** The state of an entry when a session begins. */
const anew = { advertised: undefined, queue: undefined, unsendable: false };

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
 * The Adj-RIB-Out of one peer (RFC 4271, section 3.2): the wanted routes, and the difference to those advertised. Nothing is
 * encoded before `next` pulls it, so what was superseded while the connection was slow is never sent. Announcements with the same
 * attributes travel together, and withdrawals before any of them. The cost of a change does not depend on how many prefixes there are;
 * what concerns all of them is found out while messages are pulled, some for each.
 */
export class RoutesOut {
  readonly #entries = new Map<string, PrefixState>(); // prefix -> entry
  readonly #entriesAtOnce: number;
  #session: Session | undefined;
  #sessions = 0; // Sessions that have ended.
  #sweep: Sweep | undefined;
  #leaving = false;
  #wanted = 0;
  #advertised = 0;
  #queued = 0;
  readonly #unsendable: Record<Family, number> = { IPv4: 0, IPv6: 0 };

  /** @param options how many prefixes are looked at for each message, where it concerns all of them */
  constructor(options: { readonly entriesAtOnce?: number } = {}) {
    this.#entriesAtOnce = options.entriesAtOnce ?? entriesAtOnce;
  }

  /** The last call for a prefix counts. */
  advertise(prefix: Prefix, attributes: RouteAttributes): void {
    const key = prefix.toString();
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { prefix, wanted: undefined, session: this.#sessions, ...anew };
      this.#entries.set(key, entry);
    }
    if (entry.wanted === attributes) return;
    if (entry.wanted === undefined) this.#wanted++;
    entry.wanted = attributes;
    this.#enqueue(entry);
  }

  withdraw(prefix: Prefix): void {
    const entry = this.#entries.get(prefix.toString());
    if (entry?.wanted === undefined) return;
    this.#wanted--;
    entry.wanted = undefined;
    this.#enqueue(entry);
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
    this.#session = { negotiated, end, maxLength, queues, encoded: new WeakMap() };
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
    this.#advertised = 0;
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
      if (withdrawals.size > 0) return encodeWithdrawal(family, this.#withdrawn(withdrawals), session.maxLength);
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
    return this.#session === undefined ? this.#wanted : this.#queued + (this.#sweep?.left ?? 0);
  }

  /** Prefixes that should be advertised. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Prefixes that are advertised. */
  get advertised(): number {
    return this.#advertised;
  }

  /** Undefined for a route that is not wanted, and without a session. */
  standing(prefix: Prefix): RouteStanding | undefined {
    const session = this.#session;
    const entry = this.#entries.get(prefix.toString());
    if (session === undefined || entry === undefined) return undefined;
    const { wanted, advertised, unsendable } = this.#current(entry);
    if (wanted === undefined) return undefined;
    if (unsendable) return { state: this.#whyUnsendable(prefix.family) };
    if (advertised !== wanted) return { state: "waits" };
    const { end, negotiated } = session;
    return { state: "sent", nextHops: nextHops(wanted, prefix.family, end, negotiated.extendedNextHop) };
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
      const { end, negotiated, maxLength } = session;
      const hops = nextHops(attributes, family, end, negotiated.extendedNextHop);
      if (hops.length > 0)
        return encodeAnnouncement(this.#encoded(attributes, session), hops, family, this.#announced(entries), maxLength);
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

  /** The prefixes of a queue; each one yielded counts as advertised. */
  *#announced(queue: Set<PrefixState>): Generator<Prefix> {
    for (const entry of queue) {
      this.#put(entry, undefined);
      if (entry.advertised === undefined) this.#advertised++;
      entry.advertised = entry.wanted;
      yield entry.prefix;
    }
  }

  /** The prefixes of a queue; each one yielded counts as withdrawn. */
  *#withdrawn(queue: Set<PrefixState>): Generator<Prefix> {
    for (const entry of queue) {
      this.#put(entry, undefined);
      this.#advertised--;
      entry.advertised = undefined;
      if (entry.wanted === undefined) this.#entries.delete(entry.prefix.toString());
      yield entry.prefix;
    }
  }

  /** This sweep also does the work that an earlier sweep did not come to. */
  #startSweep(readvertise: readonly Family[]): void {
    const { size } = this.#entries;
    const both = new Set([...(this.#sweep?.readvertise ?? []), ...readvertise]);
    this.#sweep = size === 0 ? undefined : { entries: this.#entries.values(), left: size, readvertise: both };
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
    const { wanted, advertised, prefix } = this.#current(entry);
    const session = this.#session;
    const carried = session !== undefined && wanted !== undefined && sendable(prefix.family, wanted, session);
    this.#setUnsendable(entry, session !== undefined && wanted !== undefined && !carried);
    const withdrawals = session?.queues.get(prefix.family)?.withdrawals;
    if (withdrawals === undefined || wanted === advertised) this.#put(entry, undefined);
    else if (carried) this.#put(entry, this.#queueOf(entry, wanted));
    else this.#put(entry, advertised === undefined ? undefined : withdrawals);
    if (entry.wanted === undefined && entry.advertised === undefined) this.#entries.delete(prefix.toString());
  }

  /** State of an earlier session is void. */
  #current(entry: PrefixState): PrefixState {
    if (entry.session !== this.#sessions) Object.assign(entry, anew, { session: this.#sessions });
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

function sendable(family: Family, route: RouteAttributes, { queues, end, negotiated }: Session): boolean {
  return queues.has(family) && nextHops(route, family, end, negotiated.extendedNextHop).length > 0;
}
