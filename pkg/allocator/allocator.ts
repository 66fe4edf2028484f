import { atOnce } from "#pkg/clock";
import type { Pool, Quota } from "#pkg/config";
import { type Address, families, parseAddress } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";
import { chancesOf } from "./chances.ts";
import { type Labels, type NamespaceLabels, OpenScopes } from "./fences.ts";
import type { Holder } from "./holders.ts";
import { Ipam, type IpamPool } from "./ipam.ts";
import { Layout } from "./layout.ts";
import { type Holding, Occupancy, type Terms, termsOf } from "./occupancy.ts";
import { Quotas } from "./quotas.ts";
import { type Rules, Search } from "./search.ts";
import { type Choice, hasFamily, place } from "./spots.ts";
import type { Allocation, PoolUsage, QuotaUsage, Refusal, Settlement, Stranded } from "./types.ts";

const holdingsAtOnce = 200;

/** All that the decisions of an `Allocator` depend on. */
export interface SavedAllocator {
  readonly namespaces: ReadonlyMap<string, Labels>;
  readonly pools: readonly Pool[];
  readonly quotas: readonly Quota[];
  readonly occupants: ReadonlyMap<string, string>;
  readonly ipam: readonly IpamPool[];
  /** As they came: who shares an address is asked in that order. */
  readonly holdings: readonly Pick<Holding, "terms" | "allocation">[];
  readonly notAllowed: ReadonlyMap<string, readonly string[]>;
}

/** What is known of who else uses addresses of pools; it stays when the pools become others. */
type Elsewhere = Pick<Rules, "occupants" | "ipam">;
const nothingElsewhere: Elsewhere = { occupants: new Map(), ipam: new Ipam([]) };

/**
 * Knows which Service holds which address, and decides who gets which. The same calls in the same order give the same answers.
 *
 * After a start, `restore` what every Service has on record, all of them, before the first `settle`: an address on record must not
 * go to a Service that merely came first.
 */
