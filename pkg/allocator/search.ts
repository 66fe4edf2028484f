import { type AsksFor, isIn, type Pool } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import { type AddressRequest, maxAddresses, namespaceOf } from "#pkg/service";
import { familyMismatch, noFamily } from "./families.ts";
import { fenceRefusal } from "./fences.ts";
import { Filling, type Rules } from "./filling.ts";
import { holdersOf, isFor, type ReservedFor } from "./holders.ts";
import { isChosenElsewhere } from "./ipam.ts";
import type { Layout, Scope } from "./layout.ts";
import type { Occupancy } from "./occupancy.ts";
import { type Choice, hasFamily, place, type Spot } from "./spots.ts";
import { asksOf, isRefusal, type Refusal } from "./types.ts";

/** The most existing pools that a refusal of an unknown pool names. */
const maxKnown = 20;

/** Finds what one Service may have. `held` are the slots that it is on: they cost nothing, and no rule for newcomers is about them. */
export class Search {
  readonly #rules: Rules;
  readonly #layout: Layout;
  readonly #occupancy: Occupancy;
  readonly #request: AddressRequest;
  readonly #held: readonly bigint[];
  readonly #filling: Filling;
  #left: Refusal | undefined;
  #lacking: Refusal | undefined;

  constructor(rules: Rules, request: AddressRequest, held: readonly bigint[]) {
    this.#rules = rules;
    this.#filling = new Filling(rules, request, held);
    this.#occupancy = rules.occupancy;
    this.#layout = rules.occupancy.layout;
    this.#request = request;
    this.#held = held;
  }

  /**
   * Finds addresses that meet the whole request.
   * @param own what the Service holds and may keep @param mayMove it may give that up for addresses of all its families
   */
  find(own: Choice | undefined, mayMove: boolean): Choice | Refusal {
    const { prefersDualStack, families, mayHoldSeveral, requestedAddresses } = this.#request;
    const whole = this.#findAll(own, mayMove && !(prefersDualStack && own !== undefined));
    if (!prefersDualStack || requestedAddresses.length > 0 || !isRefusal(whole) || asksOf(whole).length > 0) return whole;
    // With a list, more of one family is no reason to give up what it has of the other.
    const hasBoth = families.every((family) => own?.some(({ address }) => address.family === family) === true);
    return mayHoldSeveral && hasBoth ? whole : this.#findOneFamily(own, whole);
  }

  /** Why it has one family, if `find` has found addresses of one, and the Service prefers both. */
  get lacking(): Refusal | undefined {
    return this.#lacking;
  }

  #findAll(own: Choice | undefined, mayMove: boolean): Choice | Refusal {
    const found = this.#find(own, mayMove);
    return isRefusal(found) ? found : (this.#unread(found) ?? found);
  }

