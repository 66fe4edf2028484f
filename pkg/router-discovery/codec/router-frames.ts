import { getIpv6, getMac, internetChecksum, type Mac, setIpv6, setMac } from "#pkg/net";

export const RouterMessage = { solicitation: 133, advertisement: 134 } as const;
export type RouterMessage = (typeof RouterMessage)[keyof typeof RouterMessage];

/** A router solicitation or advertisement with its Ethernet and IPv6 headers. IPv6 addresses are unsigned 128-bit numbers. */
export interface RouterFrame {
  readonly destinationMac: Mac;
  readonly sourceMac: Mac;
  readonly source: bigint;
  readonly destination: bigint;
  readonly type: RouterMessage;
  /** For how long hosts may take the sender for a default router: 0 for never, and in a solicitation. */
  readonly lifetimeSeconds: number;
  /** The option that names the sender's link-layer address. */
  readonly linkLayerAddress: Mac | undefined;
}

/** Octets of the longest frame that `encodeRouterFrame` makes. */
export const routerFrameLength = 78;
/** `ff02::1` and `ff02::2`: every node on the link, and every router. */
export const allNodes = 0xff02_0000_0000_0000_0000_0000_0000_0001n;
export const allRouters = 0xff02_0000_0000_0000_0000_0000_0000_0002n;

const etherTypeIpv6 = 0x86dd;
const protocolIcmpv6 = 58;
const hopLimit = 255; // A lower one came through a router.
// Where things are in the frame.
const payloadLengthAt = 18;
const nextHeaderAt = 20;
const hopLimitAt = 21;
const sourceAt = 22;
const destinationAt = 38;
const messageAt = 54;
const checksumAt = 56;
const lifetimeAt = 60;
/** Octets before the options. */
const fixedLength: Record<RouterMessage, number> = { [RouterMessage.solicitation]: 8, [RouterMessage.advertisement]: 16 };
const optionUnit = 8;
const sourceLinkLayerAddress = 1;
const unspecified = 0n;

/** `fe80::/10` */
export function isLinkLocalNumber(address: bigint): boolean {
  return address >> 118n === 0x3fan;
}

/** The MAC address to which frames for a group are sent (RFC 2464, section 7). */
export function macOfGroup(group: bigint): Mac {
  return 0x3333_0000_0000 + Number(BigInt.asUintN(32, group));
}

/**
 * Decodes an Ethernet frame that holds a router solicitation or advertisement (RFC 4861, sections 4.1 and 4.2), checked as sections 6.1.1
 * and 6.1.2 demand of the receiver. Ignored: flags, timers, other options, a link-layer address that is not of Ethernet's length, a second
 * one, and what follows the packet. @returns undefined for a frame cut short, a VLAN tag, an extension header, any other message, or one
 * that fails a check
 */
export function decodeRouterFrame(bytes: Uint8Array): RouterFrame | undefined {
  if (bytes.length < messageAt + fixedLength[RouterMessage.solicitation]) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint16(12) !== etherTypeIpv6 || view.getUint8(14) >> 4 !== 6) return undefined;
  if (view.getUint8(nextHeaderAt) !== protocolIcmpv6 || view.getUint8(hopLimitAt) !== hopLimit) return undefined;
  const type = view.getUint8(messageAt);
  if ((type !== RouterMessage.solicitation && type !== RouterMessage.advertisement) || view.getUint8(messageAt + 1) !== 0)
    return undefined;
  const length = view.getUint16(payloadLengthAt);
  if (length < fixedLength[type] || messageAt + length > bytes.length) return undefined;
  const options = decodeOptions(view, messageAt + fixedLength[type], messageAt + length);
  if (options === undefined || checksum(view, length) !== 0) return undefined;
  const source = getIpv6(view, sourceAt);
  if (type === RouterMessage.advertisement ? !isLinkLocalNumber(source) : source === unspecified && options.present)
    return undefined;
  return {
    destinationMac: getMac(view, 0),
    sourceMac: getMac(view, 6),
    source,
    destination: getIpv6(view, destinationAt),
    type,
    lifetimeSeconds: type === RouterMessage.advertisement ? view.getUint16(lifetimeAt) : 0,
    linkLayerAddress: options.linkLayerAddress,
  };
}

/**
 * Encodes a frame, without padding. An advertisement says nothing about hop limits, prefixes or timers: a host that hears it keeps its own.
 */
export function encodeRouterFrame(frame: RouterFrame): Uint8Array {
  const length = fixedLength[frame.type] + (frame.linkLayerAddress === undefined ? 0 : optionUnit);
  const bytes = new Uint8Array(messageAt + length);
  const view = new DataView(bytes.buffer);
  setMac(view, 0, frame.destinationMac);
  setMac(view, 6, frame.sourceMac);
  view.setUint16(12, etherTypeIpv6);
  view.setUint32(14, 6 << 28); // Version 6, no traffic class, no flow label.
  view.setUint16(payloadLengthAt, length);
  view.setUint8(nextHeaderAt, protocolIcmpv6);
  view.setUint8(hopLimitAt, hopLimit);
  setIpv6(view, sourceAt, frame.source);
  setIpv6(view, destinationAt, frame.destination);
  view.setUint8(messageAt, frame.type);
  if (frame.type === RouterMessage.advertisement) view.setUint16(lifetimeAt, frame.lifetimeSeconds);
  if (frame.linkLayerAddress !== undefined) {
    const at = messageAt + fixedLength[frame.type];
    view.setUint8(at, sourceLinkLayerAddress);
    view.setUint8(at + 1, 1);
    setMac(view, at + 2, frame.linkLayerAddress);
  }
  view.setUint16(checksumAt, checksum(view, length));
  return bytes;
}

interface Options {
  /** There is a source link-layer address, of any length. */
  readonly present: boolean;
  readonly linkLayerAddress: Mac | undefined;
}

/** @returns undefined for an option of length 0 or one that does not fit */
function decodeOptions(view: DataView, start: number, end: number): Options | undefined {
  let present = false;
  let linkLayerAddress: Mac | undefined;
  for (let at = start; at < end; ) {
    if (at + optionUnit > end) return undefined;
    const length = view.getUint8(at + 1) * optionUnit;
    if (length === 0 || at + length > end) return undefined;
    if (view.getUint8(at) === sourceLinkLayerAddress) {
      present = true;
      if (length === optionUnit) linkLayerAddress ??= getMac(view, at + 2);
    }
    at += length;
  }
  return { present, linkLayerAddress };
}

/**
 * The Internet checksum of the message and its pseudo-header (RFC 4443, section 2.3), of which the addresses directly before the message are
 * a part. 0 for a message that holds its right checksum. The length is even: options come in eights.
 */
function checksum(view: DataView, length: number): number {
  return internetChecksum(view, sourceAt, messageAt + length, length + protocolIcmpv6);
}
