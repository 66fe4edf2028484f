import { familiesOf, holdTimeOf, type Neighbor, quoted, type RouterConfiguration } from "./configuration.ts";
import { communityText, type NeighborStatus, originOf, type Route, sessionState } from "./router.ts";

/** `bgpd.conf` of OpenBGPD, whose portable version has no part in the kernel's routes. @param socket for bgpctl */
export function openbgpdConfiguration(configuration: RouterConfiguration, socket: string): string {
  const { asn, routerId, neighbors, networks = [] } = configuration;
  if (configuration.confederation !== undefined)
    throw new RangeError(`Cannot configure ${routerId}: OpenBGPD has no confederations`);
  const lines = [
    `AS ${asn}`,
    `router-id ${routerId}`,
    `socket ${quoted(socket)}`,
    "connect-retry 1",
    ...networks.map((prefix) => `network ${prefix}`),
    ...neighbors.flatMap(block),
    "allow from any",
    "allow to any",
  ];
  return `${lines.join("\n")}\n`;
}

function block(neighbor: Neighbor): string[] {
  const { address, asn, passive, multihop, ttlSecurityHops, password, extendedNextHop, fourOctetAsn = true, bfd } = neighbor;
  const { gracefulRestart = true, maxPrefixes } = neighbor;
  if (bfd !== undefined) throw new RangeError(`Cannot configure ${address}: OpenBGPD has no BFD`);
  if (extendedNextHop) throw new RangeError(`Cannot configure ${address}: OpenBGPD 7 has no IPv6 next hops for IPv4`);
  if (ttlSecurityHops !== undefined && ttlSecurityHops !== 1)
    throw new RangeError(`Cannot configure ${address}: OpenBGPD has TTL security for one hop only`);
  const families = familiesOf(neighbor);
  const settings = [
    `remote-as ${asn}`,
    multihop !== undefined && `multihop ${multihop}`,
    ttlSecurityHops !== undefined && "ttl-security yes",
    passive && "passive",
    password !== undefined && `tcp md5sig password ${quoted(password)}`,
    maxPrefixes !== undefined && `max-prefix ${maxPrefixes}`,
    `holdtime ${holdTimeOf(neighbor).hold}`,
    `announce IPv4 ${families.includes("IPv4") ? "unicast" : "none"}`,
    `announce IPv6 ${families.includes("IPv6") ? "unicast" : "none"}`,
    `announce as-4byte ${fourOctetAsn ? "yes" : "no"}`,
    `announce restart ${gracefulRestart ? "yes" : "no"}`,
    neighbor.addPath && "announce add-path recv yes",
  ];
  return [
    `neighbor ${address} {`,
    ...settings.filter((setting) => typeof setting === "string").map((setting) => `  ${setting}`),
    "}",
  ];
}

interface OpenbgpdPath {
  readonly prefix: string;
  readonly aspath: string;
  readonly exit_nexthop: string;
  readonly neighbor: { readonly remote_addr: string };
  readonly best?: boolean;
  readonly stale?: boolean;
  readonly origin: string;
  readonly metric: number;
  readonly localpref: number;
  readonly communities?: readonly string[];
  readonly extended_communities?: readonly string[];
  readonly large_communities?: readonly string[];
}

/** `bgpctl -j show rib detail`; of own networks nothing. */
export function parseOpenbgpdRoutes(json: string): Route[] {
  const { rib = [] } = JSON.parse(json) as { rib?: OpenbgpdPath[] };
  return rib.filter(({ neighbor }) => neighbor.remote_addr !== "???").map(route);
}

function route(path: OpenbgpdPath): Route {
  const { prefix, neighbor, aspath, localpref, metric } = path;
  return {
    prefix,
    from: neighbor.remote_addr,
    nextHops: [path.exit_nexthop],
    asPath: aspath === "" ? [] : aspath.split(" ").map(Number),
    origin: originOf(path.origin),
    med: metric === 0 ? undefined : metric, // It prints 0 for none.
    localPref: localpref,
    communities: (path.communities ?? []).map(communityText),
    largeCommunities: path.large_communities ?? [],
    linkBandwidth: undefined,
    best: path.best ?? false,
    stale: path.stale ?? false,
  };
}

interface OpenbgpdNeighbor {
  readonly remote_addr: string;
  readonly state: string;
  readonly last_updown_sec: number;
  readonly last_error?: string;
  readonly last_shutdown_reason?: string;
  readonly stats: { readonly prefixes: { readonly received: number } };
}

/** `bgpctl -j show neighbor` */
export function parseOpenbgpdNeighbors(json: string): NeighborStatus[] {
  const { neighbors = [] } = JSON.parse(json) as { neighbors?: OpenbgpdNeighbor[] };
  return neighbors.map(({ remote_addr, state, last_updown_sec, last_error, last_shutdown_reason, stats }) => ({
    address: remote_addr,
    state: sessionState(state),
    seconds: last_updown_sec < 0 ? undefined : last_updown_sec,
    lastError: last_shutdown_reason ?? last_error,
    prefixes: stats.prefixes.received,
  }));
}
