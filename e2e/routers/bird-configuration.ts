import type { Family } from "#pkg/net";
import { familiesOf, familyOf, holdTimeOf, type Neighbour, quoted, type RouterConfiguration, scoped } from "./configuration.ts";

/** The name of BIRD's protocol for the neighbour at this index. */
export function birdProtocol(index: number): string {
  return `neighbour${index + 1}`;
}

const channels: Readonly<Record<Family, string>> = { IPv4: "ipv4", IPv6: "ipv6" };

/** `bird.conf` of BIRD 2. BGP's routes go to the kernel; the kernel's own ones resolve next hops behind routers. */
export function birdConfiguration({
  asn,
  routerId,
  neighbours,
  kernel = true,
  multipath = 1,
  networks = [],
}: RouterConfiguration): string {
  const kernelTable = (family: Family): string => `protocol kernel {
  learn;
  merge paths on limit ${multipath};
  ${channels[family]} { import all; export where source = RTS_BGP; };
}`;
  const own = (family: Family): string => {
    const routes = networks.filter((prefix) => familyOf(prefix) === family);
    return `protocol static networks_${channels[family]} {
  ${channels[family]};
${routes.map((prefix) => `  route ${prefix} blackhole;\n`).join("")}}`;
  };
  const parts = [
    "log stderr all;",
    `router id ${routerId};`,
    "protocol device { scan time 1; }",
    "protocol direct { ipv4; ipv6; }",
    ...(kernel ? [kernelTable("IPv4"), kernelTable("IPv6")] : []),
    own("IPv4"),
    own("IPv6"),
    "protocol bfd {}",
    ...neighbours.map((neighbour, index) => protocol(neighbour, birdProtocol(index), asn)),
  ];
  return `${parts.join("\n")}\n`;
}

function protocol(neighbour: Neighbour, name: string, ownAsn: number): string {
  const { address, asn, passive, multihop, ttlSecurityHops, password, extendedNextHop, fourOctetAsn = true, bfd } = neighbour;
  const { ip, interfaceName } = scoped(address);
  const { hold, keepalive } = holdTimeOf(neighbour);
  const { gracefulRestart = true } = neighbour;
  // BIRD counts in hops what others count in TTL, and with TTL security the hops are those.
  const hops = ttlSecurityHops ?? multihop;
  const lines = [
    `local as ${ownAsn}`,
    `neighbor ${ip} as ${asn}`,
    interfaceName !== undefined && `interface ${quoted(interfaceName)}`,
    hops === undefined || hops === 1 ? "direct" : `multihop ${hops}`,
    ttlSecurityHops !== undefined && "ttl security on",
    passive && "passive on",
    password !== undefined && `password ${quoted(password)}`,
    `hold time ${hold}`,
    `keepalive time ${keepalive}`,
    // A test does not wait for the minute that BIRD gives a neighbour to think about its errors.
    ...["connect delay time 1", "connect retry time 1", "error wait time 1, 2"],
    `graceful restart ${gracefulRestart ? "on" : "off"}`,
    !fourOctetAsn && "enable as4 off",
    bfd !== undefined && `bfd { interval ${bfd.intervalMs} ms; multiplier ${bfd.multiplier}; }`,
    ...familiesOf(neighbour).map((family) => {
      const next = extendedNextHop && family === "IPv4" ? " extended next hop on;" : "";
      return `${channels[family]} { import all; export where proto = "networks_${channels[family]}";${next} }`;
    }),
  ];
  const text = lines.filter((line) => typeof line === "string").map((line) => `  ${line};\n`);
  return `protocol bgp ${name} {\n${text.join("")}}`;
}
