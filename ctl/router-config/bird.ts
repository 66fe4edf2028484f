import type { Family } from "#pkg/net";
import { passwordHere, type RouterSide, routesOf } from "./router-side.ts";

const channels: Readonly<Record<Family, string>> = { IPv4: "ipv4", IPv6: "ipv6" };

/** For BIRD 2. */
export function bird(side: RouterSide): string[] {
  const { address: own, asn, nodeAsn, nodes, families, hasPassword, hasAddPath, bfd, multihop, ttlSecurityHops } = side;
  const addPath = hasAddPath ? "add paths rx; " : "";
  const name = side.label.replaceAll("-", "_");
  const hops = multihop ?? (ttlSecurityHops !== undefined && ttlSecurityHops > 1 ? ttlSecurityHops : undefined);
  // BIRD takes iBGP for multihop unless it is told otherwise, also for BFD; and BFD over several hops needs its own address.
  const isNear = hops === undefined && (asn !== nodeAsn || bfd !== undefined);
  const intervals = bfd && [
    `min rx interval ${bfd.receiveIntervalMs} ms;`,
    `min tx interval ${bfd.transmitIntervalMs} ms;`,
    `multiplier ${bfd.detectMultiplier};`,
  ];
  return [
    ...families.flatMap((family) => filter(side, family, name)),
    `template bgp ${name} {`,
    bfd !== undefined && hops !== undefined ? `  local ${own} as ${asn};` : `  local as ${asn};`,
    ...(hops !== undefined ? [`  multihop ${hops};`] : []),
    ...(isNear && asn === nodeAsn
      ? [`  # For nodes that are not on the link: local ${own} as ${asn}; multihop; in place of direct.`]
      : []),
    ...(isNear ? ["  direct;"] : []),
    ...(ttlSecurityHops === undefined ? [] : ["  ttl security on;"]),
    ...(hasPassword ? [`  password "${passwordHere}";`] : []),
    ...(intervals === undefined ? [] : [`  bfd { ${intervals.join(" ")} };`]),
    "  error wait time 5, 60; # Without this a node stays down for a minute after an error, and longer after more.",
    ...families.map((family) => `  ${channels[family]} { ${addPath}import filter ${name}_${channels[family]}; export none; };`),
    "}",
    ...nodes.flatMap(({ name: node, address }, index) => [
      `protocol bgp ${name}_${index + 1} from ${name} {`,
      `  description "${node}";`,
      `  neighbor ${address} as ${nodeAsn};`,
      "}",
    ]),
  ];
}

function filter(side: RouterSide, family: Family, name: string): string[] {
  const sets = routesOf(side, family).map(({ prefix, length }) => `${prefix}{${length},${length}}`);
  return [
    `filter ${name}_${channels[family]} {`,
    ...(sets.length === 0 ? [] : [`  if net ~ [ ${sets.join(", ")} ] then accept;`]),
    "  reject;",
    "}",
  ];
}

const maxMerged = 16; // Unless there is a limit.

/** Once in a configuration: what all sides need together. */
export function birdOnce(sides: readonly RouterSide[]): string[] {
  const paths = Math.max(...sides.map(({ paths }) => paths), 0);
  const limit = paths > maxMerged ? ` limit ${paths}` : "";
  return [
    `# Give the nodes' routes to the kernel together, in each \`protocol kernel\`: merge paths on${limit};`,
    ...(sides.some(({ bfd }) => bfd !== undefined) ? ["protocol bfd {} # Unless there is one."] : []),
  ];
}
