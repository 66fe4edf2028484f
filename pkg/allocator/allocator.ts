import { type Pool, placeTogether } from "#pkg/config";
import { type Address, type Family, families, parseAddress } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";
import { Layout } from "./layout.ts";
import { type Holding, Occupancy, type Terms, termsOf } from "./occupancy.ts";
import type { Allocation, PoolUsage, Refusal, Settlement, Stranded } from "./types.ts";

/** Addresses of one pool, never none. */
interface Choice {
  readonly pool: Pool;
  readonly spots: readonly Spot[];
}

interface Spot {
  readonly address: Address;
  readonly slot: bigint;
}

const holdingsAtOnce = 500;

/**
 * Knows which Service holds which address, and decides who gets which. The same calls in the same order give the same answers.
 *
 * After a start, `adopt` what every Service has on record, all of them, before the first `settle`: an address on record must not
 * go to a Service that merely came first.
 */
export class Allocator {
  #occupancy = new Occupancy(new Layout([]));
  #holdings = new Map<string, Holding>(); // service -> what it holds
  #occupants: ReadonlyMap<string, string> = new Map(); // address -> the host of the network that has it

  /**
   * Puts these pools in place of the present ones. If an address in use would be in no pool, or a Service's addresses in more
   * than one, nothing changes and every such address is returned, by Service. Takes time for the pools and all holdings.
   */
  setPools(pools: readonly Pool[]): Stranded[] {
    const steps = this.replacePools(pools);
    for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
  }

