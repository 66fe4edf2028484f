import { getIpv6, getMac, internetChecksum, type Mac, setIpv6, setMac } from "#pkg/net";
import type { WireAddress } from "./arp.ts";

/** The first segment of a connection (RFC 9293, section 3.5), with its headers. Addresses are of one family. */
export interface SynFrame {
  readonly destinationMac: Mac;
  readonly sourceMac: Mac;
  readonly source: WireAddress;
  readonly destination: WireAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  /** Octets of data, all zero. The receiver need not take them; none where absent. */
  readonly data?: number;
}

/** The reply to it. */
export interface TcpReply extends Pick<SynFrame, "sourceMac" | "source" | "sourcePort" | "destinationPort"> {
  /** The acknowledged number: the sequence number of the SYN and one. */
  readonly acknowledgment: number;
  readonly answer: "accepts" | "refuses";
  /** How much data of a segment the other end takes (RFC 9293, section 3.7.1); undefined where it does not say. */
  readonly maxSegment: number | undefined;
}

/** Octets of the longest frame without data that `encodeSyn` makes. */
export const tcpFrameLength = 74;

const etherTypeIpv4 = 0x0800;
const etherTypeIpv6 = 0x86dd;
const protocolTcp = 6;
const headerAt = 14;
const tcpLength = 20;
const flagSyn = 0x02;
const flagRst = 0x04;
const flagAck = 0x10;
const hopLimit = 64;
const window = 0xffff;
const optionEnd = 0;
const optionNone = 1;
const optionMaxSegment = 2;

/** Encodes a frame, without padding. It offers no options, so that a reply is short, and a window, so that nobody takes it for an odd one. */
export function encodeSyn(frame: SynFrame): Uint8Array {
  const { source, destination, data = 0 } = frame;
  const isIpv6 = typeof source === "bigint";
  const tcpAt = headerAt + (isIpv6 ? 40 : 20);
  const segment = tcpLength + data;
  const bytes = new Uint8Array(tcpAt + segment + (segment % 2)); // The checksum is one of pairs.
  const view = new DataView(bytes.buffer);
  setMac(view, 0, frame.destinationMac);
  setMac(view, 6, frame.sourceMac);
  view.setUint16(12, isIpv6 ? etherTypeIpv6 : etherTypeIpv4);
  const addressesAt = isIpv6 ? headerAt + 8 : headerAt + 12;
  if (isIpv6) {
    view.setUint32(headerAt, 6 << 28);
    view.setUint16(headerAt + 4, segment);
    view.setUint8(headerAt + 6, protocolTcp);
    view.setUint8(headerAt + 7, hopLimit);
    setIpv6(view, addressesAt, source);
    setIpv6(view, addressesAt + 16, destination as bigint);
  } else {
    view.setUint8(headerAt, 0x45);
    view.setUint16(headerAt + 2, 20 + segment);
    view.setUint16(headerAt + 6, 0x4000); // Not to be fragmented.
    view.setUint8(headerAt + 8, hopLimit);
    view.setUint8(headerAt + 9, protocolTcp);
    view.setUint32(addressesAt, source);
    view.setUint32(addressesAt + 4, destination as number);
    view.setUint16(headerAt + 10, internetChecksum(view, headerAt, headerAt + 20));
  }
  view.setUint16(tcpAt, frame.sourcePort);
  view.setUint16(tcpAt + 2, frame.destinationPort);
  view.setUint32(tcpAt + 4, frame.sequence);
  view.setUint8(tcpAt + 12, (tcpLength / 4) << 4);
  view.setUint8(tcpAt + 13, flagSyn);
  view.setUint16(tcpAt + 14, window);
  // The addresses stand directly before the segment: they are most of its pseudo-header.
  view.setUint16(tcpAt + 16, internetChecksum(view, addressesAt, bytes.length, protocolTcp + segment));
  return bytes.subarray(0, tcpAt + segment);
}

/** @returns undefined for a frame cut short, and for any that does not accept or refuse a connection; an IPv6 extension header is no TCP */
export function decodeTcpReply(bytes: Uint8Array): TcpReply | undefined {
  if (bytes.length < headerAt + 20 + tcpLength) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const etherType = view.getUint16(12);
  const isIpv6 = etherType === etherTypeIpv6;
  if (!isIpv6 && etherType !== etherTypeIpv4) return undefined;
  if (view.getUint8(headerAt) >> 4 !== (isIpv6 ? 6 : 4)) return undefined;
  if (view.getUint8(headerAt + (isIpv6 ? 6 : 9)) !== protocolTcp) return undefined;
  if (!isIpv6 && (view.getUint16(headerAt + 6) & 0x1fff) !== 0) return undefined; // Not the first fragment.
  const tcpAt = headerAt + (isIpv6 ? 40 : (view.getUint8(headerAt) & 15) * 4);
  if (tcpAt < headerAt + 20 || bytes.length < tcpAt + tcpLength) return undefined;
  const flags = view.getUint8(tcpAt + 13) & (flagSyn | flagRst | flagAck);
  const isAccepted = flags === (flagSyn | flagAck);
  if (!isAccepted && (flags & (flagRst | flagAck)) !== (flagRst | flagAck)) return undefined;
  return {
    sourceMac: getMac(view, 6),
    source: isIpv6 ? getIpv6(view, headerAt + 8) : view.getUint32(headerAt + 12),
    sourcePort: view.getUint16(tcpAt),
    destinationPort: view.getUint16(tcpAt + 2),
    acknowledgment: view.getUint32(tcpAt + 8),
    answer: isAccepted ? "accepts" : "refuses",
    maxSegment: maxSegment(view, tcpAt + tcpLength, tcpAt + (view.getUint8(tcpAt + 12) >> 4) * 4),
  };
}

/** Reads the options from `at` to `end`, as far as the frame has them. */
function maxSegment(view: DataView, at: number, end: number): number | undefined {
  const last = Math.min(end, view.byteLength);
  for (let next = at; next < last; ) {
    const kind = view.getUint8(next);
    if (kind === optionEnd) return undefined;
    const length = kind === optionNone ? 1 : next + 1 < last ? view.getUint8(next + 1) : 0;
    if (length < 1 || next + length > last || (kind !== optionNone && length < 2)) return undefined;
    if (kind === optionMaxSegment) return length === 4 ? view.getUint16(next + 2) : undefined;
    next += length;
  }
  return undefined;
}
