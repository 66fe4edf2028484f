import { isDeepStrictEqual } from "node:util";
import { awaitedOf, type IpamPool, ipamChanges, type Refusal } from "#pkg/allocator";
import { type Clock, inPortions, type Portions, type Random } from "#pkg/clock";
import type { Netbox, Pool } from "#pkg/config";
import { type Cluster, type EventRecorder, type NoValue, SecretValues, serviceReference } from "#pkg/k8s";
import type { LeaderElector } from "#pkg/leader-election";
import type { Log } from "#pkg/log";
import type { Family } from "#pkg/net";
import { type Claim, NetboxClient, type NetboxRecord, type NetboxView, PoolRecords, type Wish } from "#pkg/netbox";
import { quote } from "#pkg/text";
import type { ControllerRunner, ControllerView } from "../core/index.ts";

export interface NetboxKeeperOptions {
  readonly cluster: Pick<Cluster, "informer">;
  /** Namespace of the configuration, and of the Secrets that it names. */
  readonly namespace: string;
  readonly view: Pick<ControllerView, "service" | "seen" | "held" | "isHeld">;
  readonly runner: Pick<ControllerRunner, "dispatch">;
  readonly events: Pick<EventRecorder, "record">;
  readonly elector: Pick<LeaderElector, "mayWrite">;
  /** Work on all Services is done in portions of some hundred Services. */
  readonly portions: Pick<Portions, "do">;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

interface Kept {
  readonly pool: Pool;
  readonly records: PoolRecords;
  view: NetboxView;
}

/** A Service waits for an address of this family. */
interface Need {
  readonly pool: string;
  readonly family: Family;
  readonly granted: number;
  readonly exhausted: boolean;
  readonly asks: readonly { readonly pool: string; readonly family: Family }[];
}

/** Keeps the records in NetBox of all pools that have one, and tells what NetBox says of them. */
export class NetboxKeeper implements Disposable {
  readonly #options: NetboxKeeperOptions;
  readonly #secrets: SecretValues;
  #kept: readonly Kept[] = [];
  #retired: readonly Kept[] = []; // Their pools have left the configuration; they release their records.
  readonly #disposed = new AbortController();
  readonly #needs = new Map<string, readonly Need[]>(); // Service -> what it waits for
  readonly #told = new Map<string, IpamPool>(); // pool -> what the core knows
  #hasNews = false; // The core does not know all.
  #isTelling = false;
  readonly #contested = new Set<string>(); // addresses that were reported to be held here and recorded for others

  constructor(options: NetboxKeeperOptions) {
    this.#options = options;
    const { cluster, namespace, log } = options;
    this.#secrets = new SecretValues({ cluster, namespace, use: "netbox-token", log, changed: () => this.#secretChanged() });
  }

