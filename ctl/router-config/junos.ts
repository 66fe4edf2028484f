import { passwordHere, type RouterSide } from "./router-side.ts";

export function junos(side: RouterSide): string[] {
  const { label, asn, nodeAsn, nodes, families, routes, hasPassword, bfd, multihop } = side;
  const isInternal = asn === nodeAsn;
  const [policy, group] = [`set policy-options policy-statement ${label}-in`, `set protocols bgp group ${label}`];
  return [
    ...routes.map(
      ({ prefix, length }, index) =>
        `${policy} term ${index + 1} from route-filter ${prefix} ${length === prefix.length ? "exact" : `prefix-length-range /${length}-/${length}`}`,
    ),
    ...routes.map((_, index) => `${policy} term ${index + 1} then accept`),
    `${policy} then reject`,
    `set policy-options policy-statement ${label}-out then reject`,
    `set policy-options policy-statement ${label}-ecmp then load-balance per-packet`,
    `set routing-options forwarding-table export ${label}-ecmp`,
    `set routing-options autonomous-system ${asn}`,
    `${group} type ${isInternal ? "internal" : "external"}`,
    ...(isInternal ? [] : [`${group} peer-as ${nodeAsn}`]),
    ...(hasPassword ? [`${group} authentication-key "${passwordHere}"`] : []),
    ...(multihop === undefined ? [] : [`${group} multihop ttl ${multihop}`]),
    ...(bfd === undefined
      ? []
      : [
          `${group} bfd-liveness-detection minimum-receive-interval ${bfd.receiveIntervalMs}`,
          `${group} bfd-liveness-detection transmit-interval minimum-interval ${bfd.transmitIntervalMs}`,
          `${group} bfd-liveness-detection multiplier ${bfd.detectMultiplier}`,
        ]),
    `${group} import ${label}-in`,
    `${group} export ${label}-out`,
    `${group} multipath`,
    ...families.map((family) => `${group} family ${family === "IPv4" ? "inet" : "inet6"} unicast`),
    ...nodes.map(({ name, address }) => `${group} neighbor ${address} description "${name}"`),
  ];
}
