import { familiesOf, holdTimeOf, type Neighbour, quoted, type RouterConfiguration } from "./configuration.ts";

/** `bgpd.conf` of OpenBGPD, whose portable version has no part in the kernel's routes. @param socket for bgpctl */
export function openbgpdConfiguration({ asn, routerId, neighbours, networks = [] }: RouterConfiguration, socket: string): string {
  const lines = [
    `AS ${asn}`,
    `router-id ${routerId}`,
    `socket ${quoted(socket)}`,
    "connect-retry 1",
    ...networks.map((prefix) => `network ${prefix}`),
    ...neighbours.flatMap(block),
    "allow from any",
    "allow to any",
  ];
  return `${lines.join("\n")}\n`;
}

function block(neighbour: Neighbour): string[] {
  const { address, asn, passive, multihop, ttlSecurityHops, password, extendedNextHop, fourOctetAsn = true, bfd } = neighbour;
  const { gracefulRestart = true } = neighbour;
  if (bfd !== undefined) throw new RangeError(`Cannot configure ${address}: OpenBGPD has no BFD`);
  if (extendedNextHop) throw new RangeError(`Cannot configure ${address}: OpenBGPD 7 has no IPv6 next hops for IPv4`);
  if (ttlSecurityHops !== undefined && ttlSecurityHops !== 1)
    throw new RangeError(`Cannot configure ${address}: OpenBGPD has TTL security for one hop only`);
  const families = familiesOf(neighbour);
  const settings = [
    `remote-as ${asn}`,
    multihop !== undefined && `multihop ${multihop}`,
    ttlSecurityHops !== undefined && "ttl-security yes",
    passive && "passive",
    password !== undefined && `tcp md5sig password ${quoted(password)}`,
    `holdtime ${holdTimeOf(neighbour).hold}`,
    `announce IPv4 ${families.includes("IPv4") ? "unicast" : "none"}`,
    `announce IPv6 ${families.includes("IPv6") ? "unicast" : "none"}`,
    `announce as-4byte ${fourOctetAsn ? "yes" : "no"}`,
    `announce restart ${gracefulRestart ? "yes" : "no"}`,
  ];
  return [
    `neighbor ${address} {`,
    ...settings.filter((setting) => typeof setting === "string").map((setting) => `  ${setting}`),
    "}",
  ];
}
