import type { Address, Family } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { Negotiated } from "../../session/state.ts";
import type { LocalEnd, RouteAttributes } from "../route.ts";

export function route(differences: Partial<RouteAttributes> = {}): RouteAttributes {
  return {
    localPref: undefined,
    med: undefined,
    asPathPrepend: 0,
    communities: [],
    largeCommunities: [],
    linkBandwidth: undefined,
    nextHop: undefined,
    ...differences,
  };
}

export function negotiated(differences: Partial<Negotiated> = {}): Negotiated {
  return {
    peerAsn: 64_512,
    peerRouterId: address("192.0.2.1"),
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    families: new Set<Family>(["IPv4", "IPv6"]),
    fourOctetAsn: true,
    extendedMessage: false,
    routeRefresh: true,
    enhancedRouteRefresh: false,
    extendedNextHop: false,
    gracefulRestart: false,
    gracefulNotification: false,
    longLivedGracefulRestart: false,
    peerRole: undefined,
    addPath: new Set(),
    ...differences,
  };
}

/** An eBGP session of AS 64500 at 192.0.2.10 and 2001:db8::10. */
export function localEnd(differences: Partial<LocalEnd> = {}): LocalEnd {
  const addresses = new Map<Family, Address>([
    ["IPv4", address("192.0.2.10")],
    ["IPv6", address("2001:db8::10")],
  ]);
  return { asn: 64_500, internal: false, addresses, linkLocal: undefined, unnumbered: false, ...differences };
}
