import type { Config, Pool } from "#pkg/config";
import type { Address } from "#pkg/net";

/** What each Service holds; Services without an address may be left out. */
export type AddressesOf = Iterable<readonly [service: string, addresses: readonly Address[]]>;

/**
 * Those of one Service's addresses that would have no pool under `after`. Only addresses in a pool of `before` count, so that
 * foreign ones block nothing. A Service holds addresses of one pool: where `after` would part them, all of them are stranded.
 */
export function strandedAddresses(addresses: readonly Address[], before: Config, after: Config): readonly Address[] {
  const ours = addresses.filter((address) => before.pools.some((pool) => canHold(pool, address)));
  const homeless = ours.filter((address) => !after.pools.some((pool) => canHold(pool, address)));
  if (homeless.length > 0) return homeless;
  const inOnePool = ({ pools }: Config): boolean => pools.some((pool) => ours.every((address) => canHold(pool, address)));
  return inOnePool(before) && !inOnePool(after) ? ours : [];
}

function canHold(pool: Pool, address: Address): boolean {
  return pool.ranges.some((range) => range.contains(address)) && !(pool.avoidBuggyIPs && isBuggy(address));
}

function isBuggy(address: Address): boolean {
  const last = address.value & 0xffn;
  return address.family === "IPv4" && (last === 0n || last === 255n);
}
