import { MemberlistError } from "./memberlist-error.ts";
import { MessageType } from "./message-type.ts";
import { Reader, Writer } from "./octets.ts";

const headerLength = 5;

export function encodeChecksum(packet: Uint8Array): Uint8Array {
  return new Writer().u8(MessageType.checksum).u32(crc32(packet)).put(packet).finish();
}

/**
 * What follows the checksum of a packet; the packet itself if it begins with none.
 * @throws {MemberlistError} `checksum` when it is another one
 */
export function verifyChecksum(packet: Uint8Array): Uint8Array {
  if (packet[0] !== MessageType.checksum || packet.length < headerLength) return packet;
  const reader = new Reader(packet, 1);
  const announced = reader.u32();
  const rest = reader.rest();
  const found = crc32(rest);
  if (found !== announced)
    throw new MemberlistError("checksum", `Cannot accept a packet with checksum ${hex(found)}: it says ${hex(announced)}`);
  return rest;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}

/** The remainder of each octet: CRC-32 of IEEE 802.3, bits reflected, as in zlib. */
const remainders = Uint32Array.from({ length: 256 }, (_, octet) => {
  let remainder = octet;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb8_8320 : 0);
  return remainder;
});

function crc32(octets: Uint8Array): number {
  let remainder = 0xffff_ffff;
  for (const octet of octets) remainder = (remainder >>> 8) ^ (remainders[(remainder ^ octet) & 0xff] ?? 0);
  return ~remainder >>> 0;
}
