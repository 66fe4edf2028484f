import { getIpv6, internetChecksum, setIpv6 } from "./bytes.ts";
import { getMac, type Mac, setMac } from "./mac.ts";

/** The Ethernet and IPv6 headers around a message of Neighbor Discovery. IPv6 addresses are unsigned 128-bit numbers. */
export interface DiscoveryHeaders {
  readonly destinationMac: Mac;
  readonly sourceMac: Mac;
  readonly source: bigint;
  readonly destination: bigint;
}

/** Octets before the ICMPv6 message. */
export const discoveryMessageAt = 54;
/** Octets of the option that holds a MAC address. */
export const linkLayerOptionLength = 8;
/** `::`, the source of a host that has no address yet. */
export const unspecifiedAddress = 0n;
/** `ff02::1`, every node on the link. */
export const allNodesGroup = 0xff02_0000_0000_0000_0000_0000_0000_0001n;

const etherTypeIpv6 = 0x86dd;
const protocolIcmpv6 = 58;
const hopLimit = 255; // Lower ones came through a router.
const shortestMessage = 8;
// Where things are in the frame.
const payloadLengthAt = 18;
const nextHeaderAt = 20;
const hopLimitAt = 21;
const sourceAt = 22;
const destinationAt = 38;
const codeAt = discoveryMessageAt + 1;
const checksumAt = discoveryMessageAt + 2;

/** The MAC address to which frames for a group are sent (RFC 2464, section 7). */
export function multicastMac(group: bigint): Mac {
  return 0x3333_0000_0000 + Number(BigInt.asUintN(32, group));
}

/** @returns the octets of the ICMPv6 message; undefined for a frame cut short, a VLAN tag, an extension header or another protocol */
export function discoveryMessageLength(view: DataView): number | undefined {
  if (view.byteLength < discoveryMessageAt + shortestMessage) return undefined;
  if (view.getUint16(12) !== etherTypeIpv6 || view.getUint8(14) >> 4 !== 6) return undefined;
  if (view.getUint8(nextHeaderAt) !== protocolIcmpv6 || view.getUint8(hopLimitAt) !== hopLimit) return undefined;
  const length = view.getUint16(payloadLengthAt);
  return view.getUint8(codeAt) === 0 && discoveryMessageAt + length <= view.byteLength ? length : undefined;
}

export function getDiscoveryHeaders(view: DataView): DiscoveryHeaders {
  return {
    destinationMac: getMac(view, 0),
    sourceMac: getMac(view, 6),
    source: getIpv6(view, sourceAt),
    destination: getIpv6(view, destinationAt),
  };
}

/** Writes the headers, the message's type, and 0 for its code and checksum. */
export function setDiscoveryHeaders(view: DataView, headers: DiscoveryHeaders, type: number, length: number): void {
  setMac(view, 0, headers.destinationMac);
  setMac(view, 6, headers.sourceMac);
  view.setUint16(12, etherTypeIpv6);
  view.setUint32(14, 6 << 28); // Version 6, no traffic class, no flow label.
  view.setUint16(payloadLengthAt, length);
  view.setUint8(nextHeaderAt, protocolIcmpv6);
  view.setUint8(hopLimitAt, hopLimit);
  setIpv6(view, sourceAt, headers.source);
  setIpv6(view, destinationAt, headers.destination);
  view.setUint32(discoveryMessageAt, type << 24);
}

/**
 * The Internet checksum of the message and its pseudo-header (RFC 4443, section 2.3; RFC 8200, section 8.1), of which the addresses
 * directly before the message are a part. 0 for a message that holds its right checksum. The length is even: options come in eights.
 */
export function discoveryChecksum(view: DataView, length: number): number {
  return internetChecksum(view, sourceAt, discoveryMessageAt + length, length + protocolIcmpv6);
}

/** Call it last: the checksum covers the whole message. */
export function setDiscoveryChecksum(view: DataView, length: number): void {
  view.setUint16(checksumAt, discoveryChecksum(view, length));
}

export interface LinkLayerOption {
  /** An option of the wanted type exists, of any length. */
  readonly present: boolean;
  /** The first that has Ethernet's length. */
  readonly linkLayerAddress: Mac | undefined;
}

/** Looks for the option `wanted` (RFC 4861, section 4.6.1). @returns undefined for an option of length 0 or one that does not fit */
export function findLinkLayerOption(view: DataView, start: number, end: number, wanted: number): LinkLayerOption | undefined {
  let present = false;
  let linkLayerAddress: Mac | undefined;
  for (let at = start; at < end; ) {
    if (at + linkLayerOptionLength > end) return undefined;
    const length = view.getUint8(at + 1) * 8;
    if (length === 0 || at + length > end) return undefined;
    if (view.getUint8(at) === wanted) {
      present = true;
      if (length === linkLayerOptionLength) linkLayerAddress ??= getMac(view, at + 2);
    }
    at += length;
  }
  return { present, linkLayerAddress };
}

export function setLinkLayerOption(view: DataView, at: number, type: number, address: Mac): void {
  view.setUint8(at, type);
  view.setUint8(at + 1, linkLayerOptionLength / 8);
  setMac(view, at + 2, address);
}
