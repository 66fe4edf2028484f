import { passwordHere, type RouterSide } from "./router-side.ts";

/** For RouterOS 7. */
export function mikrotik(side: RouterSide): string[] {
  const { label, asn, nodeAsn, nodes, families, routes, hasPassword, bfd, multihop } = side;
  const role = asn === nodeAsn ? "ibgp" : "ebgp";
  const address = families.map((family) => (family === "IPv4" ? "ip" : "ipv6")).join(",");
  const settings = [
    `as=${asn} remote.as=${nodeAsn} local.role=${role} address-families=${address}`,
    `input.filter=${label}-in output.filter-chain=${label}-out`,
    ...(hasPassword ? [`tcp-md5-key="${passwordHere}"`] : []),
    ...(multihop === undefined ? [] : ["multihop=yes"]),
    ...(bfd === undefined ? [] : ["use-bfd=yes"]),
  ].join(" ");
  return [
    "# RouterOS uses several routes to one prefix from version 7.20 on; before, one node gets all traffic.",
    ...routes.map(
      ({ prefix, length }) =>
        `/routing/filter/rule add chain=${label}-in rule="if (dst in ${prefix} && dst-len == ${length}) { accept }"`,
    ),
    `/routing/filter/rule add chain=${label}-in rule="reject"`,
    `/routing/filter/rule add chain=${label}-out rule="reject"`,
    ...(bfd === undefined
      ? []
      : [
          `/routing/bfd/configuration add addresses=${nodes.map((node) => node.address).join(",")} min-rx=${bfd.receiveIntervalMs}ms min-tx=${bfd.transmitIntervalMs}ms multiplier=${bfd.detectMultiplier}`,
        ]),
    ...nodes.map(
      ({ name, address: remote }) => `/routing/bgp/connection add name="${label}-${name}" remote.address=${remote} ${settings}`,
    ),
  ];
}
