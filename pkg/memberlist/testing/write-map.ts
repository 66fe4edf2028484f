import type { Writer } from "../codec/memberlist-error.ts";
import { type FieldValue, writeFields } from "../codec/msgpack.ts";

/** Writes a map with any fields, also such as no message has. */
export function writeMap(writer: Writer, fields: Readonly<Record<string, FieldValue>>): void {
  writeFields(writer, Object.entries(fields));
}
