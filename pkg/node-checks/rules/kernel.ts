import { AddressRange, type Prefix, parsePrefix, serviceHolders } from "#pkg/net";
import type { Facts, Interface, KernelPool } from "./facts.ts";
import type { FindingOf } from "./findings.ts";
import { answersArp, defaultRoute, eligible } from "./lookups.ts";

/**
 * The reverse path filter and pools of protocol interface. Their packets come by any interface that leads to the routers. Nobody can tell
 * from settings which that is; an interface with a route through a gateway has routers. A strict filter there drops packets of clients
 * whose route leaves by another interface, as with a default route elsewhere (RFC 3704, section 2.2).
 */
export function* kernelRpFilter(facts: Facts): Iterable<FindingOf<"rpFilter">> {
  if (poolsOf(facts, "IPv4").length === 0) return;
  const others = defaultRoute(facts);
  for (const { name, addresses, settings } of eligible(facts)) {
    const subnet = addresses.find(({ prefix }) => prefix.family === "IPv4")?.prefix;
    const hasRouters = facts.routes.some((one) => one.interface === name && one.gateway && one.prefix.family === "IPv4");
    if (settings?.rpFilter !== 1 || subnet === undefined || !hasRouters) continue;
    if (others !== undefined && others.interface !== name)
      yield { check: "rpFilter", interface: name, subnet, clients: "beyond", leavesBy: others.interface };
  }
}

/** Every node that has an address answers ARP for it, where it is one of the nodes' own subnet: on the dummy, or on kube-proxy's interface. */
export function* kernelStrictArp(facts: Facts): Iterable<FindingOf<"strictArp">> {
  const found = new Map<string, Set<Interface>>(); // holder -> interfaces whose hosts ask for addresses
  for (const pool of poolsOf(facts, "IPv4"))
    for (const one of eligible(facts)) {
      if (!one.addresses.some(({ prefix }) => prefix.family === "IPv4" && overlaps(pool, prefix))) continue;
      for (const holder of holdersOf(facts, pool)) found.set(holder, (found.get(holder) ?? new Set()).add(one));
    }
  for (const [holder, interfaces] of found) yield* answersArp(holder, [...interfaces]);
}

function holdersOf({ interfaces }: Facts, pool: KernelPool): string[] {
  const there = (name: string) => interfaces.some((one) => one.name === name);
  return [serviceHolders, dummyOf(pool) ?? []].flat().filter(there);
}

/** Where addresses of the pool are put, unless that is a NIC. */
function dummyOf({ kernel }: KernelPool): string | undefined {
  return kernel?.carrier === "address" && kernel.placement !== "lan" ? kernel.dummyInterface : undefined;
}

export function* nodePorts({ kernel: { pools, interfaces, kubeProxy } }: Facts): Iterable<FindingOf<"nodePorts">> {
  if (kubeProxy === undefined) return;
  const { mode, nodePortAddresses } = kubeProxy;
  // Without a list, mode nftables serves the primary addresses of the node, and the others all of them.
  if (nodePortAddresses.length === 0 && mode === "nftables") return;
  for (const one of pools) {
    const dummy = dummyOf(one);
    if (dummy === undefined || !interfaces.some(({ name }) => name === dummy)) continue;
    const prefixes = nodePortAddresses.flatMap((text) => parsePrefix(text) ?? []);
    if (nodePortAddresses.length === 0 || prefixes.some((prefix) => overlaps(one, prefix)))
      yield { check: "nodePorts", pool: one.name, interface: dummy, nodePortAddresses };
  }
}

/** A NIC is managed by somebody nearly always: it is worth a warning where something has been removed there. */
export function* interfaceManaged({ kernel: { interfaces } }: Facts): Iterable<FindingOf<"interfaceManaged">> {
  for (const { name, manager, isDummy, restored } of interfaces)
    if (manager !== undefined && (isDummy || restored > 0))
      yield { check: "interfaceManaged", interface: name, manager, isDummy };
}

export function* promoteSecondaries({ kernel: { interfaces } }: Facts): Iterable<FindingOf<"promoteSecondaries">> {
  for (const { name, hasSubnets, promoteSecondaries } of interfaces)
    if (hasSubnets && promoteSecondaries === 0) yield { check: "promoteSecondaries", interface: name };
}

/** flannel chooses among the addresses of an interface when it starts, and keeps its choice. */
export function* flannelAddress({ kernel: { pools, flannelAddresses } }: Facts): Iterable<FindingOf<"flannelAddress">> {
  for (const address of flannelAddresses) {
    const pool = pools.find(({ ranges }) => ranges.some((range) => range.contains(address)));
    if (pool !== undefined) yield { check: "flannelAddress", address, pool: pool.name };
  }
}

/** The kernel refuses IPv6 addresses there. */
export function* kernelIpv6Disabled(facts: Facts): Iterable<FindingOf<"ipv6Disabled">> {
  for (const { name, disableIpv6 } of facts.kernel.interfaces) {
    const pool = poolsOf(facts, "IPv6").find(({ kernel }) => kernel?.dummyInterface === name);
    if (disableIpv6 === 1 && pool !== undefined) yield { check: "ipv6Disabled", interface: name, pool: pool.name };
  }
}

function poolsOf({ kernel }: Facts, family: "IPv4" | "IPv6"): KernelPool[] {
  return kernel.pools.filter(({ ranges }) => ranges.some((range) => range.family === family));
}

function overlaps({ ranges }: KernelPool, prefix: Prefix): boolean {
  return ranges.some((range) => range.overlaps(AddressRange.ofPrefix(prefix)));
}
