import type { NamespaceLabels, Pool } from "#pkg/config";
import type { Family } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";
import { fenceRefusal, type OpenScopes } from "./fences.ts";
import { holdersOf } from "./holders.ts";
import { type Ipam, isChosenElsewhere } from "./ipam.ts";
import type { Layout, Span } from "./layout.ts";
import type { Occupancy } from "./occupancy.ts";
import type { Quotas } from "./quotas.ts";
import { type Choice, hasFamily, isAmong, type Spot } from "./spots.ts";
import { isRefusal, type Refusal } from "./types.ts";

/** The rules on who may have which address, and the state they are applied to. */
export interface Rules {
  readonly occupancy: Occupancy;
  readonly open: OpenScopes;
  readonly quotas: Quotas;
  readonly namespaces: NamespaceLabels;
  /** Address as text -> the host of the network that has it. */
  readonly occupants: ReadonlyMap<string, string>;
  readonly ipam: Ipam;
}

/** One address that is wanted. */
export interface Want {
  readonly pool: Pool;
  readonly family: Family;
  /** Only what is reserved for the Service. */
  readonly isReserved?: boolean;
}

/** Finds addresses of pools for one Service. `held` are the slots that it is on: they cost nothing. */
export class Filling {
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

  /**
   * Addresses for all wants, if the pools are open to the Service and quotas allow: for each the lowest that is free or that it may share. If
   * quotas forbid these, the addresses that cost its namespace least. Addresses that it keeps are never in the way.
   */
  fill(wants: readonly Want[], own: readonly Spot[]): Choice | Refusal {
    const kept = match(wants, own);
    if (kept.every((spot) => spot !== undefined)) return own.filter((spot) => kept.includes(spot)); // In the order that it has.
    for (const [index, { pool, family }] of wants.entries()) {
      if (kept[index] !== undefined) continue;
      const shut = this.shut(pool);
      if (shut !== undefined) return shut;
      if (!hasFamily(pool, family)) return { reason: "poolLacksFamily", pool: pool.name, family };
    }
    const lowest = this.#take(wants, kept, (spots, want) => this.#lowestBut(spots, want));
    if (!isRefusal(lowest) || lowest.reason !== "quotaExceeded" || this.#request.sharingKey === "") return lowest;
    const cheapest = this.#take(wants, kept, (spots, want) => this.#cheapestBut(spots, want));
    return isRefusal(cheapest) && cheapest.reason !== "awaitsIpam" ? lowest : cheapest;
  }

  /** Why quotas forbid that it holds these, and such as an IPAM is still to choose. */
  quota(spots: readonly Spot[], unchosen: readonly Want[] = []): Refusal | undefined {
    const slots = spots.map(({ slot }) => slot);
    const asked = unchosen.map(({ pool, family }) => ({ pool: pool.name, family }));
    return this.#rules.quotas.refusal(this.#request.service, slots, this.#held, this.#occupancy, asked);
  }

  /** Why it gets nothing new of the pool, even if addresses are free there. */
  shut(pool: Pool): Refusal | undefined {
    const closed: Refusal = { reason: "poolClosed", pool: pool.name };
    return fenceRefusal(this.#request, pool, this.#rules.namespaces) ?? (pool.closed ? closed : undefined);
  }

  /** The addresses of the pool that are reserved for the Service or its namespace. */
  reserved(pool: Pool, family: Family): readonly Span[] {
    if (!this.#layout.hasReserved) return [];
    const spans = holdersOf(this.#request.service).flatMap((holder) => this.#layout.reserved(holder));
    return spans.filter((span) => span.pool === pool && span.family === family && span.start < span.end);
  }

  /**
   * Addresses for all wants: its own, else the ones that `choose` finds beside the others. An IPAM is asked for the rest only if nothing else is in
   * the way, because an address that it chooses is gone for everybody.
   */
  #take(
    wants: readonly Want[],
    kept: readonly (Spot | undefined)[],
    choose: (spots: readonly Spot[], want: Want) => bigint | undefined,
  ): Choice | Refusal {
    const spots: Spot[] = kept.filter((spot) => spot !== undefined);
    const found: Spot[] = [];
    const awaited: Want[] = [];
    for (const [index, want] of wants.entries()) {
      const slot = kept[index]?.slot ?? choose(spots, want);
      if (slot !== undefined) {
        const spot = { pool: want.pool, address: this.#layout.at(slot).address, slot };
        spots.push(spot);
        found.push(spot);
      } else if (isChosenElsewhere(want.pool)) awaited.push(want);
      else return this.#shortage(want);
    }
    return this.quota(found, awaited) ?? this.#awaits(awaited, found) ?? found;
  }

  #shortage({ pool, family, isReserved }: Want): Refusal {
    if (isReserved) return { reason: "reservedInUse", pool: pool.name, family };
    return { reason: "poolFull", pool: pool.name, family, total: Number(this.#layout.size(pool, family)) };
  }

  #awaits(awaited: readonly Want[], found: readonly Spot[]): Refusal | undefined {
    const { ipam } = this.#rules;
    const isExhausted = ({ pool, family }: Want) => ipam.isExhausted(pool.name, family);
    const want = awaited.find(isExhausted) ?? awaited[0];
    if (want === undefined) return undefined;
    const { pool, family } = want;
    const problem = ipam.problem(pool.name);
    const granted = found.filter((spot) => isChosenElsewhere(spot.pool) && !this.#occupancy.isHeld(spot.slot));
    return {
      reason: "awaitsIpam",
      pool: pool.name,
      family,
      granted: ipam.grants(this.#request.service, pool.name, family).length,
      exhausted: isExhausted(want),
      ...(problem !== undefined && { problem }),
      asks: [
        ...awaited.map((each) => ({ pool: each.pool.name, family: each.family })),
        ...granted.map((spot) => ({ pool: spot.pool.name, family: spot.address.family })),
      ],
    };
  }

  /** The lowest one that is not among these. */
  #lowestBut(spots: readonly Spot[], want: Want): bigint | undefined {
    if (isChosenElsewhere(want.pool)) return this.#chosen(spots, want);
    for (const span of this.#spans(want)) for (const slot of this.#ascending(span)) if (!isAmong(spots, slot)) return slot;
    return undefined;
  }

  /**
   * Among the addresses that the Service may share and that quotas allow beside `spots`: the lowest that costs nothing, because its quotas
   * count it already, else the lowest. A free address costs no less than any of them, so the lowest free one counts only where the Service
   * may share no address.
   */
  #cheapestBut(spots: readonly Spot[], want: Want): bigint | undefined {
    const { quotas } = this.#rules;
    const isAllowed = (slot: bigint) => this.quota([...spots, { ...this.#layout.at(slot), slot }]) === undefined;
    const costOf = quotas.costs(this.#request.service, want.pool.name, this.#occupancy);
    const seen = new Set<string>(); // Costs seen so far: of addresses with equal costs only the first is asked about.
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

  /** Addresses that others hold and the Service may share, lowest first; its reservations before addresses for all. */
  *#shareable(want: Want): Iterable<bigint> {
    if (this.#request.sharingKey === "") return;
    for (const span of this.#spans(want)) yield* this.#ascending(span, "shareable");
  }

  /** In the order of `Occupancy.lowest`. */
  *#ascending({ start, end }: Span, only?: "shareable"): Iterable<bigint> {
    for (let from = start; ; ) {
      const slot = this.#occupancy.lowest(this.#request, { start: from, end }, only);
      if (slot === undefined) return;
      yield slot;
      from = slot + 1n;
    }
  }

  /** Reserved addresses come before the others. */
  #spans({ pool, family, isReserved }: Want): readonly Span[] {
    const reserved = this.reserved(pool, family);
    return isReserved ? reserved : [...reserved, this.#layout.span(pool, family)];
  }

  /** One that others share, or the lowest free one of those that an IPAM has chosen for it. */
  #chosen(spots: readonly Spot[], want: Want): bigint | undefined {
    for (const slot of this.#shareable(want)) if (!isAmong(spots, slot)) return slot;
    const granted = this.#rules.ipam.grants(this.#request.service, want.pool.name, want.family);
    const slots = granted.flatMap((address) => this.#layout.locate(address)?.slot ?? []);
    const isFree = (slot: bigint) => !this.#occupancy.isHeld(slot) && !this.#occupancy.isOccupied(slot);
    return slots.find((slot) => !isAmong(spots, slot) && isFree(slot));
  }
}

/** For each of them one of the spots, if there is one; each spot once. */
function match(wants: readonly Want[], spots: readonly Spot[]): (Spot | undefined)[] {
  const left = [...spots];
  return wants.map(({ pool, family }) => {
    const index = left.findIndex((spot) => spot.pool === pool && spot.address.family === family);
    return index < 0 ? undefined : left.splice(index, 1)[0];
  });
}
