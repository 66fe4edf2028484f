import type { Address, Family } from "#pkg/net";
import { Writer } from "#pkg/octets";
import { encodeAsPath, maxTwoOctetAsn } from "./as-path.ts";
import { encodeFrame, headerLength, MessageType, type PathAttributes, unicast } from "./messages.ts";
import { AttributeFlag, AttributeType, attributeFlags } from "./path-attributes.ts";
import { type Nlri, packPrefixes } from "./prefixes.ts";

const incomplete = 2; // The ORIGIN of what is redistributed into BGP.
const none = new Uint8Array();

/**
 * Encodes the attributes that do not depend on the family: all but the next hops, which `encodeAnnouncement` adds. Encoded once for all
 * messages that carry it. Attributes are in the order of their types, as RFC 4271, section 5, asks. A peer without four-octet AS numbers
 * gets AS_TRANS and AS4_PATH (RFC 6793, section 4.2.2).
 * @throws {RangeError} for a number that its field does not hold, and a path of more than 255 AS numbers
 */
export function encodeAttributes(attributes: PathAttributes, session: { readonly fourOctetAsn: boolean }): Uint8Array {
  const { asPath, med, localPref, communities, extendedCommunities, largeCommunities, onlyToCustomer } = attributes;
  const { wellKnown, optionalTransitive, optionalNonTransitive } = attributeFlags;
  const writer = new Writer();
  const put = (flags: number, type: number, value: Uint8Array) => putAttribute(writer, flags, type, value);
  put(wellKnown, AttributeType.origin, Uint8Array.of(incomplete));
  put(wellKnown, AttributeType.asPath, encodeAsPath(asPath, session.fourOctetAsn));
  if (med !== undefined) put(optionalNonTransitive, AttributeType.multiExitDisc, numbers([med]));
  if (localPref !== undefined) put(wellKnown, AttributeType.localPref, numbers([localPref]));
  if (communities !== undefined) put(optionalTransitive, AttributeType.communities, numbers(communities));
  if (extendedCommunities !== undefined) {
    const halves = extendedCommunities.flatMap((one) => [Number(one >> 32n), Number(one & 0xffff_ffffn)]);
    put(optionalTransitive, AttributeType.extendedCommunities, numbers(halves));
  }
  if (!session.fourOctetAsn && asPath.some((asn) => asn > maxTwoOctetAsn))
    put(optionalTransitive, AttributeType.as4Path, encodeAsPath(asPath, true));
  if (largeCommunities !== undefined) {
    const parts = largeCommunities.flatMap((one) => [one.globalAdministrator, one.localData1, one.localData2]);
    put(optionalTransitive, AttributeType.largeCommunities, numbers(parts));
  }
  if (onlyToCustomer !== undefined) put(optionalTransitive, AttributeType.onlyToCustomer, numbers([onlyToCustomer]));
  return writer.finish();
}

/** The form of the messages in a session. */
export interface UpdateFormat {
  /** Length of a whole message. */
  readonly maxLength: number;
  /** Families whose prefixes have path identifiers (RFC 7911). */
  readonly addPath: ReadonlySet<Family>;
}

/**
 * An UPDATE that announces as many of `nlri` as fit, at least one; it takes no more than these. IPv4 prefixes with an IPv4 next hop are
 * in the NLRI field, others in MP_REACH_NLRI, which is the first attribute (RFC 7606, section 5.1); IPv4 prefixes with IPv6 next hops need
 * the peer's consent (RFC 8950).
 * @param attributes of `encodeAttributes`
 * @param nextHops one; or a global and a link-local IPv6 address (RFC 2545, section 3)
 * @throws {RangeError} when there is no prefix, or no room for one beside the attributes; for any other next hops
 */
