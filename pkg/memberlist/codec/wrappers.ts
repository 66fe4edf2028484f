import { crc32 } from "node:zlib";
import { compressLzw, decompressLzw } from "./lzw.ts";
import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import { MessageType } from "./messages.ts";
import { FieldNames, readMap, writeMap } from "./msgpack.ts";
import { maxMessagesPerPacket } from "./wire.ts";

/** @param label 1 to 255 octets */
export function writeLabel(writer: Writer, label: Uint8Array): Writer {
  return writer.u8(MessageType.label).u8(label.length).put(label);
}

/**
 * Strips the label header from the beginning of a packet or of a dialler's stream. The header may be missing if no label is
 * expected.
 * @param expected empty for no label
 * @throws {MemberlistError} `label` when the label is another one, is missing, or is not expected; `malformed` when it is cut
 * short
 */
export function stripLabel(octets: Uint8Array, expected: Uint8Array): Uint8Array {
  if (expected.length === 0 && octets[0] !== MessageType.label) return octets;
  const reader = new Reader(octets);
  const label = octets[0] === MessageType.label ? readLabel(reader) : new Uint8Array();
  if (Buffer.compare(label, expected) !== 0)
    throw new MemberlistError("label", `Cannot accept the label ${text(label)}: it should be ${text(expected)}`);
  return reader.rest();
}

function readLabel(reader: Reader): Uint8Array {
  reader.u8();
  const label = reader.take(reader.u8());
  if (label.length === 0) throw new MemberlistError("malformed", "Cannot decode a label: its length is 0");
  return label;
}

function text(label: Uint8Array): string {
  return JSON.stringify(Buffer.from(label).toString("utf8"));
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
const names = new FieldNames("Algo", "Buf");

/** Wraps a message in a compress message, which may be longer. @throws {RangeError} for no octets: peers die of that */
export function encodeCompressed(message: Uint8Array): Uint8Array {
  if (message.length === 0) throw new RangeError("Cannot compress a message: it is empty");
  const writer = new Writer().u8(MessageType.compress);
  writeMap(writer, { Algo: lzw, Buf: compressLzw(message) });
  return writer.finish();
}

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