  /** These pools are in force, and no others. */
  configure(pools: readonly Pool[]): void {
    const before = this.#kept;
    this.#kept = pools
      .filter(({ netbox }) => netbox !== undefined)
      .map((pool) => before.find((kept) => isSame(kept.pool, pool)) ?? this.#keep(pool, before));
    for (const kept of this.#kept) if (!before.includes(kept)) this.#tellUnread(kept.pool.name);
    const left = before.filter((kept) => !this.#kept.includes(kept));
    this.#retired = [...this.#retired, ...left];
    for (const { records } of left) records.retire();
    this.#watchSecrets();
    this.#tell();
  }

  /** It was decided on a Service. @param missing why it did not get all that it asks for */
  decided(service: string, missing: Refusal | undefined): void {
    if (this.#kept.length + this.#retired.length === 0) return;
    const needs =
      missing === undefined ? [] : awaitedOf(missing).filter(({ pool }) => this.#kept.some((kept) => kept.pool.name === pool));
    if (needs.length > 0) this.#needs.set(service, needs);
    else this.#needs.delete(service);
    this.#changed();
  }

  [Symbol.dispose](): void {
    this.#disposed.abort();
    this.#secrets[Symbol.dispose]();
    for (const { records } of [...this.#kept, ...this.#retired]) records[Symbol.dispose]();
    [this.#kept, this.#retired] = [[], []];
  }

  #changed(): void {
    for (const { records } of [...this.#kept, ...this.#retired]) records.changed();
  }

  #secretChanged(): void {
    for (const { records } of [...this.#kept, ...this.#retired]) records.clientChanged();
  }

  #watchSecrets(): void {
    this.#secrets.watch(new Set([...this.#kept, ...this.#retired].flatMap(({ pool }) => pool.netbox?.token.name ?? [])));
  }

  #ended(pool: Pool): void {
    for (const kept of this.#retired) if (kept.pool === pool) kept.records[Symbol.dispose]();
    this.#retired = this.#retired.filter((kept) => kept.pool !== pool);
    this.#watchSecrets();
  }

  /** Whether a pool of the configuration keeps the record of a pool that has left it. */
  #isKept({ address, tags }: NetboxRecord, { netbox: before }: Pool): boolean {
    return this.#kept.some(({ pool: { netbox, ranges } }) => {
      const isSamePlace = netbox !== undefined && netbox.url === before?.url && netbox.tags.every((tag) => tags.includes(tag));
      return isSamePlace && ranges.some((range) => range.contains(address));
    });
  }

  /** @param before pools that were configured until now: NetBox may not answer at this moment */
  #keep(pool: Pool, before: readonly Kept[]): Kept {
    const { view, elector, portions, clock, random } = this.#options;
    const { netbox, ranges } = pool;
    if (netbox === undefined) throw new Error(`Cannot keep pool ${pool.name} in NetBox: it has none`);
    const records = new PoolRecords({
      rules: netbox,
      ranges: netbox.ranges,
      addresses: ranges,
      client: () => {
        const token = this.#token(netbox);
        const { signal } = this.#disposed;
        return typeof token === "string"
          ? new NetboxClient({ url: netbox.url, token, signal, mayWrite: () => elector.mayWrite })
          : token;
      },
      claims: () => this.#claims(pool),
      known: before.filter((kept) => kept.pool.netbox?.url === netbox.url).flatMap(({ records }) => [...records.records]),
      wishes: () => (this.#kept.some((kept) => kept.pool === pool) ? this.#wishes(pool.name) : []),
      exists: (service, uid) => view.service(service)?.uid === uid,
      isHeld: (address) => view.isHeld(address),
      onChange: (view) => this.#seen(pool, view),
      isKeptElsewhere: (record) => this.#isKept(record, pool),
      onEnd: () => this.#ended(pool),
      portions,
      clock,
      random,
    });
    return { pool, records, view: records.view };
  }

  /** The writer of the configuration chooses the URL, so a token goes only to the URL in its own Secret. */
  #token({ url, token }: Netbox): string | NoValue {
    const value = this.#secrets.get(token);
    const home = this.#secrets.get({ name: token.name, key: "url" });
    if (typeof value !== "string" || typeof home !== "string") return typeof value !== "string" ? value : (home as NoValue);
    if (withoutSlash(home) === withoutSlash(url)) return value;
    return {
      missing: `Secret ${this.#options.namespace}/${token.name} is for another NetBox: its key "url" is not ${quote(url)}`,
    };
  }

  /** The first by name stands for all Services on one address. */
  *#claims({ ranges }: Pool): Generator<undefined, Claim[]> {
    const claims = new Map<string, Claim>();
    let looked = 0;
    for (const { key, uid } of this.#options.view.seen()) {
      if (++looked % servicesAtOnce === 0) yield;
      for (const address of this.#options.view.held(key)?.addresses ?? []) {
        if (!ranges.some((range) => range.contains(address))) continue;
        const other = claims.get(`${address}`);
        if (other === undefined || key < other.service) claims.set(`${address}`, { address, service: key, uid });
      }
    }
    return [...claims.values()];
  }

  #wishes(name: string): Wish[] {
    const wishes: Wish[] = [];
    for (const [service, needs] of this.#needs) {
      const uid = this.#options.view.service(service)?.uid;
      const need = needs.find(({ pool }) => pool === name);
      if (uid === undefined) this.#needs.delete(service);
      else if (need !== undefined) {
        const keeps = need.asks.filter((ask) => ask.pool === name).map((ask) => ask.family);
        wishes.push({ service, uid, family: need.family, granted: need.granted, exhausted: need.exhausted, keeps });
      }
    }
    return wishes;
  }

  #seen(of: Pool, view: NetboxView): void {
    const kept = [...this.#kept, ...this.#retired].find(({ pool }) => pool === of);
    if (kept === undefined) return;
    const { problem } = kept.view;
    kept.view = view;
    if (view.problem !== problem) this.#options.runner.dispatch({ type: "ipamProblem", pool: of.name, problem: view.problem });
    if (!this.#kept.includes(kept)) return;
    void this.#reportContested(of, view);
    this.#tell();
  }

  /** The Service keeps the address: who of both is wrong, nobody can tell here. */
  async #reportContested(pool: Pool, { foreign }: NetboxView): Promise<void> {
    const { view, events, log, portions } = this.#options;
    if (foreign.size === 0) return;
    for (const { address, service } of await inPortions(portions, this.#claims(pool))) {
      const by = foreign.get(`${address}`);
      const report = `${address} ${service} ${by}`;
      const found = view.service(service);
      if (by === undefined || found === undefined || this.#contested.has(report)) continue;
      this.#contested.add(report);
      const message = `NetBox has a record of ${address} that is not this cluster's: ${JSON.stringify(by.slice(0, 200))}. The Service keeps the address`;
      log.warn("an address in use is somebody else's in NetBox", { event: "recordedElsewhere", service, ip: address, by });
      events.record(serviceReference(found), "Warning", "recordedElsewhere", message);
    }
    if (this.#contested.size > maxReported) this.#contested.clear();
  }

  /** The pool of this name has other addresses, or is in another NetBox: nothing new is given of it before that is read. */
  #tellUnread(pool: string): void {
    const told = this.#told.get(pool);
    if (told === undefined) return;
    this.#told.set(pool, { ...told, isRead: false });
    this.#options.runner.dispatch({ type: "ipam", ...told, granted: new Map(), foreign: new Map(), isRead: false });
  }

  /** Has the core know what NetBox says now of these pools, and of no others. */
  async #tell(): Promise<void> {
    this.#hasNews = true;
    if (this.#isTelling) return;
    this.#isTelling = true;
    while (this.#hasNews) {
      this.#hasNews = false;
      await inPortions(this.#options.portions, this.#telling());
    }
    this.#isTelling = false;
  }

  *#telling(): Generator<undefined, void> {
    const views = new Map(this.#kept.map(({ pool: { name }, view }) => [name, viewOf(name, view)]));
    for (const pool of new Set([...this.#told.keys(), ...views.keys()])) {
      const nothing: IpamPool = {
        pool,
        granted: new Map(),
        foreign: new Map(),
        exhausted: new Set(),
        problem: undefined,
        isRead: false,
      };
      for (const change of ipamChanges(this.#told.get(pool) ?? nothing, views.get(pool) ?? nothing)) {
        if (change !== undefined) this.#options.runner.dispatch({ type: "ipam", ...change });
        yield;
      }
      this.#told.set(pool, views.get(pool) ?? nothing);
      if (!views.has(pool)) this.#told.delete(pool);
    }
  }
}

function viewOf(pool: string, { granted, foreign, exhausted, problem, isKnown }: NetboxView): IpamPool {
  return { pool, granted, foreign, exhausted, problem, isRead: isKnown || problem !== undefined };
}

const withoutSlash = (url: string) => url.replace(/\/+$/, "");

const maxReported = 10_000;
const servicesAtOnce = 500;

function isSame(one: Pool, other: Pool): boolean {
  return one.name === other.name && one.ranges.join() === other.ranges.join() && isDeepStrictEqual(one.netbox, other.netbox);
}
