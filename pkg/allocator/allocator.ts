import { atOnce } from "#pkg/clock";
import type { NamespaceLabels, Pool, Quota } from "#pkg/config";
import type { Address } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";
import { chancesOf } from "./chances.ts";
import { type Elsewhere, outOfUse, slotsOf, usersChanged } from "./elsewhere.ts";
import { type Labels, OpenScopes } from "./fences.ts";
import type { Rules } from "./filling.ts";
import type { ReservedFor } from "./holders.ts";
import { holdingOf, put, wishesOf } from "./holding.ts";
import { Ipam, type IpamChange, type IpamPool } from "./ipam.ts";
import { Layout } from "./layout.ts";
import { NotAllowed } from "./not-allowed.ts";
import { type Holding, Occupancy, termsOf } from "./occupancy.ts";
import { Quotas } from "./quotas.ts";
import { Search } from "./search.ts";
import { type Choice, place } from "./spots.ts";
import {
  type Allocation,
  type Ask,
  asksOf,
  isRefusal,
  type PoolUsage,
  type QuotaUsage,
  type Settlement,
  type Stranded,
} from "./types.ts";
import { poolUsage } from "./usage.ts";

const holdingsAtOnce = 200;

/** Everything that the decisions of an `Allocator` depend on. */
export interface SavedAllocator {
  readonly namespaces: ReadonlyMap<string, Labels>;
  readonly pools: readonly Pool[];
  readonly quotas: readonly Quota[];
  readonly occupants: ReadonlyMap<string, string>;
  readonly ipam: Pick<Ipam, "pools" | "isAwaited">;
  /** In order of arrival, in which Services that share an address are asked. */
  readonly holdings: readonly Omit<Holding, "slots">[];
  readonly asked: ReadonlyMap<string, readonly Ask[]>;
  readonly notAllowed: ReadonlyMap<string, readonly string[]>;
}

/**
 * Knows which Service holds which address, and assigns addresses. The same calls in the same order give the same answers.
 *
 * After a start, `restore` what every Service has on record, all of them, before the first `settle`: an address on record must not
 * go to a Service that merely came first.
 */
export class Allocator {
  readonly #namespaces = new Map<string, Labels>(); // namespace -> its labels
  #labelings = 0; // How often any of them has changed.
  #isUncounted = false; // Quotas are to be counted before they are asked.
  #rules: Rules;
  #holdings = new Map<string, Holding>(); // service -> what it holds
  readonly #asked = new Map<string, readonly Ask[]>(); // service -> what it waits for from IPAMs
  readonly #notAllowed = new NotAllowed();

  /** @param isIpamAwaited nothing new is given of a pool whose IPAM may know of others there, and is to be told by `changeIpam` */
  constructor(isIpamAwaited = false) {
    this.#rules = this.#rulesOf(Layout.of([]), [], { occupants: new Map(), ipam: new Ipam([], isIpamAwaited) });
  }

  /**
   * Puts these pools and quotas in place of the present ones. If an address in use would be in no pool, or the addresses of a Service that
   * does not ask for several in more than one, nothing changes and every such address is returned, by Service. Takes time for the pools and all holdings.
   */
  setPools(pools: readonly Pool[], quotas: readonly Quota[] = []): Stranded[] {
    return atOnce(this.replacePools(pools, quotas));
  }