  /**
   * Addresses of one family: of one that it has, else of its first, else of the other one.
   * @param whole why it cannot have both
   */
  #findOneFamily(own: Choice | undefined, whole: Refusal): Choice | Refusal {
    const { families, service } = this.#request;
    const ownOf = (family: Family) => own?.filter(({ address }) => address.family === family) ?? [];
    const refusals: Refusal[] = [];
    for (const family of families.toSorted((a, b) => ownOf(b).length - ownOf(a).length)) {
      const request = { ...this.#request, families: [family], prefersDualStack: false };
      const kept = ownOf(family);
      const found = new Search(this.#rules, request, this.#held).find(kept.length > 0 ? kept : undefined, false);
      if (!isRefusal(found)) {
        const completed = this.#find(found, false);
        this.#lacking = isRefusal(completed) ? completed : undefined;
        return isRefusal(completed) ? found : completed;
      }
      if (asksOf(found).length > 0) return found;
      refusals.push(found);
    }
    return noFamily(refusals, namespaceOf(service)) ?? whole;
  }

  /** An IPAM may know of somebody else who uses these. */
  #unread(choice: Choice): Refusal | undefined {
    const { ipam } = this.#rules;
    const first = choice.find(({ pool, slot }) => ipam.isUnread(pool) && !this.#held.includes(slot));
    if (first === undefined) return undefined;
    const asks = choice.map(({ pool, address: { family } }) => ({ pool: pool.name, family }));
    return {
      reason: "awaitsIpam",
      pool: first.pool.name,
      family: first.address.family,
      granted: 0,
      exhausted: false,
      asks,
      problem: "it is being read",
    };
  }

  #find(own: Choice | undefined, mayMove: boolean): Choice | Refusal {
    const { service, families, requestedAddresses, requestedPool } = this.#request;
    if (families.length === 0) throw new RangeError(`Cannot settle the request of ${service}: it has no families`);
    if (this.#layout.pools.length === 0) return { reason: "noPools" };
    if (requestedAddresses.length > 0) return this.#requested();
    if (requestedPool === undefined) return own?.length === families.length ? own : this.#fromAnyPool(own, mayMove);
    const pools = this.#named(requestedPool);
    return isRefusal(pools) ? pools : this.#fromPools(pools, own);
  }

  /** The refusal of its own pool, if `find` has chosen addresses of another pool. */
  get left(): Refusal | undefined {
    return this.#left;
  }

  /**
   * The addresses among these that the Service may have, whatever it requests, and the first reason against the rest.
   * @param isGiven also applies the rules on giving to addresses that it does not hold
   */
  allowed(addresses: readonly Address[], isGiven: boolean): { choice: Choice | undefined; refusal: Refusal | undefined } {
    const { families, mayHoldSeveral } = this.#request;
    const asksFor: AsksFor = (address, pool) => this.#asksFor(address, pool.name);
    const best = families.map((family) => this.#bestOf(addresses.filter((address) => address.family === family)));
    const ofFamilies = addresses
      .filter((address) => families.includes(address.family) && (mayHoldSeveral || best.includes(address)))
      .slice(0, maxAddresses);
    const { spots: placed, refused } = place(this.#layout, ofFamilies, mayHoldSeveral, asksFor);
    const against: Refusal[] = [];
    const spots = placed.filter((spot) => {
      const isNew = isGiven && !this.#held.includes(spot.slot);
      const conflict = this.#occupied(spot.address) ?? this.#occupancy.conflict(this.#request, spot.slot);
      const refusal = (isNew ? this.#barred(spot) : undefined) ?? conflict;
      if (refusal !== undefined) against.push(refusal);
      return refusal === undefined;
    });
    const beyond = isGiven ? this.#filling.quota(spots) : undefined;
    const kept = beyond === undefined ? spots : spots.filter(({ slot }) => this.#held.includes(slot));
    const mismatch = addresses.length > 0 ? familyMismatch(this.#request, addresses) : undefined;
    return {
      choice: kept.length > 0 ? kept : undefined,
      refusal: mismatch ?? refused[0]?.refusal ?? against[0] ?? beyond,
    };
  }

  /** Among several addresses of a family the requested one, or the first. */
  #bestOf(addresses: readonly Address[]): Address | undefined {
    const asked = (address: Address) => this.#asksFor(address, this.#layout.locate(address)?.pool.name);
    return addresses.length < 2 ? addresses[0] : (addresses.find(asked) ?? addresses[0]);
  }

  #asksFor(address: Address, pool: string | undefined): boolean {
    const { requestedAddresses, requestedPool } = this.#request;
    if (requestedAddresses.length > 0) return requestedAddresses.some((one) => one.equals(address));
    return requestedPool !== undefined && requestedPool === pool;
  }

  /** Addresses of the choice that would not be given now, and why. */
  notAllowed(choice: Choice): readonly { readonly spot: Spot; readonly refusal: Refusal }[] {
    return choice.flatMap((spot) => {
      const refusal = this.#barred(spot);
      return refusal === undefined ? [] : [{ spot, refusal }];
    });
  }

  /** The refusal if the Service got addresses that are not in a pool that it requests besides. */
  contradiction(choice: Choice): Refusal | undefined {
    const { requestedPool } = this.#request;
    const pools = requestedPool === undefined ? undefined : this.#named(requestedPool);
    if (requestedPool === undefined || pools === undefined) return undefined;
    if (isRefusal(pools)) return pools;
    const other = choice.find(({ pool }) => !pools.includes(pool));
    return other && { reason: "wrongPool", address: other.address, pool: other.pool.name, wanted: requestedPool };
  }

  /** One of each family is in the order of its text, as the status has always had it; a longer list as it was asked for. */
  #requested(): Choice | Refusal {
    const { requestedAddresses } = this.#request;
    const isLong = new Set(requestedAddresses.map(({ family }) => family)).size < requestedAddresses.length;
    const { choice, refusal } = this.allowed(isLong ? requestedAddresses : requestedAddresses.toSorted(byText), true);
    if (refusal !== undefined) return refusal;
    if (choice === undefined)
      throw new Error(`Cannot choose ${requestedAddresses}: nothing is against them, and they are not chosen`);
    return choice;
  }

  /** The pools of the annotation, in its order; one that is named twice is there twice. Blanks count, but for those in a list. */
  #named(text: string): readonly Pool[] | Refusal {
    const whole = this.#layout.pool(text); // Its name may have commas.
    if (whole !== undefined) return [whole];
    const pools: Pool[] = [];
    for (const name of text.includes(",") ? text.split(",").map((part) => part.trim()) : [text]) {
      const pool = this.#layout.pool(name);
      if (pool === undefined) return this.#unknownPool(name);
      pools.push(pool);
    }
    return pools;
  }

  /** An address of each family of each of them. A pool without a family is left out where another one has it. */
  #fromPools(pools: readonly Pool[], own: Choice | undefined): Choice | Refusal {
    const [first, ...more] = pools;
    if (first !== undefined && more.length === 0) return this.#fromPool(first, own);
    const { families } = this.#request;
    const wants = pools.flatMap((pool) =>
      families.filter((family) => hasFamily(pool, family)).map((family) => ({ pool, family })),
    );
    const lacking = families.find((family) => !wants.some((want) => want.family === family));
    if (lacking !== undefined) return { reason: "poolLacksFamily", pool: first?.name ?? "", family: lacking };
    if (wants.length > maxAddresses) return { reason: "tooManyAddresses", addresses: wants.length, limit: maxAddresses };
    return this.#filling.fill(wants, own ?? []);
  }

  /**
   * The Service keeps its addresses while an IPAM is asked for the rest, and if no other pool has all. A Service that may not move hears of its
   * own pool alone, because no other pool helps it.
   */
  #fromAnyPool(own: Choice | undefined, mayMove: boolean): Choice | Refusal {
    const home = own?.[0]?.pool;
    if (home === undefined) return this.#elsewhere(own);
    const here = this.#unasked(home, own);
    if (!isRefusal(here) || !mayMove || asksOf(here).length > 0) return here;
    const elsewhere = this.#elsewhere(own);
    if (!isRefusal(elsewhere)) this.#left = here;
    return !isRefusal(elsewhere) || asksOf(elsewhere).length > 0 ? elsewhere : here;
  }

