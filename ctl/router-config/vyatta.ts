import type { Family } from "#pkg/net";
import { passwordHere, type RouterSide, routesOf } from "./router-side.ts";

const list: Readonly<Record<Family, string>> = { IPv4: "prefix-list", IPv6: "prefix-list6" };
const families: Readonly<Record<Family, string>> = { IPv4: "ipv4-unicast", IPv6: "ipv6-unicast" };

/** For VyOS 1.4 and later. */
export function vyos(side: RouterSide): string[] {
  const { label, asn, nodeAsn, nodes, paths, hasPassword, bfd, multihop, ttlSecurityHops } = side;
  const isInternal = asn === nodeAsn;
  const group = `set protocols bgp peer-group ${label}`;
  return [
    ...filters(side),
    `set protocols bgp system-as ${asn}`,
    `${group} remote-as ${nodeAsn}`,
    ...(hasPassword ? [`${group} password '${passwordHere}'`] : []),
    ...(multihop === undefined ? [] : [`${group} ebgp-multihop ${multihop}`]),
    ...(ttlSecurityHops === undefined ? [] : [`${group} ttl-security hops ${ttlSecurityHops}`]),
    ...(bfd === undefined
      ? []
      : [
          `set protocols bfd profile ${label} interval multiplier ${bfd.detectMultiplier}`,
          `set protocols bfd profile ${label} interval receive ${bfd.receiveIntervalMs}`,
          `set protocols bfd profile ${label} interval transmit ${bfd.transmitIntervalMs}`,
          `${group} bfd profile ${label}`,
        ]),
    ...side.families.flatMap((family) => [
      `set protocols bgp address-family ${families[family]} maximum-paths ${isInternal ? "ibgp" : "ebgp"} ${paths}`,
      `${group} address-family ${families[family]} route-map import ${label}-in`,
      `${group} address-family ${families[family]} route-map export ${label}-out`,
    ]),
    ...nodes.flatMap(({ name, address }) => [
      `set protocols bgp neighbor ${address} peer-group ${label}`,
      `set protocols bgp neighbor ${address} description '${name}'`,
    ]),
  ];
}

/** For EdgeOS, whose BGP is an earlier one of the same family. */
export function edgeos(side: RouterSide): string[] {
  const { label, asn, nodeAsn, nodes, paths, hasPassword, bfd, multihop, ttlSecurityHops } = side;
  const isInternal = asn === nodeAsn;
  const ofNode = (address: string): string[] => {
    const neighbor = `set protocols bgp ${asn} neighbor ${address}`;
    return [
      `${neighbor} remote-as ${nodeAsn}`,
      ...(hasPassword ? [`${neighbor} password ${passwordHere}`] : []),
      ...(multihop === undefined ? [] : [`${neighbor} ebgp-multihop ${multihop}`]),
      ...(ttlSecurityHops === undefined ? [] : [`${neighbor} ttl-security hops ${ttlSecurityHops}`]),
      ...side.families.flatMap((family) => {
        const inside = family === "IPv4" ? neighbor : `${neighbor} address-family ipv6-unicast`;
        return [`${inside} route-map import ${label}-in`, `${inside} route-map export ${label}-out`];
      }),
    ];
  };
  return [
    ...(bfd === undefined ? [] : ["# EdgeOS has no BFD: take bfd-profile from the peer"]),
    ...filters(side),
    `set protocols bgp ${asn} maximum-paths ${isInternal ? "ibgp" : "ebgp"} ${paths}`,
    ...nodes.flatMap(({ address }) => ofNode(`${address}`)),
  ];
}

function filters(side: RouterSide): string[] {
  const { label } = side;
  const families = side.families.filter((family) => routesOf(side, family).length > 0); // VyOS refuses a list that is not there.
  return [
    ...(families.length === 0 ? [`set policy route-map ${label}-in rule 10 action deny`] : []),
    ...families.flatMap((family, index) => {
      const rules = routesOf(side, family).flatMap(({ prefix, length }, number) => {
        const rule = `set policy ${list[family]} ${label}-${family.toLowerCase()} rule ${10 * (number + 1)}`;
        const lengths = length === prefix.length ? [] : [`${rule} ge ${length}`, `${rule} le ${length}`];
        return [`${rule} action permit`, `${rule} prefix ${prefix}`, ...lengths];
      });
      const rule = `set policy route-map ${label}-in rule ${10 * (index + 1)}`;
      const match = family === "IPv4" ? "ip" : "ipv6";
      return [...rules, `${rule} action permit`, `${rule} match ${match} address prefix-list ${label}-${family.toLowerCase()}`];
    }),
    `set policy route-map ${label}-out rule 10 action deny`,
  ];
}
