import { decodeMetadata } from "#pkg/memberlist";

/** The field of our metadata that the tests put their text into; nothing else uses it. */
export const textKey = 255;

/** The text that a node was given as its meta, from its meta in hex: theirs is the text itself, ours a field. */
export function metaText(hex: string): string {
  const octets = Buffer.from(hex, "hex");
  const fields = decodeMetadata(octets);
  return Buffer.from(fields === undefined ? octets : (fields.get(textKey) ?? [])).toString();
}
