import type { Address, Family } from "#pkg/net";
import type { LargeCommunity } from "../codec/messages.ts";

/**
 * What is to be said of a prefix, as the configuration has it. What depends on the session (AS_PATH, NEXT_HOP, whether LOCAL_PREF
 * is sent) is added when it is encoded. Prefixes with equal attributes share one object: they are compared by identity, and
 * travel in the same messages.
 */
export interface RouteAttributes {
  /** Sent on iBGP sessions only; 0 where undefined, as MetalLB sends it, so that nodes of both are equally good paths. */
  readonly localPref: number | undefined;
  readonly med: number | undefined;
  /** How often the own AS number is repeated in front, beyond what eBGP demands; nothing on iBGP, where it would look like a loop. */
  readonly asPathPrepend: number;
  /** RFC 1997, ascending. */
  readonly communities: readonly number[];
  /** RFC 8092. */
  readonly largeCommunities: readonly LargeCommunity[];
  /** The octets a second of the link-bandwidth extended community (draft-ietf-idr-link-bandwidth); undefined for none. */
  readonly linkBandwidth: number | undefined;
  /** In place of this end of the session, for prefixes of its family. */
  readonly nextHop: Address | undefined;
}

/** What a session adds to the attributes of the routes that it carries. */
export interface LocalEnd {
  readonly asn: number;
  /** Both sides have the same AS number. */
  readonly internal: boolean;
  /** This side's address in the session and, of the other family, one on the same interface; absent where there is none. */
  readonly addresses: ReadonlyMap<Family, Address>; // family -> next hop
  /** For IPv6 next hops on a link that both sides share (RFC 2545, section 3). */
  readonly linkLocal: Address | undefined;
}
