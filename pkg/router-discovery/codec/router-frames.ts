import {
  type DiscoveryHeaders,
  discoveryChecksum,
  discoveryMessageAt,
  discoveryMessageLength,
  findLinkLayerOption,
  getDiscoveryHeaders,
  linkLayerOptionLength,
  type Mac,
  setDiscoveryChecksum,
  setDiscoveryHeaders,
  setLinkLayerOption,
  unspecifiedAddress,
} from "#pkg/net";

export const RouterMessage = { solicitation: 133, advertisement: 134 } as const;
export type RouterMessage = (typeof RouterMessage)[keyof typeof RouterMessage];

/** A router solicitation or advertisement with its headers. */
export interface RouterFrame extends DiscoveryHeaders {
  readonly type: RouterMessage;
  /** For how long hosts may take the sender for a default router: 0 for never, and in a solicitation. */
  readonly lifetimeSeconds: number;
  /** The option that names the sender's link-layer address. */
  readonly linkLayerAddress: Mac | undefined;
}

/** Octets of the longest frame that `encodeRouterFrame` makes. */
export const routerFrameLength = 78;
/** `ff02::2`, every router on the link. */
export const allRouters = 0xff02_0000_0000_0000_0000_0000_0000_0002n;

const lifetimeAt = discoveryMessageAt + 6;
/** Octets before the options. */
const fixedLength: Record<RouterMessage, number> = { [RouterMessage.solicitation]: 8, [RouterMessage.advertisement]: 16 };
const sourceLinkLayerAddress = 1;

/** `fe80::/10` */
export function isLinkLocalNumber(address: bigint): boolean {
  return address >> 118n === 0x3fan;
}

/**
 * Decodes an Ethernet frame that holds a router solicitation or advertisement (RFC 4861, sections 4.1 and 4.2), checked as sections 6.1.1
 * and 6.1.2 demand of the receiver. Ignored: flags, timers, other options, a link-layer address that is not of Ethernet's length, a second
 * one, and what follows the packet. @returns undefined for a frame cut short, a VLAN tag, an extension header, any other message, or one
 * that fails a check
 */
export function decodeRouterFrame(bytes: Uint8Array): RouterFrame | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = discoveryMessageLength(view);
  if (length === undefined) return undefined;
  const type = view.getUint8(discoveryMessageAt);
  if (type !== RouterMessage.solicitation && type !== RouterMessage.advertisement) return undefined;
  if (length < fixedLength[type]) return undefined;
  const optionsAt = discoveryMessageAt + fixedLength[type];
  const option = findLinkLayerOption(view, optionsAt, discoveryMessageAt + length, sourceLinkLayerAddress);
  if (option === undefined || discoveryChecksum(view, length) !== 0) return undefined;
  const headers = getDiscoveryHeaders(view);
  const { source } = headers;
  if (type === RouterMessage.advertisement ? !isLinkLocalNumber(source) : source === unspecifiedAddress && option.present)
    return undefined;
  return {
    ...headers,
    type,
    lifetimeSeconds: type === RouterMessage.advertisement ? view.getUint16(lifetimeAt) : 0,
    linkLayerAddress: option.linkLayerAddress,
  };
}

/**
 * Encodes a frame, without padding. An advertisement says nothing about hop limits, prefixes or timers: a host that hears it keeps its own.
 */
export function encodeRouterFrame(frame: RouterFrame): Uint8Array {
  const length = fixedLength[frame.type] + (frame.linkLayerAddress === undefined ? 0 : linkLayerOptionLength);
  const bytes = new Uint8Array(discoveryMessageAt + length);
  const view = new DataView(bytes.buffer);
  setDiscoveryHeaders(view, frame, frame.type, length);
  if (frame.type === RouterMessage.advertisement) view.setUint16(lifetimeAt, frame.lifetimeSeconds);
  if (frame.linkLayerAddress !== undefined)
    setLinkLayerOption(view, discoveryMessageAt + fixedLength[frame.type], sourceLinkLayerAddress, frame.linkLayerAddress);
  setDiscoveryChecksum(view, length);
  return bytes;
}
