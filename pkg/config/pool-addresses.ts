import { type Address, type AddressRange, families } from "#pkg/net";
import type { Pool } from "./config.ts";

/** Finds the pool of an address among any number of disjoint pools, in logarithmic time. */
export class PoolIndex {
  readonly #pools: readonly Pool[];
  readonly #ranges: readonly { readonly range: AddressRange; readonly pool: Pool }[]; // By first address.

  constructor(pools: readonly Pool[]) {
    this.#pools = pools;
    const ranges = pools.flatMap((pool) => pool.ranges.map((range) => ({ range, pool })));
    this.#ranges = ranges.sort((a, b) => a.range.first.compare(b.range.first));
  }

  save() {
    return { pools: this.#pools };
  }

  static restore({ pools }: ReturnType<PoolIndex["save"]>): PoolIndex {
    return new PoolIndex(pools);
  }

  find(address: Address): Pool | undefined {
    let low = 0;
    let high = this.#ranges.length; // Ranges below `low` begin at or before the address, those from `high` on after it.
    while (low < high) {
      const middle = (low + high) >>> 1;
      const range = this.#ranges[middle]?.range;
      if (range !== undefined && range.first.compare(address) <= 0) low = middle + 1;
      else high = middle;
    }
    const last = this.#ranges[low - 1];
    return last?.range.contains(address) ? last.pool : undefined;
  }

  /** See `placeTogether`. */
  place(addresses: readonly Address[], mayHoldSeveral: boolean, asksFor?: AsksFor): PlacedAddresses {
    return placeTogether(addresses, (address) => this.find(address), mayHoldSeveral, asksFor);
  }

  /**
   * The address that one of a Service goes with on layer 2, where one node may announce both: of each pool the first of one family and the
   * first of the other, the second ones, and so on. A Service with one pool alone has always had all that follow go with the first.
   */
  goesWith(addresses: readonly Address[], address: Address, mayHoldSeveral: boolean): Address {
    const [first = address] = addresses;
    if (!mayHoldSeveral) return first;
    const pool = this.find(address);
    const ofPool = addresses.filter((other) => this.find(other) === pool);
    const place = ofPool.filter(({ family }) => family === address.family).findIndex((other) => other.equals(address));
    const together = families.flatMap((family) => ofPool.filter((other) => other.family === family)[place] ?? []);
    return ofPool.find((other) => together.includes(other)) ?? address;
  }
}

/** The addresses that a Service may hold at once. */
export interface PlacedAddresses {
  /** The pool of the first of `held`; of all of them but where a Service may hold addresses of several. */
  readonly pool: Pool | undefined;
  readonly held: readonly Address[];
  readonly refused: readonly {
    readonly address: Address;
    readonly reason: "outsidePools" | "buggyAddress" | "severalPools";
    readonly pool: Pool | undefined;
  }[];
}

/** Whether a Service asks for the address, or for the pool that it is in. */
export type AsksFor = (address: Address, pool: Pool) => boolean;

/**
 * The one rule on which addresses of a Service go together. If the Service does not ask for several, all are in the pool of its first
 * address that can be handed out; if it asked for addresses before, in the pool of the first that it still asks for. The allocator adopts
 * addresses by this rule, the controller refuses configurations by it, and speakers announce by it, so that they cannot disagree.
 */
export function placeTogether(
  addresses: readonly Address[],
  poolOf: (address: Address) => Pool | undefined,
  mayHoldSeveral: boolean,
  asksFor: AsksFor = () => false,
): PlacedAddresses {
  const isUsable = (address: Address, pool: Pool) => !(pool.avoidBuggyIPs && isBuggyAddress(address));
  const isAsked = (address: Address, pool = poolOf(address)) =>
    pool !== undefined && isUsable(address, pool) && asksFor(address, pool);
  const asked = mayHoldSeveral || addresses.length < 2 ? undefined : addresses.find((address) => isAsked(address));
  let first = asked && poolOf(asked);
  const held: Address[] = [];
  const refused: PlacedAddresses["refused"][number][] = [];
  for (const address of addresses) {
    const pool = poolOf(address);
    if (pool === undefined) refused.push({ address, reason: "outsidePools", pool });
    else if (!isUsable(address, pool)) refused.push({ address, reason: "buggyAddress", pool });
    else if (!mayHoldSeveral && first !== undefined && first !== pool) refused.push({ address, reason: "severalPools", pool });
    else {
      first ??= pool;
      held.push(address);
    }
  }
  return { pool: first, held, refused };
}

/** How many addresses the pool can hand out: all, less those that `avoid-buggy-ips` holds back, or that are reserved for nobody. */
export function countUsable(pool: Pool): bigint {
  const sum = (ranges: readonly AddressRange[]) => ranges.reduce((sum, range) => sum + countUsableIn(pool, range), 0n);
  return sum(pool.ranges) - sum(pool.reservations.flatMap(({ ranges, holder }) => (holder.type === "nobody" ? ranges : [])));
}

/** How many of them are in one of its ranges. */
export function countUsableIn({ avoidBuggyIPs }: Pool, { family, first, last, size }: AddressRange): bigint {
  return avoidBuggyIPs && family === "IPv4" ? countUsableBelow(last.value + 1n) - countUsableBelow(first.value) : size;
}

/** Ends in .0 or .255, which some routers and their smurf protection take for a broadcast; what `avoid-buggy-ips` is about. */
export function isBuggyAddress(address: Address): boolean {
  const octet = address.value & 255n;
  return address.family === "IPv4" && (octet === 0n || octet === 255n);
}

/** How many IPv4 addresses below `value` are not buggy: 254 in each /24. */
export function countUsableBelow(value: bigint): bigint {
  const octet = value & 255n;
  return (value >> 8n) * 254n + (octet === 0n ? 0n : octet - 1n);
}

/** The IPv4 address that is not buggy and has `count` such addresses below it. */
export function usableAt(count: bigint): bigint {
  return ((count / 254n) << 8n) + (count % 254n) + 1n;
}