  /** The same in steps, between which no Service may get, keep or lose anything. Nothing changes before the last one. */
  *replacePools(pools: readonly Pool[], quotas: readonly Quota[]): Generator<undefined, Stranded[]> {
    let looked = 0;
    const layout = yield* Layout.inSteps(pools);
    const rules = this.#rulesOf(layout, quotas, this.#rules);
    const labelings = this.#labelings;
    const { occupancy } = rules;
    const holdings = new Map<string, Holding>();
    const stranded: Stranded[] = [];
    for (const [service, { terms, allocation, settledFor }] of this.#holdings) {
      if (++looked % holdingsAtOnce === 0) yield;
      const { spots, refused } = place(occupancy.layout, allocation.addresses, terms.mayHoldSeveral === true);
      for (const { address, refusal } of refused) stranded.push({ service, address, refusal });
      if (stranded.length > 0) continue;
      const holding = holdingOf(terms, spots, settledFor);
      put(rules, holding);
      holdings.set(service, holding);
    }
    if (stranded.length > 0) return stranded.sort((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0));
    const { occupants, ipam } = this.#rules; // The present ones.
    this.#rules = { ...rules, occupants, ipam };
    this.#holdings = holdings;
    this.#isUncounted = false;
    if (this.#labelings !== labelings) this.#uncount(); // Some were counted by labels that have changed since.
    this.#asked.clear(); // Each Service is to be settled again.
    this.#notAllowed.clear();
    for (const slot of slotsOf(outOfUse(this.#rules), layout)) occupancy.occupy(slot);
    return [];
  }

  save(): SavedAllocator {
    const { occupants, ipam, quotas } = this.#rules;
    return {
      namespaces: this.#namespaces,
      pools: this.#layout.pools,
      quotas: quotas.quotas,
      occupants,
      ipam: { pools: [...ipam.pools], isAwaited: ipam.isAwaited },
      holdings: [...this.#holdings.values()].map(({ slots: _, ...holding }) => holding),
      asked: this.#asked,
      notAllowed: this.#notAllowed.byService,
    };
  }

  /** @throws {Error} for what no allocator had */
  static restore({ namespaces, pools, quotas, occupants, ipam, holdings, asked, notAllowed }: SavedAllocator): Allocator {
    const restored = new Allocator(ipam.isAwaited);
    for (const [name, labels] of namespaces) restored.#namespaces.set(name, labels);
    restored.#rules = restored.#rulesOf(Layout.of(pools), quotas, { occupants, ipam: new Ipam(ipam.pools, ipam.isAwaited) });
    for (const { terms, allocation, settledFor } of holdings) {
      const { spots } = place(restored.#layout, allocation.addresses, terms.mayHoldSeveral === true);
      const holding = holdingOf(terms, spots, settledFor);
      put(restored.#rules, holding);
      restored.#holdings.set(terms.service, holding);
    }
    for (const [service, asks] of asked) restored.#ask(service, asks);
    for (const slot of slotsOf(outOfUse(restored.#rules), restored.#layout)) restored.#rules.occupancy.occupy(slot);
    for (const [service, those] of notAllowed) restored.#notAllowed.set(service, those);
    return restored;
  }

  /**
   * A namespace has these labels now, or is gone. Its Services have to be settled again, and keep what they have.
   * @returns whether it is counted by other quotas than before
   */
  setNamespace(name: string, labels: Labels | undefined): boolean {
    const before = this.quotasOf(name).join();
    if (labels === undefined) this.#namespaces.delete(name);
    else this.#namespaces.set(name, labels);
    this.#labelings++;
    this.#rules.open.forget();
    if (this.#rules.quotas.anew().countersOf(name).join() === before) return false;
    this.#uncount();
    return true;
  }

  /** All namespaces may be labeled at once, and to count takes time for all holdings: that is left until quotas are asked. */
  #uncount(): void {
    this.#rules = { ...this.#rules, quotas: this.#rules.quotas.anew() };
    this.#isUncounted = true;
  }

  #count(): void {
    if (!this.#isUncounted) return;
    this.#isUncounted = false;
    const { occupancy } = this.#rules;
    // Addresses given up meanwhile were taken from counts that had not begun.
    const quotas = this.#rules.quotas.anew();
    const held = this.#holdings
      .values()
      .map(({ terms: { service }, slots }): readonly [string, readonly bigint[]] => [service, slots]);
    quotas.countAll(held, occupancy);
    this.#rules = { ...this.#rules, quotas };
    for (const [service, asks] of this.#asked) this.#ask(service, asks);
  }

  /** The Service waits for these from IPAMs, and for nothing else. */
  #ask(service: string, asks: readonly Ask[]): void {
    if (asks.length > 0) this.#asked.set(service, asks);
    else if (!this.#asked.delete(service)) return;
    const { quotas, occupancy } = this.#rules;
    quotas.setAsked(service, asks, this.#holdings.get(service)?.slots ?? [], occupancy);
  }

  /**
   * Other hosts of the network have these addresses and no others (address as text -> who, as text). No Service is given one, and a Service
   * that holds one may not keep it, which the next `adopt` or `settle` sees to.
   */
  setOccupied(occupants: ReadonlyMap<string, string>): void {
    const unused = [...this.#rules.occupants.keys()].filter((text) => !occupants.has(text));
    this.#rules = { ...this.#rules, occupants };
    usersChanged(this.#rules, occupants.keys(), unused);
  }

  /** An IPAM says something else of its pool. Services keep their addresses. @returns Services that asked for something and are answered */
  changeIpam(change: IpamChange): string[] {
    const answered = this.#rules.ipam.change(change);
    const { yes = [], no = [] } = Object.groupBy(change.foreign.keys(), (text) => (change.foreign.get(text) ? "yes" : "no"));
    usersChanged(this.#rules, yes, no);
    const isAnswered = ({ pool, family }: Ask) => pool === change.pool && answered.includes(family);
    return [...(answered.length > 0 ? this.#asked : [])].flatMap(([service, asks]) => (asks.some(isAnswered) ? service : []));
  }

  /** The last view of the IPAM that keeps the pool. */
  ipamOf(pool: string): IpamPool | undefined {
    return this.#rules.ipam.of(pool);
  }

  /** The labels of namespaces, as far as they were told. */
  get namespaces(): ReadonlyMap<string, Labels> {
    return this.#namespaces;
  }

  /** The name of the pool that an address is in. */
  poolOf(address: Address): string | undefined {
    return this.#layout.locate(address)?.pool.name;
  }

  /** The Service or namespace that an address is reserved for, or nobody; undefined without a reservation. */
  reservedFor(address: Address): ReservedFor | undefined {
    return this.#layout.locate(address)?.reservedFor;
  }

  /** Whether anything is reserved for somebody. */
  get hasReserved(): boolean {
    return this.#layout.hasReserved;
  }

  /** By which of its quotas a namespace is counted, as `counterText` names them. */
  quotasOf(namespace: string): readonly string[] {
    return this.#rules.quotas.countersOf(namespace);
  }

  /**
   * After a start, takes those of the addresses on record that are still allowed: of the right family, in a pool, in one pool where it does
   * not ask for several, shared by the rules. Fences, reservations and quotas take nothing away; the addresses and the pool asked for are left
   * to `settle`, because an address is not lost to a request that cannot be met. The Service then holds exactly the addresses taken, maybe
   * none; `unmet` is about the first one that was not.
   */
  restore(request: AddressRequest, recorded: readonly Address[]): Settlement {
    return this.#take(request, recorded, false);
  }

  /** The same of addresses that somebody wrote: those that the Service does not hold have to be such as it may be given. */
  adopt(request: AddressRequest, recorded: readonly Address[]): Settlement {
    return this.#take(request, recorded, true);
  }

  /**
   * Gives a Service what it asks for, or the next best. The Service keeps its addresses if they meet the request. Otherwise the allocator
   * tries the requested addresses, else the requested pools, else the Service's reservations, else the pools with auto-assign that are open
   * to it, in order. The old addresses go only if that succeeds. If it does not succeed, the Service keeps addresses that are still allowed
   * in themselves, and loses the rest. A Service without a particular request leaves its pool only when it requests something else than
   * before. `unmet` says what it did not get; also a requested pool that lacks the requested addresses, which win. A Service that prefers two
   * families gets one where it cannot have both, and never changes its pool for the second.
   */
  settle(request: AddressRequest): Settlement {
    const { service } = request;
    const wishes = wishesOf(request);
    this.#ask(service, []);
    const search = this.#search(request);
    const before = this.#holdings.get(service);
    const own = search.allowed(before?.allocation.addresses ?? [], false).choice;
    const found = search.find(own, before !== undefined && before.settledFor !== wishes);
    const [choice, unmet] = isRefusal(found) ? [own, found] : [found, search.contradiction(found)];
    const missing = unmet ?? search.lacking;
    const asks = missing === undefined ? [] : asksOf(missing);
    const settledFor = asks.length === 0 || before === undefined ? wishes : before.settledFor;
    this.#install(request, choice, settledFor);
    this.#ask(service, asks);
    const notAllowed = choice === undefined ? [] : search.notAllowed(choice);
    const among = notAllowed.map(({ spot }) => spot.pool.name);
    if (among.length > 0) this.#notAllowed.set(service, among);
    return {
      allocation: this.held(service),
      unmet,
      lacking: search.lacking,
      notAllowed: notAllowed[0]?.refusal,
      left: search.left,
    };
  }

  /** @returns false if the Service held nothing */
  release(service: string): boolean {
    this.#ask(service, []);
    const holding = this.#holdings.get(service);
    if (holding === undefined) return false;
    const { occupancy, quotas } = this.#rules;
    quotas.count(service, holding.slots, occupancy, -1);
    occupancy.take(holding);
    this.#holdings.delete(service);
    this.#notAllowed.delete(service);
    return true;
  }

  /** Takes one address from a Service, which keeps its others. */
  giveUp(service: string, address: Address): void {
    const holding = this.#holdings.get(service);
    if (holding === undefined) return;
    const { addresses, pools } = holding.allocation;
    const rest = addresses.flatMap((other, index) => (other.equals(address) ? [] : [index]));
    this.release(service);
    if (rest.length === 0) return;
    const allocation = {
      addresses: rest.map((index) => addresses[index] as Address),
      pools: rest.map((index) => pools[index] as string),
    };
    const kept = { ...holding, allocation, slots: rest.map((index) => holding.slots[index] as bigint) };
    put(this.#rules, kept);
    this.#holdings.set(service, kept);
  }

  /** IPAMs are asked for these on behalf of the Service. */
  asked(service: string): readonly Ask[] {
    return this.#asked.get(service) ?? [];
  }

  held(service: string): Allocation | undefined {
    return this.#holdings.get(service)?.allocation;
  }

  /**
   * Services with equal texts have equal chances: if one of them is refused what it asks for, so is each, for the same reason, as long as
   * none of them holds an address, or has one chosen by an IPAM. A Service that does has a text of its own.
   */
  chancesOf(request: AddressRequest): string {
    return this.#holdings.has(request.service) ? `of ${request.service}` : chancesOf(request, this.#rules);
  }

  /** Whether it was last looked at as one that asks for several addresses or pools. */
  mayHoldSeveral(service: string): boolean {
    return this.#holdings.get(service)?.terms.mayHoldSeveral === true;
  }

  /** Whether any Service is on an address. */
  isHeld(address: Address): boolean {
    const slot = this.#layout.locate(address)?.slot;
    return slot !== undefined && this.#rules.occupancy.isHeld(slot);
  }

  /** The Services on an address. */
  holders(address: Address): readonly string[] {
    const slot = this.#layout.locate(address)?.slot;
    return slot === undefined ? [] : this.#rules.occupancy.holders(slot).map((holding) => holding.terms.service);
  }

  /** One entry per pool, in the file's order. The pools may be replaced between two entries: a pool that is gone is left out. */
  *usage(): Iterable<PoolUsage> {
    for (const { name } of this.#layout.pools) {
      const usage = this.usageOf(name);
      if (usage !== undefined) yield usage;
    }
  }

  usageOf(name: string): PoolUsage | undefined {
    const pool = this.#layout.pool(name);
    if (pool === undefined) return undefined;
    const problem = this.#rules.ipam.problem(pool.name);
    return { ...poolUsage(pool, this.#rules), notAllowed: this.#notAllowed.countIn(pool.name), ipamProblem: problem };
  }

  /** Usage of each quota, by each namespace that uses it. */
  quotaUsage(): Iterable<QuotaUsage> {
    this.#count();
    return this.#rules.quotas.usage();
  }

  get #layout(): Layout {
    return this.#rules.occupancy.layout;
  }

  #rulesOf(layout: Layout, quotas: readonly Quota[], { occupants, ipam }: Elsewhere): Rules {
    const namespaces: NamespaceLabels = this.#namespaces;
    const open = new OpenScopes(layout.scopes, namespaces);
    const occupancy = new Occupancy(layout);
    return { occupancy, open, quotas: new Quotas(quotas, namespaces), namespaces, occupants, ipam };
  }

  #search(request: AddressRequest): Search {
    this.#count();
    return new Search(this.#rules, request, this.#holdings.get(request.service)?.slots ?? []);
  }

  /** Nobody can tell whether the request of a Service that held nothing has changed: it counts as unchanged. */
  #take(request: AddressRequest, recorded: readonly Address[], isGiven: boolean): Settlement {
    const { choice, refusal } = this.#search(request).allowed(recorded, isGiven);
    this.#install(request, choice, this.#holdings.get(request.service)?.settledFor ?? wishesOf(request));
    return { allocation: this.held(request.service), unmet: refusal, lacking: undefined, notAllowed: undefined, left: undefined };
  }

  #install(request: AddressRequest, choice: Choice | undefined, settledFor: string): void {
    this.release(request.service);
    if (choice === undefined) return;
    const holding = holdingOf(termsOf(request), choice, settledFor);
    put(this.#rules, holding);
    this.#holdings.set(request.service, holding);
  }
}
