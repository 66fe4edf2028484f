import type { Family } from "#pkg/net";
import { passwordHere, type RouterSide, routesOf } from "./router-side.ts";

const families: Readonly<Record<Family, string>> = { IPv4: "ipv4", IPv6: "ipv6" };

/** For GoBGP, as TOML. Policies stand at the end of the file: `gobgpOnce`. */
export function gobgp(side: RouterSide): string[] {
  const { label, nodeAsn, nodes, hasPassword, hasAddPath, bfd, multihop, ttlSecurityHops } = side;
  const neighbor = (name: string, address: string): string[] => [
    "[[neighbors]]",
    "[neighbors.config]",
    `neighbor-address = "${address}"`,
    `peer-as = ${nodeAsn}`,
    `description = "${name}"`,
    ...(hasPassword ? [`auth-password = "${passwordHere}"`] : []),
    ...(multihop === undefined ? [] : ["[neighbors.ebgp-multihop.config]", "enabled = true", `multihop-ttl = ${multihop}`]),
    ...(ttlSecurityHops === undefined
      ? []
      : ["[neighbors.ttl-security.config]", "enabled = true", `ttl-min = ${256 - ttlSecurityHops}`]),
    ...(hasAddPath ? ["[neighbors.add-paths.config]", "receive = true"] : []),
    ...["[neighbors.timers.config]", "connect-retry = 5", "idle-hold-time-after-reset = 5"],
    ...["[neighbors.graceful-restart.config]", "enabled = true", "restart-time = 120"],
    ...side.families.flatMap((family) => [
      ...["[[neighbors.afi-safis]]", "[neighbors.afi-safis.config]", `afi-safi-name = "${families[family]}-unicast"`],
      ...["[neighbors.afi-safis.mp-graceful-restart.config]", "enabled = true"],
    ]),
  ];
  return [
    ...(bfd === undefined ? [] : ["# GoBGP has no BFD: take bfd-profile from the peer"]),
    ...nodes.flatMap(({ name, address }) => neighbor(name, `${address}`)),
    "[[defined-sets.neighbor-sets]]",
    `neighbor-set-name = "${label}"`,
    `neighbor-info-list = [${nodes.map(({ address }) => `"${address}"`).join(", ")}]`,
    ...side.families.filter((family) => routesOf(side, family).length > 0).flatMap((family) => prefixSet(side, family)),
    "[[policy-definitions]]",
    `name = "${label}"`,
    ...side.families.flatMap((family) => [
      ...["[[policy-definitions.statements]]", "[policy-definitions.statements.conditions.match-neighbor-set]"],
      `neighbor-set = "${label}"`,
      ...(routesOf(side, family).length > 0
        ? [
            "[policy-definitions.statements.conditions.match-prefix-set]",
            ...[`prefix-set = "${label}-${families[family]}"`, 'match-set-options = "invert"'],
          ]
        : [
            // A set without prefixes is of no family, and so is no opposite of any route.
            "[policy-definitions.statements.conditions.bgp-conditions]",
            `afi-safi-in-list = ["${families[family]}-unicast"]`,
          ]),
      ...["[policy-definitions.statements.actions]", 'route-disposition = "reject-route"'],
    ]),
  ];
}

function prefixSet(side: RouterSide, family: Family): string[] {
  return [
    "[[defined-sets.prefix-sets]]",
    `prefix-set-name = "${side.label}-${families[family]}"`,
    ...routesOf(side, family).flatMap(({ prefix, length }) => [
      "[[defined-sets.prefix-sets.prefix-list]]",
      `ip-prefix = "${prefix}"`,
      `masklength-range = "${length}..${length}"`,
    ]),
  ];
}

/** Once in a configuration, before the neighbors: what all sides need together. */
export function gobgpOnce(sides: readonly RouterSide[]): string[] {
  const names = sides.map(({ label }) => `"${label}"`);
  return [
    "# In the tables that are there: use-multiple-paths, and the policies beside your own.",
    "[global.use-multiple-paths.config]",
    "enabled = true",
    "[global.apply-policy.config]",
    `import-policy-list = [${names.join(", ")}]`,
    'default-import-policy = "accept-route"',
  ];
}
