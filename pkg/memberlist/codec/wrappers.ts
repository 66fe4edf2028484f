import { crc32 } from "node:zlib";
import { decompressLzw } from "./lzw.ts";
import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import { MessageType } from "./messages.ts";
import { readMap } from "./msgpack.ts";

/** Messages in a packet: with 128 or more the oldest peers read each from the wrong place. */
export const maxMessagesPerPacket = 127;

/**
 * The rings of MetalLB, and so ours, have no label: a packet or a stream that begins with one is from another ring.
 * @throws {MemberlistError} `label` when there is one; `malformed` when it is cut short
 */
export function refuseLabel(octets: Uint8Array): void {
  if (octets[0] !== MessageType.label) return;
  const reader = new Reader(octets, 1);
  const label = reader.take(reader.u8());
  if (label.length === 0) throw new MemberlistError("malformed", "Cannot decode a label: its length is 0");
  const text = JSON.stringify(Buffer.from(label).toString("utf8"));
  throw new MemberlistError("label", `Cannot accept the label ${text}: this ring has none`);
}

const headerLength = 5;

export function encodeChecksum(packet: Uint8Array): Uint8Array {
  return new Writer().u8(MessageType.checksum).u32(crc32(packet)).put(packet).finish();
}

/**
 * The octets after the checksum of a packet; the packet itself if it has no checksum.
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

/** LZW is the only algorithm. */
const lzw = 0;
const names = ["Algo", "Buf"];

/**
 * The message inside a compress message, of which `octets` begins with the type.
 * @param limit octets of the result
 * @throws {MemberlistError} `unsupported` for another algorithm; `tooLarge`; `malformed`, also when there is nothing inside
 */
export function decodeCompressed(octets: Uint8Array, limit: number): Uint8Array {
  const fields = readMap(new Reader(octets, 1), names);
  const algorithm = fields.unsigned("Algo", 0xff);
  if (algorithm !== lzw) throw new MemberlistError("unsupported", `Cannot decompress: the algorithm is ${algorithm}`);
  const message = decompressLzw(fields.view("Buf") ?? new Uint8Array(), limit);
  if (message.length === 0) throw new MemberlistError("malformed", "Cannot decompress: there is nothing inside");
  return message;
}

/** @throws {RangeError} for more parts than the oldest peers can read, and for an empty part, of which they die */
export function encodeCompound(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length > maxMessagesPerPacket)
    throw new RangeError(`Cannot encode a compound: ${parts.length} parts are more than ${maxMessagesPerPacket}`);
  const writer = new Writer().u8(MessageType.compound).u8(parts.length);
  for (const part of parts) {
    if (part.length === 0) throw new RangeError("Cannot encode a compound: a part is empty");
    writer.u16(part.length);
  }
  for (const part of parts) writer.put(part);
  return writer.finish();
}

export interface SplitCompound {
  /** Complete parts, as views; some may be empty. */
  readonly parts: readonly Uint8Array[];
  /** Parts that the packet ends before. */
  readonly missing: number;
}

/**
 * Splits a compound, of which `octets` begins with the type; what follows the last part is ignored.
 * @throws {MemberlistError} `malformed` when even the lengths are not all there
 */
export function splitCompound(octets: Uint8Array): SplitCompound {
  const reader = new Reader(octets, 1);
  const count = reader.u8();
  const lengths = new Reader(reader.take(2 * count));
  const parts: Uint8Array[] = [];
  while (lengths.remaining > 0) {
    const length = lengths.u16();
    if (length > reader.remaining) return { parts, missing: count - parts.length };
    parts.push(reader.take(length));
  }
  return { parts, missing: 0 };
}