export class Allocator {
  readonly #namespaces = new Map<string, Labels>(); // namespace -> its labels
  #labelings = 0; // How often any of them has changed.
  #isUncounted = false; // Quotas are to be counted before they are asked.
  #rules: Rules = this.#rulesOf(Layout.of([]), [], nothingElsewhere);
  #holdings = new Map<string, Holding>(); // service -> what it holds
  readonly #notAllowed = new Map<string, readonly string[]>(); // service -> the pool of each address that it would not be given today
  readonly #notAllowedIn = new Map<string, number>(); // pool -> addresses of it among them

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
    for (const [service, { terms, allocation }] of this.#holdings) {
      if (++looked % holdingsAtOnce === 0) yield;
      const { spots, refused } = place(occupancy.layout, allocation.addresses, terms.mayHoldSeveral === true);
      for (const { address, refusal } of refused) stranded.push({ service, address, refusal });
      if (stranded.length > 0) continue;
      const holding = holdingOf(terms, spots);
      put(rules, holding);
      holdings.set(service, holding);
    }
    if (stranded.length > 0) return stranded.sort((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0));
    const { occupants, ipam } = this.#rules; // As they are by now.
    this.#rules = { ...rules, occupants, ipam };
    this.#holdings = holdings;
    this.#isUncounted = false;
    if (this.#labelings !== labelings) this.#uncount(); // Some were counted by labels that have changed since.
    this.#notAllowed.clear(); // Each Service is to be settled anew.
    this.#notAllowedIn.clear();
    for (const slot of this.#outOfUse()) occupancy.occupy(slot);
    return [];
  }

  save(): SavedAllocator {
    const { occupants, ipam, quotas } = this.#rules;
    return {
      namespaces: this.#namespaces,
      pools: this.#layout.pools,
      quotas: quotas.quotas,
      occupants,
      ipam: [...ipam.pools],
      holdings: [...this.#holdings.values()].map(({ terms, allocation }) => ({ terms, allocation })),
      notAllowed: this.#notAllowed,
    };
  }

  /** To be called before anything else. @throws {Error} for what no allocator had */
  restoreFrom({ namespaces, pools, quotas, occupants, ipam, holdings, notAllowed }: SavedAllocator): void {
    for (const [name, labels] of namespaces) this.#namespaces.set(name, labels);
    this.#rules = this.#rulesOf(Layout.of(pools), quotas, { occupants, ipam: new Ipam(ipam) });
    for (const { terms, allocation } of holdings) {
      const { spots } = place(this.#layout, allocation.addresses, terms.mayHoldSeveral === true);
      const holding = holdingOf(terms, spots);
      put(this.#rules, holding);
      this.#holdings.set(terms.service, holding);
    }
    for (const slot of this.#outOfUse()) this.#rules.occupancy.occupy(slot);
    for (const [service, those] of notAllowed) {
      this.#notAllowed.set(service, those);
      this.#countNotAllowed(those, 1);
    }
  }

  /** Forgets everything, as after a start. */
  clear(): void {
    this.#namespaces.clear();
    this.#isUncounted = false;
    this.#rules = this.#rulesOf(Layout.of([]), [], nothingElsewhere);
    this.#holdings = new Map();
    this.#notAllowed.clear();
    this.#notAllowedIn.clear();
  }

  /**
   * A namespace has these labels now, or is gone. Its Services are to be settled anew, and keep what they have.
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
    // What was given up meanwhile was taken from counts that had not begun.
    const quotas = this.#rules.quotas.anew();
    const held = this.#holdings
      .values()
      .map(({ terms: { service }, slots }): readonly [string, readonly bigint[]] => [service, slots]);
    quotas.countAll(held, occupancy);
    this.#rules = { ...this.#rules, quotas };
  }

  /**
   * Other hosts of the network have these addresses (address as text -> who, as text), and no others: no Service is given one, and who
   * holds one may not keep it, which the next `adopt` or `settle` sees to.
   */
  setOccupied(occupants: ReadonlyMap<string, string>): void {
    this.#setElsewhere({ occupants });
  }

  /** What IPAMs say of their pools, and of no others. It takes nothing away: Services keep what they have. */
  setIpam(pools: readonly IpamPool[]): void {
    this.#setElsewhere({ ipam: new Ipam(pools) });
  }

  #setElsewhere(changed: Partial<Elsewhere>): void {
    const { occupancy } = this.#rules;
    for (const slot of this.#outOfUse()) occupancy.vacate(slot);
    this.#rules = { ...this.#rules, ...changed };
    for (const slot of this.#outOfUse()) occupancy.occupy(slot);
  }

  /** The labels of namespaces, as far as they were told. */
  get namespaces(): ReadonlyMap<string, Labels> {
    return this.#namespaces;
  }

  /** The name of the pool that an address is in. */
  poolOf(address: Address): string | undefined {
    return this.#layout.locate(address)?.pool.name;
  }

  /** For whom an address is reserved, if it is: a Service, a namespace, or nobody. */
  reservedFor(address: Address): Holder | undefined {
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
   * not ask for several, shared by the rules. Fences, reservations and quotas take nothing away; the addresses and the pool asked for are left to `settle`, because an address
   * is not lost to a request that cannot be met. The Service then holds exactly the addresses taken, maybe none; `unmet` is about the first
   * one that was not.
   */
  restore(request: AddressRequest, recorded: readonly Address[]): Settlement {
    const { choice, refusal } = this.#search(request).allowed(recorded, false);
    return this.#install(request, choice, refusal);
  }

  /** The same of addresses that somebody wrote: those that the Service does not hold have to be such as it may be given. */
  adopt(request: AddressRequest, recorded: readonly Address[]): Settlement {
    const { choice, refusal } = this.#search(request).allowed(recorded, true);
    return this.#install(request, choice, refusal);
  }

  /**
   * Gives a Service what it asks for, or the next best. What it holds stays if it meets the request. Otherwise the requested
   * addresses, else the requested pools, else what is reserved for it, else the pools with auto-assign that it may have addresses of are
   * tried in order, and the old addresses go only if that succeeds. If it does not, the Service keeps what is still allowed in itself, and
   * loses the rest. `unmet` says what it did not get; also a requested pool that the requested addresses, which win, are not in.
   */
  settle(request: AddressRequest): Settlement {
    const search = this.#search(request);
    const own = search.allowed(this.held(request.service)?.addresses ?? [], false).choice;
    const found = search.find(own);
    const isRefused = "reason" in found;
    const choice = isRefused ? own : found;
    const notAllowed = choice === undefined ? [] : search.notAllowed(choice);
    const unmet = isRefused ? found : search.contradiction(found);
    return this.#install(request, choice, unmet, notAllowed);
  }

  /** @returns false if the Service held nothing */
  release(service: string): boolean {
    const holding = this.#holdings.get(service);
    if (holding === undefined) return false;
    const { occupancy, quotas } = this.#rules;
    quotas.count(service, holding.slots, occupancy, -1);
    occupancy.take(holding);
    this.#holdings.delete(service);
    this.#countNotAllowed(this.#notAllowed.get(service) ?? [], -1);
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
    const kept = { terms: holding.terms, allocation, slots: rest.map((index) => holding.slots[index] as bigint) };
    put(this.#rules, kept);
    this.#holdings.set(service, kept);
  }

  held(service: string): Allocation | undefined {
    return this.#holdings.get(service)?.allocation;
  }

  /**
   * Of Services with equal texts each is refused what it asks for if one is, for the same, as long as none of them holds anything. One that
   * does has a text of its own.
   */
  chancesOf(request: AddressRequest): string {
    return this.#holdings.has(request.service) ? `held by ${request.service}` : chancesOf(request, this.#rules);
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

  /** One entry per pool, in the file's order. */
  *usage(): Iterable<PoolUsage> {
    for (const pool of this.#layout.pools) yield this.#usageOf(pool);
  }

  usageOf(name: string): PoolUsage | undefined {
    const pool = this.#layout.pool(name);
    return pool && this.#usageOf(pool);
  }

  /** What is used of each quota, by whom anything is. */
  quotaUsage(): Iterable<QuotaUsage> {
    this.#count();
    return this.#rules.quotas.usage();
  }

  #usageOf(pool: Pool): PoolUsage {
    const { occupancy } = this.#rules;
    const reserved = this.#layout.reservedSize(pool);
    const total = Number(this.#layout.size(pool, "IPv4") + this.#layout.size(pool, "IPv6") + reserved);
    const full = families.filter((family) => hasFamily(pool, family) && !occupancy.hasFree(this.#layout.span(pool, family)));
    const notAllowed = this.#notAllowedIn.get(pool.name) ?? 0;
    return {
      pool: pool.name,
      total,
      reserved: Number(reserved),
      inUse: occupancy.inUse(pool.name),
      full,
      notAllowed,
      ipamProblem: this.#rules.ipam.problem(pool.name),
    };
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

  #install(
    request: AddressRequest,
    choice: Choice | undefined,
    unmet: Refusal | undefined,
    notAllowed: ReturnType<Search["notAllowed"]> = [],
  ): Settlement {
    this.release(request.service);
    if (choice === undefined) return { allocation: undefined, unmet, notAllowed: undefined };
    const holding = holdingOf(termsOf(request), choice);
    put(this.#rules, holding);
    this.#holdings.set(request.service, holding);
    const [first] = notAllowed;
    if (first !== undefined) {
      const pools = notAllowed.map(({ spot }) => spot.pool.name);
      this.#notAllowed.set(request.service, pools);
      this.#countNotAllowed(pools, 1);
    }
    return { allocation: holding.allocation, unmet, notAllowed: first?.refusal };
  }

  #countNotAllowed(pools: readonly string[], change: 1 | -1): void {
    for (const pool of pools) this.#notAllowedIn.set(pool, (this.#notAllowedIn.get(pool) ?? 0) + change);
  }

  /** Slots that are given to nobody, because others use the addresses. */
  *#outOfUse(): Iterable<bigint> {
    const { occupants, ipam } = this.#rules;
    yield* this.#slots(occupants.keys());
    yield* this.#slots(ipam.foreignAddresses());
  }

  *#slots(addresses: Iterable<string>): Iterable<bigint> {
    for (const text of addresses) {
      const address = parseAddress(text);
      const slot = address && this.#layout.locate(address)?.slot;
      if (slot !== undefined) yield slot;
    }
  }
}

function put({ occupancy, quotas }: Rules, holding: Holding): void {
  occupancy.put(holding);
  quotas.count(holding.terms.service, holding.slots, occupancy, 1);
}

function holdingOf(terms: Terms, choice: Choice): Holding {
  const addresses = choice.map(({ address }) => address);
  return { terms, allocation: { addresses, pools: poolNames(choice) }, slots: choice.map(({ slot }) => slot) };
}

const alike = new WeakMap<Pool, (readonly string[])[]>(); // pool -> by number of addresses: its name so often

/** Of addresses of one pool, as most Services have them, one list for all. */
function poolNames(choice: Choice): readonly string[] {
  const pool = choice[0]?.pool;
  if (pool === undefined || choice.some((spot) => spot.pool !== pool)) return choice.map((spot) => spot.pool.name);
  const known = alike.get(pool) ?? [];
  alike.set(pool, known);
  known[choice.length] ??= choice.map(() => pool.name);
  return known[choice.length] ?? [];
}
