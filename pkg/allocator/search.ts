import type { AsksFor, Pool } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import { type AddressRequest, maxAddresses, namespaceOf } from "#pkg/service";
import { fenceRefusal, isIn, type NamespaceLabels, type OpenScopes } from "./fences.ts";
import { holdersOf, isFor } from "./holders.ts";
import { type Ipam, isChosenElsewhere } from "./ipam.ts";
import type { Layout, Scope, Span } from "./layout.ts";
import type { Occupancy } from "./occupancy.ts";
import type { Quotas } from "./quotas.ts";
import { type Choice, hasFamily, isAmong, place, type Spot } from "./spots.ts";
import type { Refusal } from "./types.ts";

/** Of the pools that there are, so many are named where one is asked for that there is not. */
const maxKnown = 20;

/** What decides who may have which address. */
export interface Rules {
  readonly occupancy: Occupancy;
  readonly open: OpenScopes;
  readonly quotas: Quotas;
  readonly namespaces: NamespaceLabels;
  /** Address as text -> the host of the network that has it. */
  readonly occupants: ReadonlyMap<string, string>;
  readonly ipam: Ipam;
}

/** Finds what one Service may have. `held` are the slots that it is on: they cost nothing, and no rule for newcomers is about them. */
export class Search {
  readonly #rules: Rules;
  readonly #layout: Layout;
  readonly #occupancy: Occupancy;
  readonly #request: AddressRequest;
  readonly #held: readonly bigint[];

  constructor(rules: Rules, request: AddressRequest, held: readonly bigint[]) {
    this.#rules = rules;
    this.#occupancy = rules.occupancy;
    this.#layout = rules.occupancy.layout;
    this.#request = request;
    this.#held = held;
  }

  /** What would meet the whole request. `own` is what the Service holds and may keep. */
  find(own: Choice | undefined): Choice | Refusal {
    const { service, families, requestedAddresses, requestedPool } = this.#request;
    if (families.length === 0) throw new RangeError(`Cannot settle the request of ${service}: it has no families`);
    if (this.#layout.pools.length === 0) return { reason: "noPools" };
    if (requestedAddresses.length > 0) return this.#requested();
    if (requestedPool === undefined) return own?.length === families.length ? own : this.#fromAnyPool(own);
    const pools = this.#named(requestedPool);
    return "reason" in pools ? pools : this.#fromPools(pools, own);
  }

  /**
   * Those of the addresses that the Service may have, whatever it requests, and the first reason against the rest.
   * @param isGiven also by the rules on what is given, where it does not hold them
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
    const beyond = isGiven ? this.#quota(spots) : undefined;
    const kept = beyond === undefined ? spots : spots.filter(({ slot }) => this.#held.includes(slot));
    const mismatch = addresses.length > 0 ? familyMismatch(this.#request, addresses) : undefined;
    return {
      choice: kept.length > 0 ? kept : undefined,
      refusal: mismatch ?? refused[0]?.refusal ?? against[0] ?? beyond,
    };
  }

  /** Of several addresses of a family the one that it asks for, or the first. */
  #bestOf(addresses: readonly Address[]): Address | undefined {
    const asked = (address: Address) => this.#asksFor(address, this.#layout.locate(address)?.pool.name);
    return addresses.length < 2 ? addresses[0] : (addresses.find(asked) ?? addresses[0]);
  }

