import { passwordHere, type RouterSide } from "./router-side.ts";

/** For OpenBGPD. The last rule that matches counts, so these go behind your own. */
export function openbgpd(side: RouterSide): string[] {
  const { label, nodeAsn, nodes, families, routes, hasPassword, hasAddPath, bfd, multihop, ttlSecurityHops } = side;
  const one = (has: boolean): string => (has ? "unicast" : "none");
  return [
    ...(bfd === undefined ? [] : ["# OpenBGPD has no BFD: take bfd-profile from the peer"]),
    `prefix-set "${label}" {`,
    ...routes.map(({ prefix, length }) => `  ${prefix}${length === prefix.length ? "" : ` prefixlen = ${length}`}`),
    "}",
    `group "${label}" {`,
    `  remote-as ${nodeAsn}`,
    ...(hasPassword ? [`  tcp md5sig password "${passwordHere}"`] : []),
    ...(multihop === undefined ? [] : [`  multihop ${multihop}`]),
    ...(ttlSecurityHops === 1 ? ["  ttl-security yes"] : []),
    `  announce IPv4 ${one(families.includes("IPv4"))}`,
    `  announce IPv6 ${one(families.includes("IPv6"))}`,
    ...(hasAddPath ? ["  announce add-path recv yes"] : []),
    ...nodes.map(({ name, address }) => `  neighbor ${address} { descr "${name}" }`),
    "}",
    `deny from group "${label}"`,
    `allow from group "${label}" prefix-set "${label}"`,
    `deny to group "${label}"`,
  ];
}
