import { backOff, type Millis } from "#pkg/clock";
import { DistinctQueue } from "#pkg/collections";
import { Deadlines, PartOf } from "#pkg/core";
import { namespaceOf } from "#pkg/service";
import type { Context } from "../context.ts";
import { Outage, type Trial } from "./outage.ts";

/**
 * `retry`: not done; try it again later. `at`: not done, and not to be tried before then. `unavailableUntil`: not done, because what all keys
 * need could not be had, or so it seems; it asked for quiet until then, which may be past.
 */
export type Outcome = "done" | "retry" | { readonly at: Millis } | { readonly unavailableUntil: Millis };

const minRetryMs: Millis = 200;
const maxRetryMs: Millis = 30_000;
// A key that fails only after so long is slow until it is done, and slow ones have one place in eight.
const slowMs: Millis = 2_000;
const slowPart = 1 / 8;

/** How a key has fared since it was done last. */
type Kind = "new" | "failed" | "slow";

const kinds: readonly Kind[] = ["new", "failed", "slow"];
const trials: readonly Trial[] = ["newest", "first", "repeated"];
const kindsOf: Readonly<Record<Trial, readonly Kind[]>> = { newest: ["new"], first: ["new"], repeated: ["failed", "slow"] };

/** The keys of one namespace, which is the part of a key before its first "/"; keys without a "/" share one. */
interface Namespace {
  /** Counts up with each key of any namespace that is begun: the lowest has waited longest. */
  turn: number;
  readonly waiting: Readonly<Record<Kind, DistinctQueue<string>>>;
  working: number;
  /** Counts up with the new keys that are added to any namespace. */
  newest: number;
  /** From an outage on, until no new key waits, the last of them comes first. */
  isReversed: boolean;
}

/** Failures in a row. */
interface Retry {
  readonly attempts: number;
  readonly isSlow: boolean;
}

/** The next key to work on, and its kind of trial in an outage. */
interface Next {
  readonly namespace: Namespace;
  readonly kind: Kind;
  readonly trial?: Trial;
}

interface Work {
  readonly kind: Kind;
  readonly begunAt: Millis;
}

export interface Begun {
  readonly key: string;
  /** Which trial of an outage it is. */
  readonly trial: Trial | undefined;
}

/**
 * Chooses the next key: keys in the order in which they were added, the namespaces taking turns, and in each namespace failed keys after
 * the others. A key that waits is not added twice; one that is being worked on is never worked on a second time beside it, but once more
 * afterwards. Adding a key that failed ends the wait for its next try. Keys that are slow or fail do not hold up the rest: a key that fails
 * gives its place up, no namespace takes more places than are left for the others, and keys that were slow to fail have few places. Only in an outage are keys tried one at a time.
 */
export class WorkPlan extends PartOf<Pick<Context, "random">> {
  private readonly concurrency: number;
  private readonly namespaces = new Map<string, Namespace>(); // those with keys that wait or are worked on
  // Those with keys of a kind that wait, in turn: thousands may have none but slow ones, which is not to be found out at each key of another.
  private readonly inTurn: Readonly<Record<Kind, Set<Namespace>>> = { new: new Set(), failed: new Set(), slow: new Set() };
  private readonly working = new Map<string, Work>();
  private readonly again = new Set<string>(); // added while being worked on
  private readonly retries = new Map<string, Retry>();
  private readonly due = new Deadlines(); // of retries, by key
  private readonly outage: Outage;
  private added = 0;
  private turns = 0;
  private paused = false;
  private closed = false;

  /** @param concurrency how many keys may be worked on at once */
  constructor(concurrency: number, context: Pick<Context, "random">) {
    super(context);
    this.concurrency = concurrency;
    this.outage = new Outage(context);
  }

  add(key: string): void {
    if (this.closed) return;
    this.due.set(key, Infinity);
    if (this.working.has(key)) this.again.add(key);
    else this.#wait(key);
  }

  /** Nothing is begun until `resume`. Work under way goes on. */
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** Nothing is begun any more. */
  close(): void {
    this.closed = true;
  }

