import type { Family } from "#pkg/net";
import { familiesOf, familyOf, holdTimeOf, type Neighbor, type RouterConfiguration, scoped } from "./configuration.ts";
import { communityText, type NeighborStatus, originOf, type Route, sessionState } from "./router.ts";

const names: Readonly<Record<Family, string>> = { IPv4: "ipv4", IPv6: "ipv6" };

/** The configuration of FRR's bgpd. */
export function frrConfiguration(configuration: RouterConfiguration): string {
  const { asn, routerId, neighbors, multipath = 1, networks = [], confederation } = configuration;
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
    ...(confederation === undefined ? [] : [` bgp confederation identifier ${confederation.asn}`]),
    ...(confederation === undefined ? [] : [` bgp confederation peers ${confederation.members.join(" ")}`]),
    " no bgp ebgp-requires-policy",
    " no bgp default ipv4-unicast",
    " no bgp network import-check",
    " bgp bestpath as-path multipath-relax",
    ...family("IPv4"),
    ...family("IPv6"),
    ...neighbors.flatMap(frrNeighbor),
  ];
  return `${lines.join("\n")}\n`;
}

/** The lines, inside `router bgp`, that make a neighbor. */
export function frrNeighbor(neighbor: Neighbor): string[] {
  const { asn, passive, multihop, ttlSecurityHops, password, extendedNextHop, fourOctetAsn = true, bfd } = neighbor;
  const { gracefulRestart = true, maxPrefixes, addPath } = neighbor;
  if (!fourOctetAsn) throw new RangeError(`Cannot configure ${neighbor.address}: FRR always offers AS numbers of four octets`);
  if (password?.includes(" ")) throw new RangeError(`Cannot configure ${neighbor.address}: FRR's passwords have no blanks`);
  const { ip, interfaceName } = scoped(neighbor.address);
  const { hold, keepalive } = holdTimeOf(neighbor);
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
    neighbor.role !== undefined && `local-role ${neighbor.role.own}${neighbor.role.strict ? " strict-mode" : ""}`,
    !gracefulRestart && "graceful-restart-disable", // A helper by itself.
    bfd !== undefined && `bfd ${bfd.multiplier} ${bfd.intervalMs} ${bfd.intervalMs}`,
  ];
  return [
    ...settings.filter((setting) => typeof setting === "string").map((setting) => ` neighbor ${ip} ${setting}`),
    ...familiesOf(neighbor).flatMap((family) => [
      ` address-family ${names[family]} unicast`,
      `  neighbor ${ip} activate`,
      ...(addPath === false ? [`  neighbor ${ip} disable-addpath-rx`] : []),
      ...(maxPrefixes === undefined ? [] : [`  neighbor ${ip} maximum-prefix ${maxPrefixes}`]),
      " exit-address-family",
    ]),
  ];
}

interface FrrPath {
  readonly aspath?: { readonly segments: readonly { readonly list: readonly number[] }[] };
  readonly stale?: boolean;
  readonly origin: string;
  readonly metric?: number;
  readonly locPrf?: number;
  readonly bestpath?: { readonly overall?: boolean };
  readonly community?: { readonly list: readonly string[] };
  readonly extendedCommunity?: { readonly string: string };
  readonly largeCommunity?: { readonly list: readonly string[] };
  readonly nexthops: readonly { readonly ip: string }[];
  readonly peer?: { readonly peerId: string };
}

/** `show bgp FAMILY unicast json detail`; of own networks nothing. */
export function parseFrrRoutes(json: string): Route[] {
  const { routes = {} } = JSON.parse(json) as { routes?: Record<string, (FrrPath | { prefix: string })[]> };
  return Object.entries(routes).flatMap(([prefix, entries]) =>
    entries
      .filter((entry): entry is FrrPath => "nexthops" in entry) // The first is about the prefix itself.
      .filter(({ peer }) => peer !== undefined && peer.peerId !== "::" && peer.peerId !== "0.0.0.0")
      .map((path) => route(prefix, path)),
  );
}

function route(prefix: string, path: FrrPath): Route {
  const bandwidth = /\bLB:\d+:(\d+)/.exec(path.extendedCommunity?.string ?? "")?.[1];
  return {
    prefix,
    from: path.peer?.peerId ?? "",
    nextHops: path.nexthops.map(({ ip }) => ip),
    asPath: (path.aspath?.segments ?? []).flatMap(({ list }) => list),
    origin: originOf(path.origin),
    med: path.metric,
    localPref: path.locPrf,
    communities: (path.community?.list ?? []).map(communityText),
    largeCommunities: path.largeCommunity?.list ?? [],
    linkBandwidth: bandwidth === undefined ? undefined : Number(bandwidth),
    best: path.bestpath?.overall ?? false,
    stale: path.stale ?? false,
  };
}

interface FrrNeighbor {
  readonly bgpState: string;
  readonly bgpTimerUpMsec?: number;
  readonly lastNotificationReason?: string;
  readonly lastResetDueTo?: string;
  /** The text of the other side's shutdown (RFC 9003). */
  readonly lastShutdownDescription?: string;
  readonly addressFamilyInfo?: Readonly<Record<string, { readonly acceptedPrefixCounter?: number }>>;
}

/** `show bgp neighbors json` */
export function parseFrrNeighbors(json: string): NeighborStatus[] {
  const neighbors = Object.entries(JSON.parse(json) as Record<string, FrrNeighbor>).filter(([, value]) => value.bgpState);
  return neighbors.map(([address, { bgpState, bgpTimerUpMsec, addressFamilyInfo, ...last }]) => {
    const why = [last.lastNotificationReason ?? last.lastResetDueTo, last.lastShutdownDescription];
    return {
      address,
      state: sessionState(bgpState),
      seconds: bgpTimerUpMsec === undefined ? undefined : Math.floor(bgpTimerUpMsec / 1000),
      lastError: why.filter(Boolean).join(": ") || undefined,
      prefixes: Object.values(addressFamilyInfo ?? {}).reduce((sum, family) => sum + (family.acceptedPrefixCounter ?? 0), 0),
    };
  });
}