  #elsewhere(own: Choice | undefined): Choice | Refusal {
    return this.#granted(own) ?? this.#reserved(own) ?? this.#lowestInAnyScope() ?? this.#fromEach(own);
  }

  /** Addresses that an IPAM has chosen for the Service. */
  #granted(own: Choice | undefined): Choice | undefined {
    for (const name of this.#rules.ipam.poolsOf(this.#request.service)) {
      const pool = this.#layout.pool(name);
      const choice = pool?.autoAssign === true ? this.#fromPool(pool, own) : undefined;
      if (choice !== undefined && !isRefusal(choice)) return choice;
    }
    return undefined;
  }

  /** Addresses that are reserved for the Service come first, then those for its namespace. A pool with auto-assign adds the other family. */
  #reserved(own: Choice | undefined): Choice | undefined {
    if (!this.#layout.hasReserved) return undefined;
    for (const holder of holdersOf(this.#request.service))
      for (const pool of new Set(this.#layout.reserved(holder).map((span) => span.pool))) {
        const choice = this.#unasked(pool, own);
        if (!isRefusal(choice) && choice.some(({ address }) => this.#isReservedFor(holder, address))) return choice;
      }
    return undefined;
  }

  /** Asks each pool in the file's order, and refuses with all of their refusals. */
  #fromEach(own: Choice | undefined): Choice | Refusal {
    const namespace = namespaceOf(this.#request.service);
    const found = new Map<string, Refusal>(); // A quota that forbids many pools is named once.
    let others = 0;
    for (const pool of this.#layout.pools) {
      const answer = this.#unasked(pool, own);
      if (!isRefusal(answer)) return answer;
      if (answer.reason === "notForNamespace") others++;
      else found.set(answer.reason === "quotaExceeded" ? answer.quota : `pool ${pool.name}`, answer);
    }
    return { reason: "noPoolFits", pools: [...found.values()], namespace, others };
  }

  /** A pool without auto-assign gives unrequested only reserved addresses, and only if it has one of every family. */
  #unasked(pool: Pool, own: Choice | undefined): Choice | Refusal {
    if (pool.autoAssign) return this.#fromPool(pool, own);
    const isLacking = (family: Family) =>
      own?.some(({ pool: home, address }) => home === pool && address.family === family) !== true &&
      this.#filling.reserved(pool, family).length === 0;
    if (!this.#request.families.some(isLacking)) return this.#fromPool(pool, own, true);
    return fenceRefusal(this.#request, pool, this.#rules.namespaces) ?? { reason: "autoAssignOff", pool: pool.name };
  }

  #fromPool(pool: Pool, own: Choice | undefined, isReserved = false): Choice | Refusal {
    const wants = this.#request.families.map((family) => ({ pool, family, isReserved }));
    const choice = this.#filling.fill(wants, own ?? []);
    return isRefusal(choice) || choice.every((spot) => own?.includes(spot)) ? choice : this.#inListOrder(choice);
  }

  /** In the pool that is tried first, of all scopes that are open to it. */
  #lowestInAnyScope(): Choice | undefined {
    let best: InPool | undefined;
    for (const scope of this.#rules.open.of(this.#request)) {
      if (best !== undefined && this.#layout.isAfter(scope.first, best.pool)) break;
      const found = this.#lowestInScope(scope);
      if (found !== undefined && (best === undefined || this.#layout.isAfter(best.pool, found.pool))) best = found;
    }
    return best?.choice;
  }

  /** The lowest slot of each family in the first pool of the scope that has them all, and that quotas allow. */
  #lowestInScope(scope: Scope): InPool | undefined {
    for (let from: Pool | undefined = scope.first; from !== undefined; ) {
      const slots: bigint[] = [];
      for (const family of this.#request.families) {
        const slot = this.#occupancy.lowest(this.#request, this.#layout.scopeSpan(family, scope, from));
        if (slot === undefined) return undefined;
        slots.push(slot);
      }
      const pools = slots.map((slot) => this.#layout.at(slot).pool);
      const furthest: Pool = pools.reduce((a, b) => (this.#layout.isAfter(a, b) ? a : b));
      if (pools.every((pool) => pool === furthest)) {
        const choice = this.#inListOrder(slots.map((slot) => ({ slot, ...this.#layout.at(slot) })));
        const affordable = this.#filling.quota(choice) === undefined ? choice : this.#fromPool(furthest, undefined);
        if (!isRefusal(affordable)) return { pool: furthest, choice: affordable };
        from = this.#layout.next(scope, furthest);
      } else from = furthest; // A family has nothing in any pool before it.
    }
    return undefined;
  }

  /** In the order of the pool's list, as the status has always had it. */
  #inListOrder(spots: readonly Spot[]): Choice {
    const entry = ({ slot }: Spot) => this.#layout.at(slot).entry;
    return spots.toSorted((a, b) => entry(a) - entry(b)).map(({ pool, address, slot }) => ({ pool, address, slot }));
  }

  /** Why it would not be given this address, even if it were free. */
  #barred({ pool, address, slot }: Spot): Refusal | undefined {
    const shut = this.#filling.shut(pool);
    if (shut !== undefined) return shut;
    const reservedFor = pool.reservations.length === 0 ? undefined : this.#layout.locate(address)?.reservedFor;
    if (reservedFor !== undefined && !isFor(reservedFor, this.#request.service))
      return { reason: "reserved", address, pool: pool.name };
    const recorded = this.#ipamRefusal(pool, address, slot);
    if (recorded !== undefined) return recorded;
    if (this.#request.sharingKey === "") return undefined; // The terms of sharing refuse it.
    return this.#occupancy.newcomerRefusal(this.#request, slot);
  }

  /** The IPAM's refusal of the address. The rules here alone decide whether an address that is held already is shared. */
  #ipamRefusal(pool: Pool, address: Address, slot: bigint): Refusal | undefined {
    if (pool.netbox === undefined || this.#occupancy.isHeld(slot)) return undefined;
    const by = this.#rules.ipam.foreign(pool.name, address);
    if (by !== undefined) return { reason: "recordedElsewhere", address, pool: pool.name, by };
    const isGiven = !isChosenElsewhere(pool) || this.#rules.ipam.isGranted(pool.name, address, this.#request.service);
    return isGiven ? undefined : { reason: "notGranted", address, pool: pool.name };
  }

  #isReservedFor(holder: ReservedFor, address: Address): boolean {
    const reservedFor = this.#layout.locate(address)?.reservedFor;
    return reservedFor?.type === holder.type && isFor(reservedFor, this.#request.service);
  }

  #occupied(address: Address): Refusal | undefined {
    const by = this.#rules.occupants.get(address.toString());
    return by === undefined ? undefined : { reason: "occupied", address, by };
  }

  #unknownPool(pool: string): Refusal {
    const namespace = namespaceOf(this.#request.service);
    const known: string[] = [];
    let more = 0;
    for (const one of this.#layout.pools) {
      if (!isIn(one.fence, namespace, this.#rules.namespaces)) continue;
      if (known.length < maxKnown) known.push(one.name);
      else more++;
    }
    return { reason: "unknownPool", pool, known, more };
  }
}

interface InPool {
  readonly pool: Pool;
  readonly choice: Choice;
}

/** Sorts like v0.12.1: by code unit, so 10.0.0.9 comes after 10.0.0.10. */
function byText(a: Address, b: Address): number {
  const [left, right] = [a.toString(), b.toString()];
  return left < right ? -1 : left > right ? 1 : 0;
}
