import { getIpv6, getMac, internetChecksum, type Mac, setIpv6, setMac } from "#pkg/net";

export const NeighborType = { solicitation: 135, advertisement: 136 } as const;
export type NeighborType = (typeof NeighborType)[keyof typeof NeighborType];

/** A neighbor solicitation or advertisement with its Ethernet and IPv6 headers. IPv6 addresses are unsigned 128-bit numbers. */
export interface NeighborFrame {
  readonly destinationMac: Mac;
  readonly sourceMac: Mac;
  readonly source: bigint;
  readonly destination: bigint;
  readonly type: NeighborType;
  /** Flags of advertisements, like the next two: false in a solicitation. */
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
  readonly target: bigint;
  /** The option of a solicitation that names its source's link-layer address, or of an advertisement that names its target's. */
  readonly linkLayerAddress: Mac | undefined;
}

/** Octets of the longest frame that `encodeNeighbor` makes. */
export const neighborFrameLength = 86;

/** `::`, the source of one who has no address yet. */
export const unspecifiedAddress = 0n;
/** `ff02::1`, every node on the link. */
export const allNodesGroup = 0xff02_0000_0000_0000_0000_0000_0000_0001n;

const etherTypeIpv6 = 0x86dd;
const protocolIcmpv6 = 58;
const hopLimit = 255; // Lower ones came through a router.
// Where things are in the frame.
const payloadLengthAt = 18;
const nextHeaderAt = 20;
const hopLimitAt = 21;
const sourceAt = 22;
const destinationAt = 38;
const messageAt = 54;
const codeAt = 55;
const checksumAt = 56;
const flagsAt = 58;
const targetAt = 62;
const optionsAt = 78;

const shortestMessage = 24;
const optionUnit = 8;
const Flag = { router: 0x80, solicited: 0x40, override: 0x20 } as const;
const optionOf: Record<NeighborType, number> = { [NeighborType.solicitation]: 1, [NeighborType.advertisement]: 2 };
const solicitedNodePrefix = 0xff02_0000_0000_0000_0000_0001_ffn;
const groupBits = 24n;

/** The group to which solicitations for `address` go (RFC 4291, section 2.7.1). Several addresses may share one. */
export function solicitedNodeGroup(address: bigint): bigint {
  return (solicitedNodePrefix << groupBits) | BigInt.asUintN(Number(groupBits), address);
}

export function isMulticast(address: bigint): boolean {
  return address >> 120n === 0xffn;
}

/** The MAC address to which frames for a group are sent (RFC 2464, section 7). */
export function multicastMac(group: bigint): Mac {
  return 0x3333_0000_0000 + Number(BigInt.asUintN(32, group));
}

/**
 * Decodes an Ethernet frame that holds a neighbor solicitation or advertisement (RFC 4861, sections 4.3 and 4.4), checked as
 * sections 7.1.1 and 7.1.2 demand of the receiver. Reserved bits and unknown options are ignored, and so are a link-layer address
 * that is not of Ethernet's length, a second one, and what follows the packet.
 * @returns undefined for a frame cut short, a VLAN tag, an extension header, any other message, one that fails a check, or one whose
 * source is a group
 */