  /** The same in steps, between which no Service may get, keep or lose anything. Nothing changes before the last one. */
  *replacePools(pools: readonly Pool[]): Generator<undefined, Stranded[]> {
    let looked = 0;
    const occupancy = new Occupancy(new Layout(pools));
    const holdings = new Map<string, Holding>();
    const stranded: Stranded[] = [];
    for (const [service, { terms, allocation }] of this.#holdings) {
      if (++looked % holdingsAtOnce === 0) yield;
      const { choice, refused } = place(occupancy.layout, allocation.addresses);
      for (const { address, refusal } of refused) stranded.push({ service, address, refusal });
      if (choice === undefined || stranded.length > 0) continue;
      const holding = holdingOf(terms, choice);
      occupancy.put(holding);
      holdings.set(service, holding);
    }
    if (stranded.length > 0) return stranded.sort((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0));
    this.#occupancy = occupancy;
    this.#holdings = holdings;
    for (const slot of this.#slots(this.#occupants.keys())) occupancy.occupy(slot);
    return [];
  }

  /** Forgets everything, as after a start. */
  clear(): void {
    this.#occupancy = new Occupancy(new Layout([]));
    this.#holdings = new Map();
    this.#occupants = new Map();
  }

  /**
   * Other hosts of the network have these addresses (address as text -> who, as text), and no others: no Service is given one, and who
   * holds one may not keep it, which the next `adopt` or `settle` sees to.
   */
  setOccupied(occupants: ReadonlyMap<string, string>): void {
    for (const slot of this.#slots(this.#occupants.keys())) this.#occupancy.vacate(slot);
    this.#occupants = occupants;
    for (const slot of this.#slots(occupants.keys())) this.#occupancy.occupy(slot);
  }

  /** The name of the pool that an address is in. */
  poolOf(address: Address): string | undefined {
    return this.#occupancy.layout.locate(address)?.pool.name;
  }

  /**
   * Takes those of the addresses on record that are still allowed: of the right family, in a pool, in one pool, shared by the
   * rules. The addresses and the pool asked for are left to `settle`, because an address is not lost to a request that cannot be met. The
   * Service then holds exactly the addresses taken, maybe none; `unmet` is about the first one that was not.
   */
  adopt(request: AddressRequest, recorded: readonly Address[]): Settlement {
    const { choice, refusal } = this.#allowed(request, recorded);
    return this.#install(request, choice, refusal);
  }

  /**
   * Gives a Service what it asks for, or the next best. What it holds stays if it meets the request. Otherwise the requested
   * addresses, else the requested pool, else the pools with auto-assign in order are tried, and the old addresses go only if
   * that succeeds. If it does not, the Service keeps what is still allowed in itself, and loses the rest. `unmet` says what it
   * did not get; also a requested pool that the requested addresses, which win, are not in.
   */
  settle(request: AddressRequest): Settlement {
    const own = this.#allowed(request, this.held(request.service)?.addresses ?? []).choice;
    const found = this.#find(request, own);
    if ("reason" in found) return this.#install(request, own, found);
    return this.#install(request, found, this.#contradiction(request, found));
  }

  /** @returns false if the Service held nothing */
  release(service: string): boolean {
    const holding = this.#holdings.get(service);
    if (holding === undefined) return false;
    this.#occupancy.take(holding);
    this.#holdings.delete(service);
    return true;
  }

  held(service: string): Allocation | undefined {
    return this.#holdings.get(service)?.allocation;
  }

  /** Whether any Service is on an address. */
  isHeld(address: Address): boolean {
    const slot = this.#occupancy.layout.locate(address)?.slot;
    return slot !== undefined && this.#occupancy.isHeld(slot);
  }

  /** The Services on an address. */
  holders(address: Address): readonly string[] {
    const slot = this.#occupancy.layout.locate(address)?.slot;
    return slot === undefined ? [] : this.#occupancy.holders(slot).map((holding) => holding.terms.service);
  }

  /** One entry per pool, in the file's order. */
  *usage(): Iterable<PoolUsage> {
    for (const pool of this.#occupancy.layout.pools) yield this.#usageOf(pool);
  }

  usageOf(name: string): PoolUsage | undefined {
    const pool = this.#occupancy.layout.pool(name);
    return pool && this.#usageOf(pool);
  }

  #usageOf(pool: Pool): PoolUsage {
    const { layout } = this.#occupancy;
    const total = Number(layout.size(pool, "IPv4") + layout.size(pool, "IPv6"));
    const full = families.filter(
      (family) => pool.ranges.some((range) => range.family === family) && !this.#occupancy.hasFree(layout.span(pool, family)),
    );
    return { pool: pool.name, total, inUse: this.#occupancy.inUse(pool.name), full };
  }

  #install(request: AddressRequest, choice: Choice | undefined, unmet: Refusal | undefined): Settlement {
    this.release(request.service);
    if (choice === undefined) return { allocation: undefined, unmet };
    const holding = holdingOf(termsOf(request), choice);
    this.#occupancy.put(holding);
    this.#holdings.set(request.service, holding);
    return { allocation: holding.allocation, unmet };
  }

  /** What would meet the whole request. `own` is what the Service holds and may keep. */
  #find(request: AddressRequest, own: Choice | undefined): Choice | Refusal {
    const { layout } = this.#occupancy;
    if (request.families.length === 0)
      throw new RangeError(`Cannot settle the request of ${request.service}: it has no families`);
    if (layout.pools.length === 0) return { reason: "noPools" };
    if (request.requestedAddresses.length > 0) return this.#requested(request);
    const wanted = request.requestedPool;
    const poolFits = own !== undefined && (wanted === undefined || wanted === own.pool.name);
    if (poolFits && own.spots.length === request.families.length) return own;
    if (wanted === undefined) return this.#fromAnyPool(request, own);
    const pool = layout.pool(wanted);
    return pool === undefined ? this.#unknownPool(wanted) : this.#fromPool(request, pool, own);
  }

  #requested(request: AddressRequest): Choice | Refusal {
    const { choice, refusal } = this.#allowed(request, request.requestedAddresses.toSorted(byText));
    return refusal ?? (choice as Choice); // With nothing against any of them, all were chosen.
  }

  #fromPool(request: AddressRequest, pool: Pool, own: Choice | undefined): Choice | Refusal {
    const { layout } = this.#occupancy;
    const slots: bigint[] = [];
    for (const family of request.families) {
      const kept = own?.pool === pool ? own.spots.find(({ address }) => address.family === family) : undefined;
      const slot = kept?.slot ?? this.#occupancy.lowest(request, layout.span(pool, family));
      if (slot === undefined) return shortage(layout, pool, family);
      slots.push(slot);
    }
    return this.#choice(slots);
  }

