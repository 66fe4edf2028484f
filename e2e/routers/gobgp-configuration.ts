import type { Family } from "#pkg/net";
import { familiesOf, holdTimeOf, type Neighbour, quoted, type RouterConfiguration } from "./configuration.ts";

export const gobgpFamily: Readonly<Record<Family, string>> = { IPv4: "ipv4", IPv6: "ipv6" };

/** GoBGP's configuration in TOML. It has no part in the kernel's routes, and announces networks only by command. */
export function gobgpConfiguration({ asn, routerId, neighbours }: RouterConfiguration): string {
  const lines = ["[global.config]", `as = ${asn}`, `router-id = ${quoted(routerId)}`, ...neighbours.flatMap(tables)];
  return `${lines.join("\n")}\n`;
}

function tables(neighbour: Neighbour): string[] {
  const { address, asn, passive = false, multihop, ttlSecurityHops, password, fourOctetAsn = true, bfd } = neighbour;
  const { gracefulRestart = true } = neighbour;
  if (!fourOctetAsn) throw new RangeError(`Cannot configure ${address}: GoBGP always offers AS numbers of four octets`);
  if (bfd !== undefined) throw new RangeError(`Cannot configure ${address}: GoBGP has no BFD`);
  const { hold, keepalive } = holdTimeOf(neighbour);
  return [
    ...["[[neighbors]]", "[neighbors.config]", `neighbor-address = ${quoted(address)}`, `peer-as = ${asn}`],
    ...(password === undefined ? [] : [`auth-password = ${quoted(password)}`]),
    ...["[neighbors.timers.config]", `hold-time = ${hold}`, `keepalive-interval = ${keepalive}`],
    // In seconds; by itself it would be idle for half a minute after each error.
    ...["connect-retry = 1", "idle-hold-time-after-reset = 1"],
    ...["[neighbors.transport.config]", `passive-mode = ${passive}`],
    ...(multihop === undefined ? [] : ["[neighbors.ebgp-multihop.config]", "enabled = true", `multihop-ttl = ${multihop}`]),
    ...(ttlSecurityHops === undefined
      ? []
      : ["[neighbors.ttl-security.config]", "enabled = true", `ttl-min = ${256 - ttlSecurityHops}`]),
    ...["[neighbors.graceful-restart.config]", `enabled = ${gracefulRestart}`, "restart-time = 120"],
    ...familiesOf(neighbour).flatMap((family) => [
      ...["[[neighbors.afi-safis]]", "[neighbors.afi-safis.config]", `afi-safi-name = "${gobgpFamily[family]}-unicast"`],
      ...["[neighbors.afi-safis.mp-graceful-restart.config]", `enabled = ${gracefulRestart}`],
    ]),
  ];
}
