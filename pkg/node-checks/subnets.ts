import { type Address, AddressRange, type Family, type Prefix } from "#pkg/net";
import type { Facts, Interface } from "./facts.ts";

/**
 * The subnets whose hosts are on the LAN of an interface: those of its addresses, and those that a route without a gateway leads to,
 * because an address that came by DHCPv6 says nothing of its subnet. Without those for groups and links, which hold nobody's addresses.
 */
export function subnetsOf({ routes }: Pick<Facts, "routes">, { name, addresses }: Interface): Prefix[] {
  const onLink = routes.filter((route) => route.interface === name && !route.gateway).map(({ prefix }) => prefix);
  const all = [...addresses.map(({ prefix }) => prefix), ...onLink].filter(
    (prefix) => prefix.length > 0 && prefix.length < prefix.address.bits && !isLinkScoped(prefix.address),
  );
  return [...new Map(all.map((prefix) => [prefix.toString(), prefix])).values()];
}

/** The name of a pool that has addresses in the subnet, or in any of the family when only that is given. */
export function poolIn({ pools }: Pick<Facts, "pools">, where: Prefix | Family): string | undefined {
  const range = typeof where === "string" ? undefined : AddressRange.ofPrefix(where);
  return pools.find(({ ranges }) => ranges.some((one) => (range === undefined ? one.family === where : one.overlaps(range))))
    ?.name;
}

/** The name of the pool that an address is in. */
export function poolOf({ pools }: Pick<Facts, "pools">, address: Address): string | undefined {
  return pools.find(({ ranges }) => ranges.some((range) => range.contains(address)))?.name;
}

/** fe80::/10, and ff00::/8 which the kernel has a route for on every interface. */
function isLinkScoped({ family, value }: Address): boolean {
  return family === "IPv6" && value >> 118n >= 0x3fan;
}
