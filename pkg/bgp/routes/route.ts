import type { BgpRole } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import { asTrans, maxTwoOctetAsn } from "../codec/as-path.ts";
import type { LargeCommunity, PathAttributes } from "../codec/messages.ts";

/**
 * The attributes of a prefix as the configuration has them. Attributes that depend on the session (AS_PATH, NEXT_HOP, whether
 * LOCAL_PREF is sent) are added when the route is encoded. Prefixes with equal attributes share one object: they are compared
 * by identity, and travel in the same messages.
 */
export interface RouteAttributes {
  /** Sent on iBGP sessions only; 0 where undefined, as MetalLB sends it, so that nodes of both are equally good paths. */
  readonly localPref: number | undefined;
  readonly med: number | undefined;
  /** How often the own AS number is prepended beyond what eBGP demands; never on iBGP, where it would look like a loop. */
  readonly asPathPrepend: number;
  /** RFC 1997, ascending. */
  readonly communities: readonly number[];
  /** RFC 8092. */
  readonly largeCommunities: readonly LargeCommunity[];
  /** The octets a second of the link-bandwidth extended community (draft-ietf-idr-link-bandwidth); undefined for none. */
  readonly linkBandwidth: number | undefined;
  /** In place of this end of the session, for prefixes of its family. */
  readonly nextHop: Address | undefined;
  /** Marked with GRACEFUL_SHUTDOWN (RFC 8326): this node does not deliver what comes by the route. */
  readonly isLastResort?: boolean;
}

/** The part of a session that goes into the attributes of its routes. */
export interface LocalEnd {
  readonly asn: number;
  /** Both sides have the same AS number. */
  readonly internal: boolean;
  /** This side's address in the session and an address of the other family on the same interface, if there is one. */
  readonly addresses: ReadonlyMap<Family, Address>; // family -> next hop
  /** Of this side towards the peer (RFC 9234). */
  readonly role?: BgpRole | undefined;
  /** For IPv6 next hops on a link that both sides share (RFC 2545, section 3). */
  readonly linkLocal: Address | undefined;
  /** The sides share the link and nothing else: this side's IPv4 addresses may mean nothing to the other. */
  readonly unnumbered: boolean;
}

/** Roles of those who mark a route, so that it goes to customers alone from there (RFC 9234, section 5). */
const isDownhill: ReadonlySet<BgpRole | undefined> = new Set(["provider", "rs-server", "peer"]);

/** RFC 8326, section 5: the receiver prefers every other path. */
const gracefulShutdown = 0xffff_0000;

/**
 * The attributes as they are sent in a session, without next hops.
 * @param areAll all routes of the session are about to be withdrawn (RFC 8326)
 */
export function resolveAttributes(route: RouteAttributes, end: LocalEnd, areAll: boolean): PathAttributes {
  const leaving = areAll || route.isLastResort === true;
  const communities = leaving ? withCommunity(route.communities, gracefulShutdown) : route.communities;
  const { linkBandwidth, largeCommunities } = route;
  return {
    asPath: end.internal ? [] : new Array<number>(1 + route.asPathPrepend).fill(end.asn),
    med: route.med,
    localPref: end.internal ? (leaving ? 0 : (route.localPref ?? 0)) : undefined,
    communities: communities.length > 0 ? communities : undefined,
    extendedCommunities: linkBandwidth === undefined ? undefined : [linkBandwidthCommunity(end.asn, linkBandwidth)],
    largeCommunities: largeCommunities.length > 0 ? largeCommunities : undefined,
    onlyToCustomer: isDownhill.has(end.role) ? end.asn : undefined,
  };
}

/**
 * The next hops for prefixes of a family: the configured one, or this end of the session. Empty if neither exists.
 * @param extended IPv4 prefixes may have an IPv6 next hop (RFC 8950)
 */
export function nextHops(
  route: Pick<RouteAttributes, "nextHop">,
  family: Family,
  end: LocalEnd,
  extended: boolean,
): readonly Address[] {
  if (route.nextHop?.family === family) return [route.nextHop];
  const own = end.addresses.get(family);
  if (own !== undefined && family === "IPv4" && !(extended && end.unnumbered)) return [own];
  if (family === "IPv4" && !extended) return [];
  const global = end.addresses.get("IPv6");
  return [global, end.linkLocal].filter((address) => address !== undefined);
}

function withCommunity(communities: readonly number[], one: number): readonly number[] {
  return communities.includes(one) ? communities : [...communities, one].sort((a, b) => a - b);
}

/** draft-ietf-idr-link-bandwidth, section 2: type 0x4004, an AS number of two octets, and a 32-bit float. */
function linkBandwidthCommunity(asn: number, octetsPerSecond: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint16(0, 0x4004);
  view.setUint16(2, asn > maxTwoOctetAsn ? asTrans : asn);
  view.setFloat32(4, octetsPerSecond);
  return view.getBigUint64(0);
}
