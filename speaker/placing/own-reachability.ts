import type { Pool } from "#pkg/config";
import type { Reachability } from "#pkg/gossip";
import type { InterfaceState } from "#pkg/layer2";
import { isLinkLocal, matchesInterface, type Prefix, parsePrefix } from "#pkg/net";

/** Where this node can answer: what the others have to know of its interfaces, for these pools. */
export function ownReachability(interfaces: readonly InterfaceState[], pools: readonly Pick<Pool, "interfaces">[]): Reachability {
  const able = interfaces.filter(({ status, running }) => status === "answering" && running);
  const named = pools.map((pool) => pool.interfaces).filter((globs) => globs.length > 0);
  const told = new Map<string, readonly Prefix[]>();
  for (const { name, addresses } of able) {
    const subnets = subnetsOf(addresses);
    // A node may have hundreds of links to Pods, of which nobody needs to know.
    if (subnets.length > 0 || named.some((globs) => matchesInterface(globs, name))) told.set(name, subnets);
  }
  return { answers: able.length > 0, interfaces: told };
}

/** Of hosts on the LAN: not that of an address alone, nor fe80::/10, in which every interface is. */
function subnetsOf(addresses: readonly string[]): Prefix[] {
  const prefixes = addresses.flatMap((text) => parsePrefix(text) ?? []);
  const useful = prefixes.filter(({ address, length }) => length < address.bits && !isLinkLocal(address));
  return [...new Map(useful.map((prefix) => [prefix.toString(), prefix])).values()];
}
