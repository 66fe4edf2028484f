import type { Family } from "#pkg/net";
import { familiesOf, familyOf, holdTimeOf, type Neighbour, type RouterConfiguration, scoped } from "./configuration.ts";

const names: Readonly<Record<Family, string>> = { IPv4: "ipv4", IPv6: "ipv6" };

/** The configuration of FRR's bgpd. */
export function frrConfiguration(configuration: RouterConfiguration): string {
  const { asn, routerId, neighbours, multipath = 1, networks = [] } = configuration;
  const family = (which: Family): string[] => [
    ` address-family ${names[which]} unicast`,
    `  maximum-paths ${multipath}`,
    `  maximum-paths ibgp ${multipath}`,
    ...networks.filter((prefix) => familyOf(prefix) === which).map((prefix) => `  network ${prefix}`),
    " exit-address-family",
  ];
  const lines = [
    "frr defaults traditional",
    `router bgp ${asn}`,
    ` bgp router-id ${routerId}`,
    " no bgp ebgp-requires-policy",
    " no bgp default ipv4-unicast",
    " no bgp network import-check",
    " bgp bestpath as-path multipath-relax",
    ...family("IPv4"),
    ...family("IPv6"),
    ...neighbours.flatMap(frrNeighbour),
  ];
  return `${lines.join("\n")}\n`;
}

/** The lines, inside `router bgp`, that make a neighbour. */
export function frrNeighbour(neighbour: Neighbour): string[] {
  const { asn, passive, multihop, ttlSecurityHops, password, extendedNextHop, fourOctetAsn = true, bfd } = neighbour;
  const { gracefulRestart = true } = neighbour;
  if (!fourOctetAsn) throw new RangeError(`Cannot configure ${neighbour.address}: FRR always offers AS numbers of four octets`);
  if (password?.includes(" ")) throw new RangeError(`Cannot configure ${neighbour.address}: FRR's passwords have no blanks`);
  const { ip, interfaceName } = scoped(neighbour.address);
  const { hold, keepalive } = holdTimeOf(neighbour);
  const settings = [
    `remote-as ${asn}`,
    interfaceName !== undefined && `interface ${interfaceName}`,
    multihop !== undefined && `ebgp-multihop ${multihop}`,
    ttlSecurityHops !== undefined && `ttl-security hops ${ttlSecurityHops}`,
    passive && "passive",
    password !== undefined && `password ${password}`,
    `timers ${keepalive} ${hold}`,
    "timers connect 1",
    "advertisement-interval 0",
    extendedNextHop && "capability extended-nexthop",
    !gracefulRestart && "graceful-restart-disable", // A helper by itself.
    bfd !== undefined && `bfd ${bfd.multiplier} ${bfd.intervalMs} ${bfd.intervalMs}`,
  ];
  return [
    ...settings.filter((setting) => typeof setting === "string").map((setting) => ` neighbor ${ip} ${setting}`),
    ...familiesOf(neighbour).flatMap((family) => [
      ` address-family ${names[family]} unicast`,
      `  neighbor ${ip} activate`,
      " exit-address-family",
    ]),
  ];
}
