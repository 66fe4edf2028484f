import { type AsksFor, type Pool, placeTogether } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import type { Layout } from "./layout.ts";
import type { Refusal } from "./types.ts";

/** Addresses that a Service may have, in the order of its status; at least one. */
export type Choice = readonly Spot[];

export interface Spot {
  readonly pool: Pool;
  readonly address: Address;
  readonly slot: bigint;
}

/** Finds addresses in pools, by `placeTogether`. */
export function place(layout: Layout, addresses: readonly Address[], mayHoldSeveral: boolean, asksFor?: AsksFor) {
  const poolOf = (address: Address) => layout.locate(address)?.pool;
  const { pool, held, refused } = placeTogether(addresses, poolOf, mayHoldSeveral, asksFor);
  const spots = held.map((address) => spotOf(layout, address));
  const refusal = ({ address, reason, pool: other }: (typeof refused)[number]): Refusal => {
    if (reason === "outsidePools" || other === undefined) return { reason: "outsidePools", address };
    if (reason === "buggyAddress" || pool === undefined) return { reason: "buggyAddress", address, pool: other.name };
    return { reason, addresses: [...held, address], pools: [pool.name, other.name] };
  };
  return { spots, refused: refused.map((each) => ({ address: each.address, refusal: refusal(each) })) };
}

function spotOf(layout: Layout, address: Address): Spot {
  const { pool, slot } = layout.locate(address) ?? {};
  if (pool === undefined || slot === undefined) throw new Error(`Cannot hold ${address}: it has no slot`);
  return { pool, address, slot };
}

export function hasFamily(pool: Pool, family: Family): boolean {
  return pool.ranges.some((range) => range.family === family);
}

export function isAmong(spots: readonly Spot[], slot: bigint): boolean {
  return spots.some((spot) => spot.slot === slot);
}
