import { MessageType } from "./message-type.ts";
import { Reader, Writer } from "./octets.ts";
import { maxMessagesPerPacket } from "./packet-budget.ts";

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
  /** Those that are complete, as views; some may be empty. */
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