export function encodeAnnouncement(
  attributes: Uint8Array,
  nextHops: readonly Address[],
  family: Family,
  nlri: Iterator<Nlri>,
  format: UpdateFormat,
): Uint8Array {
  const hops = new Writer();
  for (const hop of nextHops) hops.put(hop.toBytes());
  const nextHop = hops.finish();
  const room = format.maxLength - headerLength - 4 - attributes.length;
  const withPaths = format.addPath.has(family);
  if (family === "IPv4" && nextHop.length === 4) {
    const withNextHop = insertNextHop(attributes, nextHop);
    const field = pack(family, nlri, room - (withNextHop.length - attributes.length), withPaths);
    return encodeUpdate(none, [withNextHop], field);
  }
  if (nextHop.length !== 16 && nextHop.length !== 32)
    throw new RangeError(`Cannot encode an UPDATE: next hops of ${family} prefixes are ${nextHops.join(" and ") || "none"}`);
  const { afi, safi } = unicast[family];
  const mpReach = new Writer().u16(afi).u8(safi).u8(nextHop.length).put(nextHop).u8(0);
  mpReach.put(pack(family, nlri, room - 4 - mpReach.length, withPaths));
  return encodeUpdate(none, [mpAttribute(AttributeType.mpReachNlri, mpReach.finish()), attributes], none);
}

/**
 * An UPDATE that withdraws as many of `nlri` as fit, at least one; it takes no more than these. IPv4 prefixes go into the field for
 * withdrawn routes, with any next hop.
 * @throws {RangeError} when there is no prefix: the message would be an End-of-RIB
 */
export function encodeWithdrawal(family: Family, nlri: Iterator<Nlri>, format: UpdateFormat): Uint8Array {
  const room = format.maxLength - headerLength - 4;
  const withPaths = format.addPath.has(family);
  if (family === "IPv4") return encodeUpdate(pack(family, nlri, room, withPaths), [], none);
  const { afi, safi } = unicast[family];
  const mpUnreach = new Writer().u16(afi).u8(safi);
  mpUnreach.put(pack(family, nlri, room - 4 - mpUnreach.length, withPaths));
  return encodeUpdate(none, [mpAttribute(AttributeType.mpUnreachNlri, mpUnreach.finish())], none);
}

/** Marks a family as complete (RFC 4724, section 2). */
export function encodeEndOfRib(family: Family): Uint8Array {
  if (family === "IPv4") return encodeUpdate(none, [], none);
  const { afi, safi } = unicast[family];
  return encodeUpdate(none, [mpAttribute(AttributeType.mpUnreachNlri, new Writer().u16(afi).u8(safi).finish())], none);
}

function pack(family: Family, nlri: Iterator<Nlri>, room: number, withPaths: boolean): Uint8Array {
  const field = packPrefixes(family, nlri, Math.max(0, room), withPaths);
  if (field.length === 0)
    throw new RangeError(`Cannot encode an UPDATE: no ${family} prefix is left, or fits into ${room} octets`);
  return field;
}

function encodeUpdate(withdrawn: Uint8Array, attributes: readonly Uint8Array[], nlri: Uint8Array): Uint8Array {
  const length = attributes.reduce((sum, one) => sum + one.length, 0);
  return encodeFrame(
    MessageType.update,
    octetsOfLength(withdrawn.length),
    withdrawn,
    octetsOfLength(length),
    ...attributes,
    nlri,
  );
}

function octetsOfLength(length: number): Uint8Array {
  return Uint8Array.of(length >>> 8, length);
}

function putAttribute(writer: Writer, flags: number, type: number, value: Uint8Array): void {
  if (value.length > 255)
    writer
      .u8(flags | AttributeFlag.extendedLength)
      .u8(type)
      .u16(value.length);
  else writer.u8(flags).u8(type).u8(value.length);
  writer.put(value);
}

/** Always with a length of two octets. */
function mpAttribute(type: number, value: Uint8Array): Uint8Array {
  const flags = attributeFlags.optionalNonTransitive | AttributeFlag.extendedLength;
  return new Writer().u8(flags).u8(type).u16(value.length).put(value).finish();
}

/** Puts NEXT_HOP where its type belongs: behind ORIGIN and AS_PATH, which are always there. */
function insertNextHop(attributes: Uint8Array, nextHop: Uint8Array): Uint8Array {
  const asPathAt = 4;
  const [flags = 0, , high = 0, low = 0] = attributes.subarray(asPathAt);
  const at = asPathAt + ((flags & AttributeFlag.extendedLength) !== 0 ? 4 + high * 256 + low : 3 + high);
  const writer = new Writer().put(attributes.subarray(0, at));
  putAttribute(writer, attributeFlags.wellKnown, AttributeType.nextHop, nextHop);
  return writer.put(attributes.subarray(at)).finish();
}

function numbers(values: readonly number[]): Uint8Array {
  const writer = new Writer();
  for (const value of values) writer.u32(value);
  return writer.finish();
}
