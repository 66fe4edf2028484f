import { AddressRange, families, matchesInterface, serviceHolders } from "#pkg/net";
import type { Facts, Interface } from "./facts.ts";
import type { Finding, FindingOf } from "./findings.ts";
import {
  flannelAddress,
  interfaceManaged,
  kernelIpv6Disabled,
  kernelRpFilter,
  kernelStrictArp,
  nodePorts,
  promoteSecondaries,
} from "./kernel.ts";
import { answersArp, bestRoute, defaultRoute, eligible, isInPool, lanInterfaces, poolIn, poolOf, subnetsOf } from "./lookups.ts";

/** All findings, in the order of `checkNames`. */
export function judge(facts: Facts): Finding[] {
  return [
    ...rpFilter(facts),
    ...kernelRpFilter(facts),
    ...strictArp(facts),
    ...kernelStrictArp(facts),
    ...addressBound(facts),
    ...podNetwork(facts),
    ...forwardingOff(facts),
    ...ipv6Disabled(facts),
    ...kernelIpv6Disabled(facts),
    ...outsideSubnets(facts),
    ...noInterface(facts),
    ...nodePorts(facts),
    ...interfaceManaged(facts),
    ...promoteSecondaries(facts),
    ...flannelAddress(facts),
    ...(facts.isRealTimeRefused ? [{ check: "realTimeRefused" } as const] : []),
    ...cpuLimited(facts),
  ];
}

/** A speaker rests most of the time. It misses its dates where what it does in a moment takes more than it may. */
function cpuLimited({ cpuLimit: processors }: Facts): readonly FindingOf<"cpuLimited">[] {
  return processors === undefined || processors >= 1 ? [] : [{ check: "cpuLimited", processors }];
}

/**
 * A strict filter drops a packet if the route to its sender leaves by another interface than it came in by (RFC 3704, section 2.2).
 * That does no harm on an interface that also has the route back, as the only one of a node. It does where clients come in by an
 * interface whose subnet has addresses of a pool, while the default route is another's (all but the neighbors are dropped) or the
 * subnet is on another interface too, which the kernel prefers (the neighbors are dropped as well). A subnet without a route in the
 * main table is routed by another one, as in a VRF, of which nothing is known here; without a default route nobody else gets an
 * answer, filter or not. IPv6 has no such setting.
 */
function* rpFilter(facts: Facts): Iterable<FindingOf<"rpFilter">> {
  for (const { name, addresses, settings } of eligible(facts)) {
    if (settings?.rpFilter !== 1) continue;
    for (const { prefix: subnet } of addresses) {
      if (subnet.family !== "IPv4" || poolIn(facts, subnet) === undefined) continue;
      const neighbors = bestRoute(facts, (route) => route.prefix.equals(subnet));
      if (neighbors === undefined) continue;
      const others = defaultRoute(facts);
      const common = { check: "rpFilter", interface: name, subnet } as const;
      if (neighbors.interface !== name) yield { ...common, clients: "inside", leavesBy: neighbors.interface };
      else if (others !== undefined && others.interface !== name)
        yield { ...common, clients: "beyond", leavesBy: others.interface };
      else continue;
      break; // One setting mends all subnets.
    }
  }
}

/**
 * The kernel answers ARP for each of its addresses on every interface, also for those of `kube-ipvs0` or `lo` that are not meant for
 * the LAN, unless it is configured not to. IPv6 is different: there it answers for the addresses of the interface only.
 */
function* strictArp(facts: Facts): Iterable<FindingOf<"strictArp">> {
  if (poolIn(facts, "IPv4") === undefined) return;
  for (const { name: holder } of facts.interfaces.filter((one) => holdsPoolAddresses(facts, one)))
    yield* answersArp(holder, eligible(facts));
}

/** For local use: on an interface that the LAN does not see. */
function holdsPoolAddresses(facts: Facts, { name, eligible, addresses }: Interface): boolean {
  if (serviceHolders.includes(name)) return true;
  return !eligible && addresses.some(({ address }) => address.family === "IPv4" && poolOf(facts, address) !== undefined);
}