  /** When there may be a key to work on; -Infinity for now, Infinity while nothing waits but for what is worked on. */
  get deadline(): Millis {
    if (this.closed) return Infinity;
    return Math.min(this.due.next, this.paused ? Infinity : this.#nextAt());
  }

  /** The key that is to be worked on now, if there is one and a place for it: it is begun. */
  begin(now: Millis): Begun | undefined {
    for (let due = this.due.takeDue(now); due !== undefined; due = this.due.takeDue(now)) this.add(due);
    const next = this.paused || this.closed ? undefined : this.#next(now);
    if (next === undefined) return undefined;
    const { namespace, kind, trial } = next;
    const { waiting } = namespace;
    namespace.isReversed = waiting.new.size > 0 && (namespace.isReversed || trial !== undefined);
    const isLast = kind === "new" && namespace.isReversed && trial !== "first";
    const key = isLast ? waiting.new.pop() : waiting[kind].shift();
    if (key === undefined) return undefined;
    this.#toEnd(namespace);
    namespace.working++;
    this.working.set(key, { kind, begunAt: now });
    return { key, trial };
  }

  /** The work on a key takes its time: of an outage it was the trial. */
  goesOn({ trial }: Begun, now: Millis): void {
    if (trial !== undefined) this.outage.tried(trial, now);
  }

  /** The work on a key is done, at once. */
  end(key: string, outcome: Outcome, now: Millis): void {
    this.#finish(key, outcome, false, now);
  }

  /** The same of work that took its time: that says something of all keys. */
  endLate(key: string, outcome: Outcome, now: Millis): void {
    const wasSlow = now - (this.working.get(key)?.begunAt ?? now) >= slowMs;
    if (typeof outcome === "object" && "unavailableUntil" in outcome) this.outage.failed(key, now, outcome.unavailableUntil);
    else this.outage.succeeded();
    this.#finish(key, outcome, wasSlow, now);
  }

  #namespace(key: string): Namespace {
    const name = namespaceOf(key);
    const waiting = () => new DistinctQueue<string>();
    const namespace = this.namespaces.get(name) ?? {
      turn: ++this.turns,
      waiting: { new: waiting(), failed: waiting(), slow: waiting() },
      working: 0,
      newest: 0,
      isReversed: false,
    };
    this.namespaces.set(name, namespace);
    return namespace;
  }

  #wait(key: string): void {
    const { attempts = 0, isSlow = false } = this.retries.get(key) ?? {};
    const kind = isSlow ? "slow" : attempts > 0 ? "failed" : "new";
    const namespace = this.#namespace(key);
    namespace.waiting[kind].push(key);
    this.inTurn[kind].add(namespace);
    if (kind === "new") namespace.newest = ++this.added;
  }

  /** The others come first. */
  #toEnd(namespace: Namespace): void {
    namespace.turn = ++this.turns;
    for (const kind of kinds) {
      this.inTurn[kind].delete(namespace);
      if (namespace.waiting[kind].size > 0) this.inTurn[kind].add(namespace);
    }
  }

  /** When a waiting key may be worked on; `Infinity` without a key, or without a place for it. */
  #nextAt(): Millis {
    if (!this.outage.isOn) return this.#nextOf(kinds) === undefined ? Infinity : -Infinity;
    const known = trials.filter((trial) => this.#nextOf(kindsOf[trial]) !== undefined);
    return Math.min(...known.map((trial) => this.outage.next(trial)));
  }

  /** The key to work on now, if there is one and a place for it. */
  #next(now: Millis): Next | undefined {
    if (!this.outage.isOn) return this.#nextOf(kinds);
    for (const trial of trials) {
      const next = this.outage.next(trial) <= now ? this.#nextOf(kindsOf[trial], trial === "newest") : undefined;
      if (next !== undefined) return { ...next, trial };
    }
    return undefined;
  }

  /** @param isNewest of the namespaces the one with the newest key, instead of the first in turn */
  #nextOf(among: readonly Kind[], isNewest = false): Next | undefined {
    const free = this.concurrency - this.working.size;
    if (free <= 0) return undefined;
    const open = among.filter((kind) => kind !== "slow" || this.#hasSlowPlace());
    let found: Namespace | undefined;
    for (const kind of open) {
      for (const namespace of this.inTurn[kind]) {
        if (namespace.working >= Math.max(2, free)) continue; // Few are skipped: each has keys at work, and places are few.
        if (found === undefined || (isNewest ? namespace.newest > found.newest : namespace.turn < found.turn)) found = namespace;
        if (!isNewest) break;
      }
    }
    if (found === undefined) return undefined;
    const { waiting } = found;
    const kind = open.find((each) => waiting[each].size > 0);
    return kind === undefined ? undefined : { namespace: found, kind };
  }

  #hasSlowPlace(): boolean {
    let slow = 0;
    for (const { kind } of this.working.values()) if (kind === "slow") slow++;
    return slow < Math.max(1, this.concurrency * slowPart);
  }

  #finish(key: string, outcome: Outcome, wasSlow: boolean, now: Millis): void {
    this.working.delete(key);
    const namespace = this.#namespace(key);
    namespace.working--;
    const isAgain = this.again.delete(key);
    if (outcome === "done") this.retries.delete(key);
    else this.#failed(key, outcome, wasSlow, isAgain, now);
    if (isAgain) this.#wait(key);
    if (namespace.working === 0 && kinds.every((kind) => namespace.waiting[kind].size === 0))
      this.namespaces.delete(namespaceOf(key));
  }

  /** In an outage the wait of a key does not grow: it is tried soon after the end. */
  #failed(key: string, outcome: Exclude<Outcome, "done">, isSlow: boolean, isAgain: boolean, now: Millis): void {
    const before = this.retries.get(key)?.attempts ?? 0;
    const isAsked = typeof outcome === "object" && "at" in outcome;
    const until = typeof outcome === "object" && "unavailableUntil" in outcome ? outcome.unavailableUntil : -Infinity;
    const at = isAsked ? outcome.at : Math.max(until, now + backOff(before, minRetryMs, maxRetryMs, this.context.random));
    const attempts = isAsked ? before : this.outage.isOn ? Math.max(1, before) : before + 1;
    this.retries.set(key, { attempts, isSlow });
    if (!isAgain) this.due.set(key, at);
  }
}
