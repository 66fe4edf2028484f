import { isDeepStrictEqual } from "node:util";
import { type IpamPool, ipamChanges } from "#pkg/allocator";
import { Alarm, backOff, type Clock, inPortions, type Millis, type Portions, type Random } from "#pkg/clock";
import type { Address, AddressRange, Family } from "#pkg/net";
import type { NetboxRecord } from "./answers.ts";
import { type NetboxClient, NetboxError, type RecordFields } from "./client.ts";
import { type Claim, fieldsFor, type Plan, plan, type RecordRules, sortRecords, type Wish } from "./plan.ts";

export interface PoolRecordsOptions {
  readonly rules: RecordRules;
  /** Where NetBox chooses from, in this order; it has a prefix or an IP range of exactly these addresses for each. */
  readonly ranges: readonly AddressRange[];
  /** The pool's addresses. */
  readonly addresses: readonly AddressRange[];
  /** The client, or the reason in words why there is no client; once there is one, or it has another token, `clientChanged` has to be called. */
  readonly client: () =>
    | Pick<NetboxClient, "list" | "take" | "hasFree" | "create" | "get" | "update" | "remove">
    | { readonly missing: string };
  /** What Services hold of the pool, found in steps. */
  readonly claims: () => Generator<undefined, readonly Claim[]>;
  /** What this NetBox was last known to have, until it is read. */
  readonly known: Iterable<NetboxRecord>;
  readonly wishes: () => readonly Wish[];
  readonly exists: (service: string, uid: string) => boolean;
  /** Whether a Service holds the address at this moment. */
  readonly isHeld: (address: Address) => boolean;
  readonly onChange: (view: NetboxView) => void;
  /** After `retire`: another pool has the record now. */
  readonly isKeptElsewhere: (record: NetboxRecord) => boolean;
  /** After `retire`: nothing is left to release. */
  readonly onEnd: () => void;
  /** Work on all records is done in portions of some hundred records. */
  readonly portions: Pick<Portions, "do">;
  readonly clock: Clock;
  readonly random: Random;
}

/** The pool's view of NetBox. */
export interface NetboxView extends Omit<IpamPool, "pool" | "isRead"> {
  /** NetBox has been read since the start. */
  readonly isKnown: boolean;
}

// So that a burst of changes is one pass.
const settleMs: Millis = 200;
// People change records too.
const listEveryMs: Millis = 300_000;
// A Service that is replaced, or moved to another pool and back, keeps its record.
const graceMs: Millis = 60_000;
const firstRetryMs: Millis = 1_000;
const maxRetryMs: Millis = 300_000;
// Until what NetBox refused for good is tried again: people may have put it right.
const refusedMs: Millis = 60_000;
// It says the same to all where it lacks a prefix, and thousands may wait; to one whose name it does not like, it says so alone.
const maxRefusedTakes = 3;
// Between two looks at what is to be done.
const actionsAtOnce = 50;

interface Action {
  /** The same for the same thing to do. */
  readonly key: string;
  readonly run: () => Promise<void>;
}

/**
 * Makes the records of one pool what they should be, one request after the other. A failed request is tried again, later each time; after a
 * lost answer NetBox is read again before anything else is done. Missing answers of NetBox cost nobody an address.
 */
export class PoolRecords implements Disposable {
  readonly #options: PoolRecordsOptions;
  readonly #alarm: Alarm;
  #records = new Map<number, NetboxRecord>(); // by its number
  #listedAt: Millis = -Infinity;
  readonly #idleSince = new Map<number, Millis>(); // record -> since when nobody wants it
  #exhausted = new Set<Family>();
  readonly #refused = new Map<string, { readonly until: Millis; readonly problem: string }>(); // action -> what NetBox said
  #failures = 0;
  #isBusy = false;
  #hasChanged = false; // Since what is being done was begun.
  #isClosed = false;
  #retiredAt: Millis | undefined;
  #isInUse = false; // Services hold addresses of the pool that has left the configuration.
  #view: NetboxView = { isKnown: false, granted: new Map(), foreign: new Map(), exhausted: new Set(), problem: undefined };

  constructor(options: PoolRecordsOptions) {
    this.#options = options;
    const { known, addresses } = options;
    for (const record of known) if (addresses.some((range) => range.contains(record.address))) this.#put(record);
    this.#alarm = new Alarm(options.clock, "netbox", () => void this.#pass());
    this.#alarm.set(options.clock.now());
  }

  /** The records that NetBox has, as far as they were read. */
  get records(): Iterable<NetboxRecord> {
    return this.#records.values();
  }

  get view(): NetboxView {
    return this.#view;
  }