/**
 * On an eligible interface the kernel answers for its addresses with any settings, on every node that has them: an address of the node's
 * own may also be a Service's, of protocol interface too.
 */
function* addressBound(facts: Facts): Iterable<FindingOf<"addressBound">> {
  for (const { name, addresses } of eligible(facts))
    for (const { address, prefix } of addresses) {
      const isPlaced = facts.kernel.placed.has(address.toString());
      const pool = poolOf(facts, address) ?? (isPlaced ? undefined : poolOf(facts.kernel, address));
      const prefixLength = prefix.length;
      if (pool !== undefined) yield { check: "addressBound", interface: name, address, prefixLength, pool };
    }
}

function* podNetwork({ node, pools, kernel, podNetworks }: Facts): Iterable<FindingOf<"podNetwork">> {
  for (const network of podNetworks) {
    const all = AddressRange.ofPrefix(network);
    for (const { name, ranges } of [...pools, ...kernel.pools])
      if (ranges.some((range) => range.overlaps(all))) yield { check: "podNetwork", node, pool: name, network };
  }
}

function forwardingOff({ notForwarded, notForwarding }: Facts): FindingOf<"forwardingOff">[] {
  return families.flatMap((family) => {
    const service = notForwarded[family];
    const nic = family === "IPv4" && notForwarding !== undefined ? { interface: notForwarding } : {};
    return service === undefined ? [] : [{ check: "forwardingOff", family, service, ...nic }];
  });
}

/** Only where the LAN of the pools has no IPv6 on this node at all: networks for Pods and storage may well be without. */
export function ipv6Disabled(facts: Pick<Facts, "pools" | "interfaces" | "routes">): FindingOf<"ipv6Disabled">[] {
  const pool = poolIn(facts, "IPv6");
  if (pool === undefined || eligible(facts).some((one) => isInPool(facts, one, "IPv6"))) return [];
  return lanInterfaces(facts)
    .filter((one) => one.settings?.disableIpv6 === 1)
    .map(({ name }) => ({ check: "ipv6Disabled", interface: name, pool }));
}

/** Compares with the subnets on the interfaces where the pool is announced; if it is announced on no interface, that is the finding. */
function* outsideSubnets(facts: Facts): Iterable<FindingOf<"outsideSubnets">> {
  const { node } = facts;
  for (const [pool, announced] of Map.groupBy(facts.announced, ({ pool }) => pool)) {
    const { wanted, matching } = interfacesOf(facts, pool);
    if (wanted.length > 0 && matching.length === 0) continue;
    const subnets = matching.flatMap((one) => subnetsOf(facts, one));
    const outside = announced.map(({ address }) => address).filter((one) => !subnets.some((subnet) => subnet.contains(one)));
    const addresses = outside.sort((a, b) => a.compare(b));
    const concerned = subnets.filter(({ family }) => addresses.some((address) => address.family === family));
    if (addresses.length > 0) yield { check: "outsideSubnets", node, pool, addresses, subnets: concerned };
  }
}

function* noInterface(facts: Facts): Iterable<FindingOf<"noInterface">> {
  const interfaces = eligible(facts).map(({ name }) => name);
  for (const pool of new Set(facts.announced.map(({ pool }) => pool))) {
    const { wanted, matching } = interfacesOf(facts, pool);
    if (wanted.length > 0 && matching.length === 0) yield { check: "noInterface", node: facts.node, pool, wanted, interfaces };
  }
}

/** The names that a pool asks for, and the interfaces on which it is answered for. */
function interfacesOf(facts: Facts, pool: string): { wanted: readonly string[]; matching: readonly Interface[] } {
  const wanted = facts.pools.find(({ name }) => name === pool)?.interfaces ?? [];
  const matches = ({ name }: Interface) => matchesInterface(wanted, name);
  return { wanted, matching: eligible(facts).filter(matches) };
}
