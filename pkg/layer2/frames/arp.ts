import { getMac, type Mac, setMac } from "#pkg/net";

/** An address in the codecs: IPv4 as an unsigned 32-bit number, IPv6 as an unsigned 128-bit bigint. */
export type WireAddress = number | bigint;

export const ArpOperation = { request: 1, reply: 2 } as const;

/** An ARP packet for IPv4 over Ethernet, with its Ethernet header. IPv4 addresses are unsigned 32-bit numbers. */
export interface ArpFrame {
  readonly destination: Mac;
  readonly source: Mac;
  /** A value of `ArpOperation`; other values are legal (RFC 5494) and not for us. */
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderAddress: number;
  readonly targetMac: Mac;
  readonly targetAddress: number;
}

/** Octets of a frame without padding: Ethernet header and ARP packet. */
export const arpFrameLength = 42;

const etherTypeArp = 0x0806;
const hardwareEthernet = 1;
const protocolIpv4 = 0x0800;

/**
 * Decodes an Ethernet frame that holds an ARP packet (RFC 826). Octets after the packet are ignored: Ethernet pads to 60 octets.
 * @returns undefined for a frame cut short, a VLAN tag, and any other EtherType, hardware, protocol or length of addresses
 */
export function decodeArp(bytes: Uint8Array): ArpFrame | undefined {
  if (bytes.length < arpFrameLength) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, arpFrameLength);
  if (view.getUint16(12) !== etherTypeArp || view.getUint16(14) !== hardwareEthernet) return undefined;
  if (view.getUint16(16) !== protocolIpv4 || view.getUint8(18) !== 6 || view.getUint8(19) !== 4) return undefined;
  return {
    destination: getMac(view, 0),
    source: getMac(view, 6),
    operation: view.getUint16(20),
    senderMac: getMac(view, 22),
    senderAddress: view.getUint32(28),
    targetMac: getMac(view, 32),
    targetAddress: view.getUint32(38),
  };
}

/**
 * Encodes a frame (RFC 826) into `room`, or into new memory, without padding: the driver of the interface pads. @returns a view of just the
 * frame
 */
export function encodeArp(frame: ArpFrame, room: Uint8Array = new Uint8Array(arpFrameLength)): Uint8Array {
  const view = new DataView(room.buffer, room.byteOffset, arpFrameLength);
  setMac(view, 0, frame.destination);
  setMac(view, 6, frame.source);
  view.setUint16(12, etherTypeArp);
  view.setUint16(14, hardwareEthernet);
  view.setUint16(16, protocolIpv4);
  view.setUint8(18, 6);
  view.setUint8(19, 4);
  view.setUint16(20, frame.operation);
  setMac(view, 22, frame.senderMac);
  view.setUint32(28, frame.senderAddress);
  setMac(view, 32, frame.targetMac);
  view.setUint32(38, frame.targetAddress);
  return room.subarray(0, arpFrameLength);
}
