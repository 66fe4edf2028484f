import type { BgpRole } from "#pkg/config";
import type { Address, Family } from "#pkg/net";

/** RFC 4271, section 4.1, and RFC 2918. */
export const MessageType = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 } as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

export type Message = Open | Update | Notification | Keepalive | RouteRefresh;

/** Address family and subsequent address family as on the wire (RFC 4760, section 3): IPv4 unicast is 1/1, IPv6 unicast 2/1. */
export interface AddressFamily {
  readonly afi: number;
  readonly safi: number;
}

export interface Open {
  readonly type: "open";
  readonly version: number;
  /** The field of two octets: AS_TRANS where the AS number does not fit, which is then in the capability `fourOctetAsn`. */
  readonly asn: number;
  /** 0, or at least 3. */
  readonly holdTimeSeconds: number;
  readonly routerId: Address;
  readonly capabilities: readonly Capability[];
}

/** RFC 5492. A capability that an OPEN repeats is repeated here. */
export type Capability =
  | ({ readonly type: "multiprotocol" } & AddressFamily)
  | { readonly type: "routeRefresh" }
  | { readonly type: "enhancedRouteRefresh" }
  | { readonly type: "extendedMessage" }
  | { readonly type: "fourOctetAsn"; readonly asn: number }
  /** RFC 8950: prefixes of the first family may have next hops of the second's AFI. */
  | { readonly type: "extendedNextHop"; readonly families: readonly (AddressFamily & { readonly nextHopAfi: number })[] }
  | GracefulRestart
  /** RFC 7911: several paths to a prefix may be received, or are sent. */
  | { readonly type: "addPath"; readonly families: readonly AddPathFamily[] }
  /** RFC 9234: the sender's role towards the receiver. */
  | { readonly type: "role"; readonly role: BgpRole }
  | LongLivedGracefulRestart
  | { readonly type: "unknown"; readonly code: number; readonly value: Uint8Array };

/** RFC 4724, section 3; `notification` is the N bit of RFC 8538. */
export interface GracefulRestart {
  readonly type: "gracefulRestart";
  readonly restarting: boolean;
  readonly notification: boolean;
  readonly timeSeconds: number;
  readonly families: readonly (AddressFamily & { readonly forwardingPreserved: boolean })[];
}

/** RFC 9494, section 3.1: for how long routes of a family are kept when the time of graceful restart is over. */
export interface LongLivedGracefulRestart {
  readonly type: "longLivedGracefulRestart";
  readonly families: readonly (AddressFamily & { readonly forwardingPreserved: boolean; readonly staleSeconds: number })[];
}

export interface AddPathFamily extends AddressFamily {
  readonly direction: "receive" | "send" | "both";
}

/** An UPDATE as it was received, with all that RFC 7606 makes of its errors already done. */
export interface Update {
  readonly type: "update";
  /** How many prefixes it announces, of all families that the session carries: none where RFC 7606 treats them as withdrawn. */
  readonly announced: number;
  /** RFC 4724, section 2: this message only marks the family as complete. */
  readonly endOfRib: AddressFamily | undefined;
  /** What RFC 7606 forgave, in words, for the log. */
  readonly forgiven: readonly string[];
}

/** The attributes that this side gives its routes, but for the next hops. Absent where the attribute is. */
export interface PathAttributes {
  /** One sequence. */
  readonly asPath: readonly number[];
  readonly med?: number | undefined;
  readonly localPref?: number | undefined;
  /** RFC 1997, each as 32 bits. */
  readonly communities?: readonly number[] | undefined;
  /** RFC 4360, each as 64 bits. */
  readonly extendedCommunities?: readonly bigint[] | undefined;
  readonly largeCommunities?: readonly LargeCommunity[] | undefined;
  /** OTC: no AS but customers of this one may hear of the route (RFC 9234, section 5). */
  readonly onlyToCustomer?: number | undefined;
}

/** RFC 8092. */
export interface LargeCommunity {
  readonly globalAdministrator: number;
  readonly localData1: number;
  readonly localData2: number;
}

export interface Notification {
  readonly type: "notification";
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

export interface Keepalive {
  readonly type: "keepalive";
}

/** RFC 2918; the subtypes are those of RFC 7313. */
export interface RouteRefresh extends AddressFamily {
  readonly type: "routeRefresh";
  readonly subtype: "request" | "beginning" | "end" | "unknown";
}

/** IANA's address family numbers. */
export const Afi = { ipv4: 1, ipv6: 2 } as const;
const safiUnicast = 1;

/** AFI and SAFI of a family's unicast routes. */
export const unicast: Readonly<Record<Family, AddressFamily>> = {
  IPv4: { afi: Afi.ipv4, safi: safiUnicast },
  IPv6: { afi: Afi.ipv6, safi: safiUnicast },
};

/** The family whose unicast routes these are; undefined for all others. */
export function unicastFamily({ afi, safi }: AddressFamily): Family | undefined {
  if (safi !== safiUnicast) return undefined;
  return afi === Afi.ipv4 ? "IPv4" : afi === Afi.ipv6 ? "IPv6" : undefined;
}

/** Octets of the marker, the length and the type in front of every message (RFC 4271, section 4.1). */
export const headerLength = 19;
export const markerLength = 16;

/** The maximum length of a message, and of those that RFC 8654 extends. */
export const maxMessageLength = 4_096;
export const maxExtendedMessageLength = 65_535;

/** A whole message: the header and the parts of its body. @throws {RangeError} beyond 65,535 octets */
export function encodeFrame(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, headerLength);
  if (length > maxExtendedMessageLength)
    throw new RangeError(`Cannot encode a message: ${length} octets, above the maximum of ${maxExtendedMessageLength}`);
  const octets = new Uint8Array(length).fill(0xff, 0, markerLength);
  octets[markerLength] = length >>> 8;
  octets[markerLength + 1] = length;
  octets[markerLength + 2] = type;
  let offset = headerLength;
  for (const part of parts) {
    octets.set(part, offset);
    offset += part.length;
  }
  return octets;
}
