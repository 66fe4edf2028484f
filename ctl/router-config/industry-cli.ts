import type { Family } from "#pkg/net";
import { type AllowedRoutes, passwordHere, type RouterSide, routesOf } from "./router-side.ts";

/** Where the many routers with this kind of command line differ. */
interface Flavor {
  /** How a group of neighbors is made, and named as one's own. */
  readonly group: "peer-group" | "peer group";
  /** `address-family FAMILY` and this. */
  readonly unicast: " unicast" | "";
  readonly exit: string;
  /** Ends sections of its own by `exit`. */
  readonly multipath: (paths: number, isInternal: boolean) => string;
  readonly isMultipathInFamily: boolean;
  /** Lines before `router bgp`, and settings of the group. */
  readonly bfd: (side: RouterSide) => { readonly before: readonly string[]; readonly settings: readonly string[] };
}

const frr: Flavor = {
  group: "peer-group",
  unicast: " unicast",
  exit: "exit-address-family",
  multipath: (paths, isInternal) => `maximum-paths ${isInternal ? "ibgp " : ""}${paths}`,
  isMultipathInFamily: true,
  bfd: ({ label, bfd }) => ({
    before: bfd
      ? [
          "bfd",
          ` profile ${label}`,
          `  detect-multiplier ${bfd.detectMultiplier}`,
          `  receive-interval ${bfd.receiveIntervalMs}`,
          `  transmit-interval ${bfd.transmitIntervalMs}`,
          " exit",
          "exit",
        ]
      : [],
    settings: bfd ? ["bfd", `bfd profile ${label}`] : [],
  }),
};

const flavors = {
  frr,
  quagga: {
    ...frr,
    unicast: "",
    bfd: ({ bfd }) => ({ before: bfd ? ["! Quagga has no BFD: take bfd-profile from the peer"] : [], settings: [] }),
  },
  ios: {
    ...frr,
    bfd: ({ bfd }) => ({
      before: bfd
        ? [
            "! On the interface that leads to the nodes:",
            `!  bfd interval ${bfd.transmitIntervalMs} min_rx ${bfd.receiveIntervalMs} multiplier ${bfd.detectMultiplier}`,
          ]
        : [],
      settings: bfd ? ["fall-over bfd"] : [],
    }),
  },
  eos: {
    ...frr,
    group: "peer group",
    unicast: "",
    exit: "exit",
    multipath: (paths) => `maximum-paths ${paths} ecmp ${paths}`,
    isMultipathInFamily: false,
    bfd: ({ bfd }) => ({
      before: [],
      settings: bfd
        ? ["bfd", `bfd interval ${bfd.transmitIntervalMs} min-rx ${bfd.receiveIntervalMs} multiplier ${bfd.detectMultiplier}`]
        : [],
    }),
  },
} as const satisfies Record<string, Flavor>;

const ip: Readonly<Record<Family, string>> = { IPv4: "ip", IPv6: "ipv6" };
const familyName: Readonly<Record<Family, string>> = { IPv4: "ipv4", IPv6: "ipv6" };

/** For routers with FRR's, Quagga's, IOS's or EOS's command line. */
export function industryCli(flavor: keyof typeof flavors): (side: RouterSide) => string[] {
  return (side) => lines(side, flavors[flavor]);
}

function lines(side: RouterSide, flavor: Flavor): string[] {
  const { label, asn, nodeAsn, nodes, paths, families, hasPassword, multihop, ttlSecurityHops } = side;
  const { before, settings } = flavor.bfd(side);
  const multipath = flavor.multipath(paths, asn === nodeAsn);
  const ofGroup = [
    `remote-as ${nodeAsn}`,
    ...(hasPassword ? [`password ${passwordHere}`] : []),
    ...(multihop === undefined ? [] : [`ebgp-multihop ${multihop}`]),
    ...(ttlSecurityHops === undefined ? [] : [`ttl-security hops ${ttlSecurityHops}`]),
    ...settings,
  ];
  return [
    ...families.flatMap((family) => filter(side, family)),
    `route-map ${label}-out deny 10`,
    "!",
    ...before,
    `router bgp ${asn}`,
    ` neighbor ${label} ${flavor.group}`,
    ...ofGroup.map((setting) => ` neighbor ${label} ${setting}`),
    ...nodes.flatMap(({ name, address }) => [
      ` neighbor ${address} ${flavor.group} ${label}`,
      ` neighbor ${address} description ${name}`,
    ]),
    ...(flavor.isMultipathInFamily ? [] : [` ${multipath}`]),
    ...families.flatMap((family) => [
      ` address-family ${familyName[family]}${flavor.unicast}`,
      ...(flavor.isMultipathInFamily ? [`  ${multipath}`] : []),
      `  neighbor ${label} activate`,
      `  neighbor ${label} route-map ${label}-${familyName[family]} in`,
      `  neighbor ${label} route-map ${label}-out out`,
      ` ${flavor.exit}`,
    ]),
    "exit",
  ];
}

function filter(side: RouterSide, family: Family): string[] {
  const name = `${side.label}-${familyName[family]}`;
  const allowed = routesOf(side, family);
  if (allowed.length === 0) return [`route-map ${name} deny 10`, "!"]; // By a list that is not there, IOS lets everything in.
  return [
    ...allowed.map((routes, index) => `${ip[family]} prefix-list ${name} seq ${5 * (index + 1)} permit ${prefixText(routes)}`),
    `route-map ${name} permit 10`,
    ` match ${ip[family]} address prefix-list ${name}`,
    "!",
  ];
}

function prefixText({ prefix, length }: AllowedRoutes): string {
  return length === prefix.length ? `${prefix}` : `${prefix} ge ${length} le ${length}`;
}
