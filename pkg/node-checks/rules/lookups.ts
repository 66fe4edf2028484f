import type { Pool } from "#pkg/config";
import { type Address, AddressRange, type Family, type Prefix } from "#pkg/net";
import type { Facts, Interface } from "./facts.ts";
import type { FindingOf } from "./findings.ts";
import type { Route } from "./route-codec.ts";

// Questions of rules about the facts.

export function eligible({ interfaces }: Pick<Facts, "interfaces">): Interface[] {
  return interfaces.filter(({ eligible }) => eligible);
}

export function defaultRoute(facts: Pick<Facts, "routes">): Route | undefined {
  return bestRoute(facts, ({ prefix }) => prefix.family === "IPv4" && prefix.length === 0);
}

/** The interfaces that lead to clients of layer 2 pools: with the default route, or with a subnet of a pool. */
export function lanInterfaces(facts: Pick<Facts, "pools" | "interfaces" | "routes">): Interface[] {
  return eligible(facts).filter((one) => one.name === defaultRoute(facts)?.interface || isInPool(facts, one, "IPv4"));
}

/** Whether a pool has addresses of the family in a subnet of the interface. */
export function isInPool(facts: Pick<Facts, "pools" | "routes">, one: Interface, family: Family): boolean {
  return subnetsOf(facts, one).some((subnet) => subnet.family === family && poolIn(facts, subnet) !== undefined);
}

/** The first one of those with the lowest metric, as the kernel takes it. */
export function bestRoute({ routes }: Pick<Facts, "routes">, wanted: (route: Route) => boolean): Route | undefined {
  return routes
    .filter(wanted)
    .reduce<Route | undefined>((best, one) => (best && best.metric <= one.metric ? best : one), undefined);
}

const arpSettings = [
  // 3 leaves out only addresses of scope host, and higher values mean nothing, except 8: no answers at all.
  { setting: "arp_ignore", wanted: 1, field: "arpIgnore", accepted: [1, 2, 8] },
  { setting: "arp_announce", wanted: 2, field: "arpAnnounce", accepted: [2] },
] as const;

/** The settings of these interfaces that let the kernel answer there for addresses that `holder` has. */
export function* answersArp(holder: string, among: readonly Interface[]): Iterable<FindingOf<"strictArp">> {
  for (const { setting, wanted, field, accepted } of arpSettings) {
    const interfaces = among.flatMap(({ name, settings }) => {
      if (settings === undefined || accepted.some((value) => value === settings[field])) return [];
      return [{ name, value: settings[field] }];
    });
    if (interfaces.length > 0) yield { check: "strictArp", holder, setting, wanted, interfaces };
  }
}

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
export function poolOf(
  { pools }: { readonly pools: readonly Pick<Pool, "name" | "ranges">[] },
  address: Address,
): string | undefined {
  return pools.find(({ ranges }) => ranges.some((range) => range.contains(address)))?.name;
}

/** fe80::/10, and ff00::/8 which the kernel has a route for on every interface. */
function isLinkScoped({ family, value }: Address): boolean {
  return family === "IPv6" && value >> 118n >= 0x3fan;
}
