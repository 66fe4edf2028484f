import { internetChecksum } from "#pkg/net";

/** An echo packet is for its sender alone (RFC 5880, section 5): which session it is of, and proof that this process sent it. */
export interface EchoPacket {
  /** This side's address, 4 or 16 octets: the packet goes from it to it, so that the peer's forwarding returns it. */
  readonly address: Uint8Array;
  readonly discriminator: number;
  /** 32 bits that nobody else knows. */
  readonly token: number;
}

export const echoPort = 3785; // RFC 5881, section 4
const ttl = 255; // RFC 5881, section 5
const trafficClass = 0xc0; // CS6
const protocolUdp = 17;
const udpOctets = 8;
const payloadOctets = 8;
const headerOctets = { IPv4: 20, IPv6: 40 } as const;
/** The longest returned packet. */
export const echoOctets: number = headerOctets.IPv6 + udpOctets + payloadOctets;

/** The whole IP packet (RFC 5881, section 4). */
export function encodeEcho({ address, discriminator, token }: EchoPacket): Uint8Array {
  const v4 = address.length === 4;
  const header = v4 ? headerOctets.IPv4 : headerOctets.IPv6;
  const bytes = new Uint8Array(header + udpOctets + payloadOctets);
  const view = new DataView(bytes.buffer);
  if (v4) {
    view.setUint8(0, 0x45);
    view.setUint8(1, trafficClass);
    view.setUint16(2, bytes.length);
    view.setUint8(8, ttl);
    view.setUint8(9, protocolUdp);
    bytes.set(address, 12);
    bytes.set(address, 16);
    view.setUint16(10, internetChecksum(view, 0, header));
  } else {
    view.setUint32(0, (6 << 28) | (trafficClass << 20));
    view.setUint16(4, udpOctets + payloadOctets);
    view.setUint8(6, protocolUdp);
    view.setUint8(7, ttl);
    bytes.set(address, 8);
    bytes.set(address, 24);
  }
  view.setUint16(header, echoPort);
  view.setUint16(header + 2, echoPort);
  view.setUint16(header + 4, udpOctets + payloadOctets);
  view.setUint32(header + udpOctets, discriminator);
  view.setUint32(header + udpOctets + 4, token);
  // Both addresses stand directly before the datagram: they are most of its pseudo-header. A checksum of zero would mean that there is no
  // checksum, so its one's complement stands for it.
  const addressesAt = header - 2 * address.length;
  view.setUint16(
    header + 6,
    internetChecksum(view, addressesAt, bytes.length, protocolUdp + udpOctets + payloadOctets) || 0xffff,
  );
  return bytes;
}

/** Decodes a whole IP packet. @returns undefined for anything but what `encodeEcho` makes and a forwarding peer returns */
export function decodeEcho(bytes: Uint8Array): EchoPacket | undefined {
  const v4 = (bytes[0] ?? 0) >> 4 === 4;
  if (!v4 && (bytes[0] ?? 0) >> 4 !== 6) return undefined;
  const header = v4 ? headerOctets.IPv4 : headerOctets.IPv6;
  if (bytes.length < header + udpOctets + payloadOctets || (v4 && bytes[0] !== 0x45)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes[v4 ? 9 : 6] !== protocolUdp || view.getUint16(header + 2) !== echoPort) return undefined;
  if (bytes[v4 ? 8 : 7] !== ttl - 1) return undefined; // Forwarded once, by the peer.
  const [source, destination] = v4 ? [bytes.slice(12, 16), bytes.slice(16, 20)] : [bytes.slice(8, 24), bytes.slice(24, 40)];
  if (source.some((octet, i) => octet !== destination[i])) return undefined;
  const payload = header + udpOctets;
  return { address: source, discriminator: view.getUint32(payload), token: view.getUint32(payload + 4) };
}
