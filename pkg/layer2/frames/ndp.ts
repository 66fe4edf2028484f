import {
  type DiscoveryHeaders,
  discoveryChecksum,
  discoveryMessageAt,
  discoveryMessageLength,
  findLinkLayerOption,
  getDiscoveryHeaders,
  getIpv6,
  linkLayerOptionLength,
  type Mac,
  setDiscoveryChecksum,
  setDiscoveryHeaders,
  setIpv6,
  setLinkLayerOption,
  unspecifiedAddress,
} from "#pkg/net";

export const NeighborType = { solicitation: 135, advertisement: 136 } as const;
export type NeighborType = (typeof NeighborType)[keyof typeof NeighborType];

/** A neighbor solicitation or advertisement with its headers. */
export interface NeighborFrame extends DiscoveryHeaders {
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

// Where things are in the frame.
const sourceAt = 22;
const flagsAt = discoveryMessageAt + 4;
const targetAt = discoveryMessageAt + 8;
const optionsAt = discoveryMessageAt + 24;

const shortestMessage = optionsAt - discoveryMessageAt;
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

/**
 * Decodes an Ethernet frame that holds a neighbor solicitation or advertisement (RFC 4861, sections 4.3 and 4.4), checked as
 * sections 7.1.1 and 7.1.2 demand of the receiver. Reserved bits and unknown options are ignored, and so are a link-layer address
 * that is not of Ethernet's length, a second one, and what follows the packet.
 * @returns undefined for a frame cut short, a VLAN tag, an extension header, any other message, one that fails a check, or one whose
 * source is a group
 */
export function decodeNeighbor(bytes: Uint8Array): NeighborFrame | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = discoveryMessageLength(view);
  if (length === undefined || length < shortestMessage) return undefined;
  const type = view.getUint8(discoveryMessageAt);
  if (type !== NeighborType.solicitation && type !== NeighborType.advertisement) return undefined;
  if (view.getUint8(sourceAt) === 0xff || view.getUint8(targetAt) === 0xff) return undefined; // Groups.
  const option = findLinkLayerOption(view, optionsAt, discoveryMessageAt + length, optionOf[type]);
  if (option === undefined || discoveryChecksum(view, length) !== 0) return undefined;
  const flags = type === NeighborType.advertisement ? view.getUint8(flagsAt) : 0;
  const frame: NeighborFrame = {
    ...getDiscoveryHeaders(view),
    type,
    router: (flags & Flag.router) !== 0,
    solicited: (flags & Flag.solicited) !== 0,
    override: (flags & Flag.override) !== 0,
    target: getIpv6(view, targetAt),
    linkLayerAddress: option.linkLayerAddress,
  };
  if (type === NeighborType.advertisement) return frame.solicited && isMulticast(frame.destination) ? undefined : frame;
  if (frame.source !== unspecifiedAddress) return frame;
  return frame.destination >> groupBits === solicitedNodePrefix && !option.present ? frame : undefined;
}

/**
 * Encodes a frame (RFC 4861, sections 4.3 and 4.4), without padding, into `room`, or into new memory. @returns a view of just the
 * frame
 */
export function encodeNeighbor(frame: NeighborFrame, room: Uint8Array = new Uint8Array(neighborFrameLength)): Uint8Array {
  const length = shortestMessage + (frame.linkLayerAddress === undefined ? 0 : linkLayerOptionLength);
  const bytes = room.subarray(0, discoveryMessageAt + length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  setDiscoveryHeaders(view, frame, frame.type, length);
  const flags = (frame.router ? Flag.router : 0) | (frame.solicited ? Flag.solicited : 0) | (frame.override ? Flag.override : 0);
  view.setUint32(flagsAt, flags << 24);
  setIpv6(view, targetAt, frame.target);
  if (frame.linkLayerAddress !== undefined) setLinkLayerOption(view, optionsAt, optionOf[frame.type], frame.linkLayerAddress);
  setDiscoveryChecksum(view, length);
  return bytes;
}
