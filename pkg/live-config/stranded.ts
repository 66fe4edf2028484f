import { isBuggyAddress, type Pool, type PoolIndex } from "#pkg/config";
import type { Address } from "#pkg/net";

/** What each Service holds; Services without an address may be left out. */
export type AddressesOf = Iterable<readonly [service: string, addresses: readonly Address[]]>;

/**
 * Those of one Service's addresses that would have no pool under `after`. Only addresses in a pool of `before` count, so that
 * foreign ones block nothing. A Service holds addresses of one pool: where `after` would part them, all of them are stranded.
 */
export function strandedAddresses(addresses: readonly Address[], before: PoolIndex, after: PoolIndex): readonly Address[] {
  const ours = addresses.filter((address) => poolOf(before, address) !== undefined);
  const homeless = ours.filter((address) => poolOf(after, address) === undefined);
  if (homeless.length > 0) return homeless;
  const areApart = (pools: PoolIndex): boolean => new Set(ours.map((address) => poolOf(pools, address))).size > 1;
  return !areApart(before) && areApart(after) ? ours : [];
}

/** The pool that can hand out an address. */
function poolOf(pools: PoolIndex, address: Address): Pool | undefined {
  const pool = pools.find(address);
  return pool?.avoidBuggyIPs && isBuggyAddress(address) ? undefined : pool;
}
