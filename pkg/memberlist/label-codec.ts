import { MemberlistError } from "./memberlist-error.ts";
import { MessageType } from "./message-type.ts";
import { Reader, type Writer } from "./octets.ts";

/** @param label 1 to 255 octets */
export function writeLabel(writer: Writer, label: Uint8Array): Writer {
  return writer.u8(MessageType.label).u8(label.length).put(label);
}

/**
 * What follows the label header at the beginning of a packet or of what a dialler sends; it may have none if none is expected.
 * @param expected empty if there is none
 * @throws {MemberlistError} `label` when it is another one, there is none, or none is expected; `malformed` when it is cut short
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
