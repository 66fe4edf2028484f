import { communityText, originOf } from "./communities.ts";
import type { NeighbourStatus, Route } from "./router.ts";
import { sessionState } from "./session-state.ts";

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

interface FrrNeighbour {
  readonly bgpState: string;
  readonly bgpTimerUpMsec?: number;
  readonly lastNotificationReason?: string;
  readonly lastResetDueTo?: string;
  readonly addressFamilyInfo?: Readonly<Record<string, { readonly acceptedPrefixCounter?: number }>>;
}

/** `show bgp neighbors json` */
export function parseFrrNeighbours(json: string): NeighbourStatus[] {
  const neighbours = Object.entries(JSON.parse(json) as Record<string, FrrNeighbour>).filter(([, value]) => value.bgpState);
  return neighbours.map(([address, { bgpState, bgpTimerUpMsec, lastNotificationReason, lastResetDueTo, addressFamilyInfo }]) => ({
    address,
    state: sessionState(bgpState),
    seconds: bgpTimerUpMsec === undefined ? undefined : Math.floor(bgpTimerUpMsec / 1000),
    lastError: lastNotificationReason ?? lastResetDueTo,
    prefixes: Object.values(addressFamilyInfo ?? {}).reduce((sum, family) => sum + (family.acceptedPrefixCounter ?? 0), 0),
  }));
}