  /** Something is being asked of NetBox, or done about what it said. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** What Services hold or wait for may have changed. */
  changed(): void {
    this.#hasChanged = true;
    if (this.#failures === 0) this.#alarm.setNoLater(this.#options.clock.now() + settleMs);
  }

  /** What NetBox refused until now, it may allow with another token. */
  clientChanged(): void {
    this.#failures = 0;
    this.#refused.clear();
    this.changed();
  }

  /** The pool has left the configuration: from now on records are released, and no record is made. */
  retire(): void {
    this.#retiredAt = this.#options.clock.now();
    this.changed();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#alarm[Symbol.dispose]();
  }

  async #pass(): Promise<void> {
    if (this.#isBusy || this.#isClosed) return;
    const client = this.#options.client();
    if ("missing" in client) {
      this.#publish(client.missing);
      return;
    }
    this.#isBusy = true;
    this.#hasChanged = false;
    const { clock, random, portions } = this.#options;
    let problem: string | undefined;
    let next: Millis;
    try {
      if (clock.now() - this.#listedAt >= listEveryMs) await this.#list(client);
      const isDone = await this.#carryOut(client, await inPortions(portions, this.#plan()));
      this.#failures = 0;
      next = isDone ? this.#nextDue() : clock.now();
      [problem] = Array.from(this.#refused.values(), (refused) => refused.problem);
    } catch (error) {
      if (!(error instanceof NetboxError)) throw error;
      problem = error.message;
      if (error.isUnclear) this.#listedAt = -Infinity;
      const wait = backOff(this.#failures++, firstRetryMs, maxRetryMs, random);
      next = clock.now() + Math.max(wait, (error.retryAfterSeconds ?? 0) * 1000);
    }
    await this.#publish(problem);
    this.#isBusy = false;
    if (this.#isClosed) return;
    if (this.#isEnded()) return this.#options.onEnd();
    const isStale = this.#hasChanged && this.#failures === 0;
    this.#alarm.set(isStale ? Math.min(next, clock.now() + settleMs) : next);
  }

  /** A minute after the pool left the configuration no record waits to be released, and no Service holds an address of it. */
  #isEnded(): boolean {
    const isOver = this.#retiredAt !== undefined && this.#options.clock.now() >= this.#retiredAt + graceMs;
    return isOver && this.#failures === 0 && this.#idleSince.size === 0 && !this.#isInUse && !this.#hasChanged;
  }

  #nextDue(): Millis {
    const refused = Array.from(this.#refused.values(), ({ until }) => until);
    const waiting = [...this.#idleSince].filter(([id]) => !this.#refused.has(`release ${id}`));
    const idle = waiting.map(([, since]) => since + graceMs);
    const end = (this.#retiredAt ?? Infinity) + graceMs;
    const isAhead = end > this.#options.clock.now();
    return Math.min(this.#listedAt + listEveryMs, earliest(refused), earliest(idle), isAhead ? end : Infinity);
  }

  async #list(client: Pick<NetboxClient, "list" | "hasFree">): Promise<void> {
    const { addresses, clock } = this.#options;
    const records = new Map<number, NetboxRecord>();
    for (const range of addresses)
      for (const cidr of range.toPrefixes()) for (const record of await client.list(cidr)) records.set(record.id, record);
    this.#records = records;
    for (const family of [...this.#exhausted]) if (await this.#hasFree(client, family)) this.#exhausted.delete(family);
    this.#listedAt = clock.now();
  }

  /** Also where NetBox does not say so: the next Service that waits asks for one. */
  async #hasFree(client: Pick<NetboxClient, "hasFree">, family: Family): Promise<boolean> {
    const unknown = (error: unknown) => {
      if (error instanceof NetboxError) return true;
      throw error;
    };
    for (const range of this.#options.ranges.filter((of) => of.family === family))
      if (await client.hasFree(range).catch(unknown)) return true;
    return false;
  }

  *#plan(): Generator<undefined, Plan> {
    const { claims, wishes, exists, isKeptElsewhere, rules } = this.#options;
    const held = yield* claims();
    const all = yield* plan({ records: [...this.#records.values()], claims: held, wishes: wishes(), exists }, rules);
    if (this.#retiredAt === undefined) return all;
    const idle = all.idle.filter((record) => !isKeptElsewhere(record));
    const inUse = all.inUse.filter((record) => !isKeptElsewhere(record));
    this.#isInUse = rules.onRelease !== "keep" && inUse.length > 0;
    return { create: [], update: [], take: [], idle, inUse };
  }

  /** A refused request is left alone for a while, so that it holds nothing else up. @returns whether nothing is left to do now */
  async #carryOut(
    client: Pick<NetboxClient, "take" | "create" | "get" | "update" | "remove">,
    { create, update, take, idle }: Plan,
  ): Promise<boolean> {
    const { rules, clock } = this.#options;
    const all: readonly Action[] = [
      ...create.map((claim) => ({
        key: `create ${claim.address}`,
        run: async () => this.#put(await client.create(claim.address, fieldsFor(claim, rules))),
      })),
      // NetBox chooses among addresses of which it has no record.
      ...take.map((wish) => ({ key: `take ${wish.family} ${wish.service}`, run: () => this.#take(client, wish) })),
      ...update.map(({ record, claim }) => ({
        key: `update ${record.id}`,
        run: () => this.#update(client, record, fieldsFor(claim, rules)),
      })),
      ...this.#dueOf(idle).map((record) => ({ key: `release ${record.id}`, run: () => this.#release(client, record) })),
    ];
    const keys = new Set(all.map(({ key }) => key));
    for (const [key, { until }] of this.#refused) if (!keys.has(key) || until <= clock.now()) this.#refused.delete(key);
    const actions = all.filter(({ key }) => !this.#isRefused(key));
    for (const { key, run } of actions.slice(0, actionsAtOnce)) {
      if (this.#isClosed) break;
      if (this.#isRefused(key)) continue;
      try {
        await run();
      } catch (error) {
        if (!(error instanceof NetboxError) || !(error.isOfRecord || error.isForbidden)) throw error;
        const [kind] = key.split(" ");
        const refused = error.isForbidden ? actions.filter((other) => other.key.startsWith(`${kind} `)) : [{ key }];
        for (const each of refused) this.#refused.set(each.key, { until: clock.now() + refusedMs, problem: error.message });
      }
    }
    return actions.length <= actionsAtOnce;
  }

  #isRefused(key: string): boolean {
    if (this.#refused.has(key)) return true;
    const [takes] = /^take \S+ /.exec(key) ?? [];
    if (takes === undefined) return false;
    return [...this.#refused.keys()].filter((other) => other.startsWith(takes)).length >= maxRefusedTakes;
  }

  /** Records that nobody has wanted for long enough. */
  #dueOf(idle: readonly NetboxRecord[]): NetboxRecord[] {
    const now = this.#options.clock.now();
    const ids = new Set(idle.map(({ id }) => id));
    for (const id of this.#idleSince.keys()) if (!ids.has(id)) this.#idleSince.delete(id);
    for (const id of ids) if (!this.#idleSince.has(id)) this.#idleSince.set(id, now);
    return idle.filter(({ id }) => now - (this.#idleSince.get(id) ?? now) >= graceMs);
  }

  async #take(client: Pick<NetboxClient, "take">, { service, uid, family }: Wish): Promise<void> {
    const { ranges, rules } = this.#options;
    if (this.#exhausted.has(family) || !this.#options.exists(service, uid)) return;
    for (const range of ranges.filter((of) => of.family === family)) {
      const record = await client.take(range, fieldsFor({ service, uid }, rules));
      if (record === undefined) continue;
      this.#forgetOthers(record.address);
      return this.#put(record);
    }
    this.#exhausted.add(family);
  }

  /** NetBox chose the address since it was read, so the records that others had of it are gone. */
  #forgetOthers(address: Address): void {
    if (!this.#view.foreign.has(`${address}`)) return;
    for (const [id, record] of this.#records) if (record.address.equals(address)) this.#records.delete(id);
  }

  async #update(client: Pick<NetboxClient, "get" | "update">, record: NetboxRecord, fields: RecordFields): Promise<void> {
    if (await this.#isAsRead(client, record)) this.#put(await client.update(record, fields));
  }

  async #release(client: Pick<NetboxClient, "get" | "update" | "remove">, record: NetboxRecord): Promise<void> {
    // Other requests came first, and NetBox may be slow: by now a Service may have the address again.
    if (!(await this.#isAsRead(client, record)) || this.#options.isHeld(record.address)) return;
    if (this.#options.rules.onRelease === "deprecate") return this.#put(await client.update(record, { status: "deprecated" }));
    await client.remove(record);
    this.#records.delete(record.id);
    this.#exhausted.delete(record.address.family);
  }

  /**
   * Whether nobody has changed or removed the record since it was read, which may be minutes ago. Somebody who did may have made it theirs,
   * so its fate is decided again.
   */
  async #isAsRead(client: Pick<NetboxClient, "get">, record: NetboxRecord): Promise<boolean> {
    const now = await client.get(record);
    if (isDeepStrictEqual(now, record)) return true;
    const isHere = now !== undefined && this.#options.addresses.some((range) => range.contains(now.address));
    if (isHere) this.#put(now);
    else this.#records.delete(record.id);
    this.#hasChanged = true;
    return false;
  }

  #put(record: NetboxRecord): void {
    this.#records.set(record.id, record);
  }

  /** Publishes the present records, also if some changes failed. */
  async #publish(problem: string | undefined): Promise<void> {
    const { portions, exists, rules } = this.#options;
    const { granted, foreign } = await inPortions(portions, sortRecords([...this.#records.values()], exists, rules));
    if (this.#isClosed) return;
    const isKnown = this.#view.isKnown || this.#listedAt > -Infinity;
    const view = { isKnown, granted, foreign, exhausted: new Set(this.#exhausted), problem };
    if (!(await inPortions(portions, isOther(this.#view, view))) || this.#isClosed) return;
    this.#view = view;
    this.#options.onChange(view);
  }
}

function* isOther(before: NetboxView, after: NetboxView): Generator<undefined, boolean> {
  const of = (view: NetboxView): IpamPool => ({ ...view, pool: "", isRead: view.isKnown });
  for (const change of ipamChanges(of(before), of(after))) {
    if (change !== undefined) return true;
    yield;
  }
  return false;
}

function earliest(times: readonly Millis[]): Millis {
  return times.reduce((first, time) => Math.min(first, time), Infinity);
}