  #asksFor(address: Address, pool: string | undefined): boolean {
    const { requestedAddresses, requestedPool } = this.#request;
    if (requestedAddresses.length > 0) return requestedAddresses.some((one) => one.equals(address));
    return requestedPool !== undefined && requestedPool === pool;
  }

  /** What of it would not be given now, and why. */
  notAllowed(choice: Choice): readonly { readonly spot: Spot; readonly refusal: Refusal }[] {
    return choice.flatMap((spot) => {
      const refusal = this.#barred(spot);
      return refusal === undefined ? [] : [{ spot, refusal }];
    });
  }

  /** What it was given is not in a pool that it asks for besides. */
  contradiction(choice: Choice): Refusal | undefined {
    const { requestedPool } = this.#request;
    const pools = requestedPool === undefined ? undefined : this.#named(requestedPool);
    if (requestedPool === undefined || pools === undefined) return undefined;
    if ("reason" in pools) return pools;
    const other = choice.find(({ pool }) => !pools.includes(pool));
    return other && { reason: "wrongPool", address: other.address, pool: other.pool.name, wanted: requestedPool };
  }

  /** One of each family is in the order of its text, as the status has always had it; a longer list as it was asked for. */
  #requested(): Choice | Refusal {
    const { requestedAddresses } = this.#request;
    const isLong = new Set(requestedAddresses.map(({ family }) => family)).size < requestedAddresses.length;
    const { choice, refusal } = this.allowed(isLong ? requestedAddresses : requestedAddresses.toSorted(byText), true);
    return refusal ?? (choice as Choice); // With nothing against any of them, all were chosen.
  }

  /** The pools of the annotation, in its order; one that is named twice is there twice. */
  #named(text: string): readonly Pool[] | Refusal {
    const whole = this.#layout.pool(text); // Its name may have commas.
    if (whole !== undefined) return [whole];
    const pools: Pool[] = [];
    for (const name of text.split(",").map((part) => part.trim())) {
      const pool = this.#layout.pool(name);
      if (pool === undefined) return this.#unknownPool(name);
      pools.push(pool);
    }
    return pools;
  }

  /** An address of each family of each of them. A pool without a family is left out where another one has it. */
  #fromPools(pools: readonly Pool[], own: Choice | undefined): Choice | Refusal {
    const [first, ...more] = pools;
    if (first === undefined || more.length === 0) return this.#fromPool(first as Pool, own);
    const { families } = this.#request;
    const wants = pools.flatMap((pool) =>
      families.filter((family) => hasFamily(pool, family)).map((family) => ({ pool, family })),
    );
    const lacking = families.find((family) => !wants.some((want) => want.family === family));
    if (lacking !== undefined) return { reason: "poolLacksFamily", pool: first.name, family: lacking };
    if (wants.length > maxAddresses) return { reason: "tooManyAddresses", addresses: wants.length, limit: maxAddresses };
    return this.#affordable(wants, own ?? [], (choice) => choice);
  }

  #fromAnyPool(own: Choice | undefined): Choice | Refusal {
    // A Service that changes its families, or may no longer share one of two addresses, keeps the other where it can.
    const [held] = own ?? [];
    if (held !== undefined && (held.pool.autoAssign || own?.some(({ address }) => this.#isReservedHere(address)))) {
      const choice = this.#fromPool(held.pool, own);
      if (!("reason" in choice)) return choice;
    }
    return this.#granted(own) ?? this.#reserved(own) ?? this.#lowestInAnyScope() ?? this.#noPoolFits(own);
  }

  /** What an IPAM has chosen for it. */
  #granted(own: Choice | undefined): Choice | undefined {
    if (own !== undefined) return undefined;
    for (const name of this.#rules.ipam.poolsOf(this.#request.service)) {
      const pool = this.#layout.pool(name);
      const choice = pool?.autoAssign && this.#fromPool(pool, undefined);
      if (choice && !("reason" in choice)) return choice;
    }
    return undefined;
  }

  /** What is reserved for it, else for its namespace; addresses of families without one come from the same pool. */
  #reserved(own: Choice | undefined): Choice | undefined {
    if (!this.#layout.hasReserved) return undefined;
    for (const holder of holdersOf(this.#request.service))
      for (const pool of new Set(this.#layout.reserved(holder).map((span) => span.pool))) {
        const choice = this.#fromPool(pool, own);
        if (!("reason" in choice) && choice.some(({ address }) => this.#isReservedHere(address))) return choice;
      }
    return undefined;
  }

  #noPoolFits(own: Choice | undefined): Refusal {
    const namespace = namespaceOf(this.#request.service);
    const found = new Map<string, Refusal>(); // What a quota forbids in many pools is said once.
    let others = 0;
    for (const pool of this.#layout.pools) {
      const fence = fenceRefusal(this.#request, pool, this.#rules.namespaces);
      const refusal: Refusal =
        fence ?? (pool.autoAssign ? (this.#fromPool(pool, own) as Refusal) : { reason: "autoAssignOff", pool: pool.name });
      if (refusal.reason === "notForNamespace") others++;
      else found.set(refusal.reason === "quotaExceeded" ? refusal.quota : `pool ${pool.name}`, refusal);
    }
    return { reason: "noPoolFits", pools: [...found.values()], namespace, others };
  }

  #fromPool(pool: Pool, own: Choice | undefined): Choice | Refusal {
    const wants = this.#request.families.map((family) => ({ pool, family }));
    return this.#affordable(wants, own ?? [], (choice) => this.#inListOrder(choice));
  }

  /**
   * All that is wanted, as far as the pools are open to it and quotas allow: the lowest of each that is free or that it may share, and where
   * quotas forbid those, what costs its namespace least. What it keeps of its own is never in the way.
   */
  #affordable(wants: readonly Want[], own: readonly Spot[], arrange: (choice: Choice) => Choice): Choice | Refusal {
    const kept = match(wants, own);
    if (kept.every((spot) => spot !== undefined)) return own.filter((spot) => kept.includes(spot)); // In the order that it has.
    for (const [index, { pool, family }] of wants.entries()) {
      if (kept[index] !== undefined) continue;
      const shut = this.#shut(pool);
      if (shut !== undefined) return shut;
      if (!hasFamily(pool, family)) return { reason: "poolLacksFamily", pool: pool.name, family };
    }
    const lowest = this.#take(wants, kept, (spots, want) => this.#lowestBut(spots, want));
    if ("reason" in lowest) return lowest;
    const beyond = this.#quota(lowest);
    if (beyond === undefined) return arrange(lowest);
    if (this.#request.sharingKey === "") return beyond;
    const cheapest = this.#take(wants, kept, (spots, want) => this.#cheapestBut(spots, want));
    return "reason" in cheapest ? beyond : arrange(cheapest);
  }

  /** All that is wanted, its own before what `choose` finds beside the others, or why not. */
  #take(
    wants: readonly Want[],
    kept: readonly (Spot | undefined)[],
    choose: (spots: readonly Spot[], want: Want) => bigint | undefined,
  ): Choice | Refusal {
    const spots: Spot[] = kept.filter((spot) => spot !== undefined);
    const found: Spot[] = [];
    for (const [index, want] of wants.entries()) {
      const slot = kept[index]?.slot ?? choose(spots, want);
      if (slot === undefined) return this.#shortage(want);
      const spot = { pool: want.pool, address: this.#layout.at(slot).address, slot };
      spots.push(spot);
      found.push(spot);
    }
    return found;
  }

  /** The lowest one that is not among these. */
  #lowestBut(spots: readonly Spot[], want: Want): bigint | undefined {
    if (isChosenElsewhere(want.pool)) return this.#chosen(spots, want);
    for (const span of this.#spans(want.pool, want.family))
      for (const slot of this.#ascending(span)) if (!isAmong(spots, slot)) return slot;
    return undefined;
  }

  /**
   * Of the addresses that it may share and that quotas allow beside these the lowest that costs nothing, because its quotas count it already,
   * else the lowest. A free one costs no less than any of them: the lowest of those only where it may share none.
   */
  #cheapestBut(spots: readonly Spot[], want: Want): bigint | undefined {
    const { quotas } = this.#rules;
    const isAllowed = (slot: bigint) => this.#quota([...spots, { ...this.#layout.at(slot), slot }]) === undefined;
    const costOf = quotas.costs(this.#request.service, want.pool.name, this.#occupancy);
    const seen = new Set<string>(); // What addresses add to quotas: of those that add the same one is asked about.
    let cheapest: bigint | undefined;
    for (const slot of this.#shareable(want)) {
      const cost = costOf(slot);
      if (seen.has(cost) || isAmong(spots, slot)) continue;
      if (cost === "") return isAllowed(slot) ? slot : undefined;
      seen.add(cost);
      if (cheapest === undefined && isAllowed(slot)) cheapest = slot;
    }
    const free = seen.size > 0 ? undefined : this.#lowestBut(spots, want);
    return cheapest ?? (free !== undefined && isAllowed(free) ? free : undefined);
  }

  /** Those that others hold and it may share, lowest first; what is reserved for it before what is for all. */
  *#shareable({ pool, family }: Want): Iterable<bigint> {
    if (this.#request.sharingKey === "") return;
    const spans = isChosenElsewhere(pool) ? [this.#layout.span(pool, family)] : this.#spans(pool, family);
    for (const span of spans) yield* this.#ascending(span, "shareable");
  }

  /** As `Occupancy.lowest` finds them. */
  *#ascending({ start, end }: Span, only?: "shareable"): Iterable<bigint> {
    for (let from = start; ; ) {
      const slot = this.#occupancy.lowest(this.#request, { start: from, end }, only);
      if (slot === undefined) return;
      yield slot;
      from = slot + 1n;
    }
  }

  /** What is reserved for it, then what is for all. */
  #spans(pool: Pool, family: Family): readonly Span[] {
    const all = this.#layout.span(pool, family);
    if (!this.#layout.hasReserved) return [all];
    const reserved = holdersOf(this.#request.service).flatMap((holder) => this.#layout.reserved(holder));
    return [...reserved.filter((span) => span.pool === pool && span.family === family), all];
  }

  /** One that others share, or the lowest free one of those that an IPAM has chosen for it. */
  #chosen(spots: readonly Spot[], want: Want): bigint | undefined {
    for (const slot of this.#shareable(want)) if (!isAmong(spots, slot)) return slot;
    const granted = this.#rules.ipam.grants(this.#request.service, want.pool.name, want.family);
    const slots = granted.flatMap(({ address }) => this.#layout.locate(address)?.slot ?? []);
    return slots.find((slot) => !isAmong(spots, slot) && this.#occupancy.conflict(this.#request, slot) === undefined);
  }

  #shortage({ pool, family }: Want): Refusal {
    const { ipam } = this.#rules;
    if (!isChosenElsewhere(pool))
      return { reason: "poolFull", pool: pool.name, family, total: Number(this.#layout.size(pool, family)) };
    const granted = ipam.grants(this.#request.service, pool.name, family).length;
    return { reason: "awaitsIpam", pool: pool.name, family, granted, exhausted: ipam.isExhausted(pool.name, family) };
  }

  /** In the pool that is tried first, of all scopes that are open to it. */
  #lowestInAnyScope(): Choice | undefined {
    let best: Choice | undefined;
    for (const scope of this.#rules.open.of(this.#request)) {
      if (best !== undefined && this.#layout.isAfter(scope.first, poolOf(best))) break;
      const found = this.#lowestInScope(scope);
      if (found !== undefined && (best === undefined || this.#layout.isAfter(poolOf(best), poolOf(found)))) best = found;
    }
    return best;
  }

  /** The lowest slot of each family in the first pool of the scope that has them all, and that quotas allow. */
  #lowestInScope(scope: Scope): Choice | undefined {
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
        const affordable = this.#quota(choice) === undefined ? choice : this.#fromPool(furthest, undefined);
        if (!("reason" in affordable)) return affordable;
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

  /** Why it gets nothing new of the pool, whatever is free there. */
  #shut(pool: Pool): Refusal | undefined {
    return (
      fenceRefusal(this.#request, pool, this.#rules.namespaces) ??
      (pool.closed ? { reason: "poolClosed", pool: pool.name } : undefined)
    );
  }

  /** Why it would not be given this address, whoever has it. */
  #barred({ pool, address, slot }: Spot): Refusal | undefined {
    const shut = this.#shut(pool);
    if (shut !== undefined) return shut;
    const reservedFor = pool.reservations.length === 0 ? undefined : this.#layout.locate(address)?.reservedFor;
    if (reservedFor !== undefined && !isFor(reservedFor, this.#request.service))
      return { reason: "reserved", address, pool: pool.name };
    const elsewhere = this.#elsewhere(pool, address, slot);
    if (elsewhere !== undefined) return elsewhere;
    return this.#occupancy.newcomerRefusal(this.#request, slot);
  }

  /** What the pool's IPAM says against it. One that is held already is shared, if at all, by the rules here. */
  #elsewhere(pool: Pool, address: Address, slot: bigint): Refusal | undefined {
    if (pool.netbox === undefined || this.#occupancy.isHeld(slot)) return undefined;
    const by = this.#rules.ipam.foreign(pool.name, address);
    if (by !== undefined) return { reason: "recordedElsewhere", address, pool: pool.name, by };
    const isGiven = !isChosenElsewhere(pool) || this.#rules.ipam.isGranted(address, this.#request.service);
    return isGiven ? undefined : { reason: "notGranted", address, pool: pool.name };
  }

  #quota(spots: readonly Spot[]): Refusal | undefined {
    const slots = spots.map(({ slot }) => slot);
    return this.#rules.quotas.refusal(this.#request.service, slots, this.#held, this.#occupancy);
  }

  #isReservedHere(address: Address): boolean {
    const reservedFor = this.#layout.locate(address)?.reservedFor;
    return reservedFor !== undefined && isFor(reservedFor, this.#request.service);
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

/** One address that is asked for. */
interface Want {
  readonly pool: Pool;
  readonly family: Family;
}

/** For each of them one of the spots, if there is one; each spot once. */
function match(wants: readonly Want[], spots: readonly Spot[]): (Spot | undefined)[] {
  const left = [...spots];
  return wants.map(({ pool, family }) => {
    const index = left.findIndex((spot) => spot.pool === pool && spot.address.family === family);
    return index < 0 ? undefined : left.splice(index, 1)[0];
  });
}

function poolOf([spot]: Choice): Pool {
  return (spot as Spot).pool;
}

function familyMismatch({ families, mayHoldSeveral }: AddressRequest, addresses: readonly Address[]): Refusal | undefined {
  const all = addresses.map(({ family }) => family);
  const found = mayHoldSeveral ? [...new Set(all)] : all;
  return found.toSorted().join() === families.toSorted().join()
    ? undefined
    : { reason: "familyMismatch", wanted: families, found };
}

/** As v0.12.1 sorts: by code unit, so 10.0.0.9 comes after 10.0.0.10. */
function byText(a: Address, b: Address): number {
  const [left, right] = [a.toString(), b.toString()];
  return left < right ? -1 : left > right ? 1 : 0;
}