export function decodeNeighbor(bytes: Uint8Array): NeighborFrame | undefined {
  if (bytes.length < optionsAt) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint16(12) !== etherTypeIpv6 || view.getUint8(14) >> 4 !== 6) return undefined;
  if (view.getUint8(nextHeaderAt) !== protocolIcmpv6 || view.getUint8(hopLimitAt) !== hopLimit) return undefined;
  const length = view.getUint16(payloadLengthAt);
  if (length < shortestMessage || messageAt + length > bytes.length) return undefined;
  const type = view.getUint8(messageAt);
  if ((type !== NeighborType.solicitation && type !== NeighborType.advertisement) || view.getUint8(codeAt) !== 0)
    return undefined;
  if (view.getUint8(sourceAt) === 0xff || view.getUint8(targetAt) === 0xff) return undefined; // Groups.
  const options = decodeOptions(view, messageAt + length, optionOf[type]);
  if (options === undefined || checksum(view, length) !== 0) return undefined;
  const flags = type === NeighborType.advertisement ? view.getUint8(flagsAt) : 0;
  const frame: NeighborFrame = {
    destinationMac: getMac(view, 0),
    sourceMac: getMac(view, 6),
    source: getIpv6(view, sourceAt),
    destination: getIpv6(view, destinationAt),
    type,
    router: (flags & Flag.router) !== 0,
    solicited: (flags & Flag.solicited) !== 0,
    override: (flags & Flag.override) !== 0,
    target: getIpv6(view, targetAt),
    linkLayerAddress: options.linkLayerAddress,
  };
  if (type === NeighborType.advertisement) return frame.solicited && isMulticast(frame.destination) ? undefined : frame;
  if (frame.source !== unspecifiedAddress) return frame;
  return frame.destination >> groupBits === solicitedNodePrefix && !options.present ? frame : undefined;
}

/**
 * Encodes a frame (RFC 4861, sections 4.3 and 4.4), without padding, into `room`, or into new memory. @returns a view of just the
 * frame
 */
export function encodeNeighbor(frame: NeighborFrame, room: Uint8Array = new Uint8Array(neighborFrameLength)): Uint8Array {
  const length = shortestMessage + (frame.linkLayerAddress === undefined ? 0 : optionUnit);
  const bytes = room.subarray(0, messageAt + length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  setMac(view, 0, frame.destinationMac);
  setMac(view, 6, frame.sourceMac);
  view.setUint16(12, etherTypeIpv6);
  view.setUint32(14, 6 << 28); // Version 6, no traffic class, no flow label.
  view.setUint16(payloadLengthAt, length);
  view.setUint8(nextHeaderAt, protocolIcmpv6);
  view.setUint8(hopLimitAt, hopLimit);
  setIpv6(view, sourceAt, frame.source);
  setIpv6(view, destinationAt, frame.destination);
  view.setUint32(messageAt, frame.type << 24); // Code and checksum 0.
  const flags = (frame.router ? Flag.router : 0) | (frame.solicited ? Flag.solicited : 0) | (frame.override ? Flag.override : 0);
  view.setUint32(flagsAt, flags << 24);
  setIpv6(view, targetAt, frame.target);
  if (frame.linkLayerAddress !== undefined) {
    view.setUint8(optionsAt, optionOf[frame.type]);
    view.setUint8(optionsAt + 1, 1);
    setMac(view, optionsAt + 2, frame.linkLayerAddress);
  }
  view.setUint16(checksumAt, checksum(view, length));
  return bytes;
}

interface NdpOptions {
  /** An option of the wanted type exists, of any length. */
  readonly present: boolean;
  readonly linkLayerAddress: Mac | undefined;
}

/** @returns undefined for an option of length 0 or one that does not fit */
function decodeOptions(view: DataView, end: number, wanted: number): NdpOptions | undefined {
  let present = false;
  let linkLayerAddress: Mac | undefined;
  for (let at = optionsAt; at < end; ) {
    if (at + optionUnit > end) return undefined;
    const length = view.getUint8(at + 1) * optionUnit;
    if (length === 0 || at + length > end) return undefined;
    if (view.getUint8(at) === wanted) {
      present = true;
      if (length === optionUnit) linkLayerAddress ??= getMac(view, at + 2);
    }
    at += length;
  }
  return { present, linkLayerAddress };
}

/**
 * The Internet checksum of the message and its pseudo-header (RFC 4443, section 2.3; RFC 8200, section 8.1), of which the addresses
 * directly before the message are a part. 0 for a message that holds its right checksum. The length is even: options come in eights.
 */
function checksum(view: DataView, length: number): number {
  return internetChecksum(view, sourceAt, messageAt + length, length + protocolIcmpv6);
}