  #fromAnyPool(request: AddressRequest, own: Choice | undefined): Choice | Refusal {
    // A Service that changes its families, or may no longer share one of two addresses, keeps the other where it can.
    if (own?.pool.autoAssign) {
      const choice = this.#fromPool(request, own.pool, own);
      if (!("reason" in choice)) return choice;
    }
    const slots = this.#lowestInOnePool(request);
    if (slots !== undefined) return this.#choice(slots);
    const refusals = this.#occupancy.layout.pools.map((pool): Refusal => {
      if (!pool.autoAssign) return { reason: "autoAssignOff", pool: pool.name };
      return this.#fromPool(request, pool, own) as Refusal; // A choice would have been found above.
    });
    return { reason: "noPoolFits", pools: refusals };
  }

  /** The lowest slot of each family in the first pool with auto-assign that has them all. */
  #lowestInOnePool(request: AddressRequest): bigint[] | undefined {
    const { layout } = this.#occupancy;
    for (let from: Pool | undefined; ; ) {
      const slots: bigint[] = [];
      for (const family of request.families) {
        const slot = this.#occupancy.lowest(request, layout.autoSpan(family, from));
        if (slot === undefined) return undefined;
        slots.push(slot);
      }
      const pools = slots.map((slot) => layout.at(slot).pool);
      const furthest = pools.reduce((a, b) => (layout.isAfter(a, b) ? a : b));
      if (pools.every((pool) => pool === furthest)) return slots;
      from = furthest; // A family has nothing in any pool before it.
    }
  }

  /** In the order of the pool's list, as the status has always had it. */
  #choice(slots: readonly bigint[]): Choice {
    const found = slots.map((slot) => ({ slot, ...this.#occupancy.layout.at(slot) })).sort((a, b) => a.entry - b.entry);
    return { pool: (found[0] as (typeof found)[0]).pool, spots: found };
  }

  /** Those of the addresses that the Service may have, whatever it requests, and the first reason against the rest. */
  #allowed(request: AddressRequest, addresses: readonly Address[]): { choice: Choice | undefined; refusal: Refusal | undefined } {
    const ofFamilies = addresses.filter(
      ({ family }, index) =>
        request.families.includes(family) && addresses.findIndex((other) => other.family === family) === index,
    );
    const { choice, refused } = place(this.#occupancy.layout, ofFamilies);
    const conflicts: Refusal[] = [];
    const spots = (choice?.spots ?? []).filter(({ address, slot }) => {
      const refusal = this.#occupied(address) ?? this.#occupancy.conflict(request, slot);
      if (refusal !== undefined) conflicts.push(refusal);
      return refusal === undefined;
    });
    const mismatch = addresses.length > 0 && familyMismatch(request.families, addresses);
    return {
      choice: choice && spots.length > 0 ? { pool: choice.pool, spots } : undefined,
      refusal: mismatch || refused[0]?.refusal || conflicts[0],
    };
  }

  #occupied(address: Address): Refusal | undefined {
    const by = this.#occupants.get(address.toString());
    return by === undefined ? undefined : { reason: "occupied", address, by };
  }

  *#slots(addresses: Iterable<string>): Iterable<bigint> {
    for (const text of addresses) {
      const address = parseAddress(text);
      const slot = address && this.#occupancy.layout.locate(address)?.slot;
      if (slot !== undefined) yield slot;
    }
  }

  #contradiction({ requestedPool }: AddressRequest, { pool, spots }: Choice): Refusal | undefined {
    if (requestedPool === undefined || requestedPool === pool.name) return undefined;
    if (this.#occupancy.layout.pool(requestedPool) === undefined) return this.#unknownPool(requestedPool);
    return { reason: "wrongPool", address: (spots[0] as Spot).address, pool: pool.name, wanted: requestedPool };
  }

  #unknownPool(pool: string): Refusal {
    return { reason: "unknownPool", pool, known: this.#occupancy.layout.pools.map(({ name }) => name) };
  }
}

/** Finds addresses in pools, by `placeTogether`. */
function place(layout: Layout, addresses: readonly Address[]) {
  const { pool, held, refused } = placeTogether(addresses, (address) => layout.locate(address)?.pool);
  const spots = held.map((address) => ({ address, slot: slotOf(layout, address) }));
  const refusal = ({ address, reason, pool: other }: (typeof refused)[number]): Refusal => {
    if (reason === "outsidePools" || other === undefined) return { reason: "outsidePools", address };
    if (reason === "buggyAddress" || pool === undefined) return { reason: "buggyAddress", address, pool: other.name };
    return { reason, addresses: [...held, address], pools: [pool.name, other.name] };
  };
  return {
    choice: pool && { pool, spots },
    refused: refused.map((each) => ({ address: each.address, refusal: refusal(each) })),
  };
}

function slotOf(layout: Layout, address: Address): bigint {
  const slot = layout.locate(address)?.slot;
  if (slot === undefined) throw new Error(`Cannot hold ${address}: it has no slot`);
  return slot;
}

function holdingOf(terms: Terms, { pool, spots }: Choice): Holding {
  const addresses = spots.map(({ address }) => address);
  return { terms, allocation: { pool: pool.name, addresses }, slots: spots.map(({ slot }) => slot) };
}

function shortage(layout: Layout, pool: Pool, family: Family): Refusal {
  if (!pool.ranges.some((range) => range.family === family)) return { reason: "poolLacksFamily", pool: pool.name, family };
  return { reason: "poolFull", pool: pool.name, family, total: Number(layout.size(pool, family)) };
}

function familyMismatch(wanted: readonly Family[], addresses: readonly Address[]): Refusal | undefined {
  const found = addresses.map(({ family }) => family);
  const same = found.toSorted().join() === wanted.toSorted().join();
  return same ? undefined : { reason: "familyMismatch", wanted, found };
}

/** As v0.12.1 sorts: by code unit, so 10.0.0.9 comes after 10.0.0.10. */
function byText(a: Address, b: Address): number {
  const [left, right] = [a.toString(), b.toString()];
  return left < right ? -1 : left > right ? 1 : 0;
}
