import type { Family } from "#pkg/net";
import { familiesOf, holdTimeOf, type Neighbor, quoted, type RouterConfiguration } from "./configuration.ts";
import { type NeighborStatus, originOf, type Route, type SessionState } from "./router.ts";

export const gobgpFamily: Readonly<Record<Family, string>> = { IPv4: "ipv4", IPv6: "ipv6" };

/** GoBGP's configuration in TOML. It has no part in the kernel's routes, and announces networks only by command. */
export function gobgpConfiguration({ asn, routerId, neighbors, confederation }: RouterConfiguration): string {
  const lines = [
    ...["[global.config]", `as = ${asn}`, `router-id = ${quoted(routerId)}`],
    ...(confederation === undefined
      ? []
      : ["[global.confederation.config]", "enabled = true", `identifier = ${confederation.asn}`]),
    ...(confederation === undefined ? [] : [`member-as-list = [${confederation.members.join(", ")}]`]),
    ...neighbors.flatMap(tables),
  ];
  return `${lines.join("\n")}\n`;
}

function tables(neighbor: Neighbor): string[] {
  const { address, asn, passive = false, multihop, ttlSecurityHops, password, fourOctetAsn = true, bfd } = neighbor;
  const { gracefulRestart = true } = neighbor;
  if (!fourOctetAsn) throw new RangeError(`Cannot configure ${address}: GoBGP always offers AS numbers of four octets`);
  if (neighbor.maxPrefixes !== undefined)
    throw new RangeError(`Cannot configure ${address}: a limit of prefixes is not written for GoBGP`);
  if (bfd !== undefined) throw new RangeError(`Cannot configure ${address}: GoBGP has no BFD`);
  const { hold, keepalive } = holdTimeOf(neighbor);
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
    ...familiesOf(neighbor).flatMap((family) => [
      ...["[[neighbors.afi-safis]]", "[neighbors.afi-safis.config]", `afi-safi-name = "${gobgpFamily[family]}-unicast"`],
      ...["[neighbors.afi-safis.mp-graceful-restart.config]", `enabled = ${gracefulRestart}`],
      ...(neighbor.addPath ? ["[neighbors.afi-safis.add-paths.config]", "receive = true"] : []),
    ]),
  ];
}

/** A path attribute by its type on the wire, as far as GoBGP's JSON has it. */
interface Attribute {
  readonly type: number;
  readonly value?: unknown;
  readonly as_paths?: readonly { readonly asns: readonly number[] }[];
  readonly nexthop?: string;
  readonly metric?: number;
  readonly communities?: readonly number[];
}

interface GobgpPath {
  readonly attrs: readonly Attribute[];
  readonly best?: boolean;
  readonly stale?: boolean;
  readonly "neighbor-ip"?: string;
}

const attributeType = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  med: 4,
  localPref: 5,
  communities: 8,
  reachable: 14,
  extendedCommunities: 16,
  largeCommunities: 32,
} as const;

const origins = ["igp", "egp", "incomplete"];

/** `gobgp -j global rib`; of own networks nothing. */
export function parseGobgpRoutes(json: string): Route[] {
  const table = JSON.parse(json) as Record<string, GobgpPath[]>;
  return Object.entries(table).flatMap(([prefix, paths]) =>
    paths.flatMap((path) => (path["neighbor-ip"] === undefined ? [] : [route(prefix, path["neighbor-ip"], path)])),
  );
}

function route(prefix: string, from: string, path: GobgpPath): Route {
  const attribute = (type: keyof typeof attributeType): Attribute | undefined =>
    path.attrs.find((each) => each.type === attributeType[type]);
  const number = (type: keyof typeof attributeType): number | undefined => attribute(type)?.value as number | undefined;
  const large = (attribute("largeCommunities")?.value ?? []) as { ASN: number; LocalData1: number; LocalData2: number }[];
  const extended = (attribute("extendedCommunities")?.value ?? []) as { bandwidth?: number }[];
  const nextHop = (attribute("reachable") ?? attribute("nextHop"))?.nexthop;
  return {
    prefix,
    from,
    nextHops: nextHop === undefined ? [] : [nextHop],
    asPath: (attribute("asPath")?.as_paths ?? []).flatMap(({ asns }) => asns),
    origin: originOf(origins[number("origin") ?? 2] ?? ""),
    med: attribute("med")?.metric,
    localPref: number("localPref"),
    communities: (attribute("communities")?.communities ?? []).map((bits) => `${bits >>> 16}:${bits & 0xffff}`),
    largeCommunities: large.map(({ ASN, LocalData1, LocalData2 }) => `${ASN}:${LocalData1}:${LocalData2}`),
    linkBandwidth: extended.find(({ bandwidth }) => bandwidth !== undefined)?.bandwidth,
    best: path.best ?? false,
    stale: path.stale ?? false,
  };
}

const states: readonly SessionState[] = ["idle", "idle", "connect", "active", "openSent", "openConfirm", "established"];

interface GobgpNeighbor {
  readonly conf: { readonly neighbor_address: string };
  readonly state: { readonly session_state?: number; readonly disconnect_message?: string };
  readonly timers?: { readonly state?: { readonly uptime?: { readonly seconds: number } } };
  readonly afi_safis?: readonly { readonly state?: { readonly received?: number } }[];
}

/** `gobgp -j neighbor`. @param now seconds since 1970 */
export function parseGobgpNeighbors(json: string, now: number): NeighborStatus[] {
  return (JSON.parse(json) as GobgpNeighbor[]).map(({ conf, state, timers, afi_safis = [] }) => {
    const since = timers?.state?.uptime?.seconds;
    const current = states[state.session_state ?? 0] ?? "idle";
    return {
      address: conf.neighbor_address,
      state: current,
      seconds: current === "established" && since !== undefined ? now - since : undefined,
      lastError: state.disconnect_message || undefined,
      prefixes: afi_safis.reduce((sum, family) => sum + (family.state?.received ?? 0), 0),
    };
  });
}
