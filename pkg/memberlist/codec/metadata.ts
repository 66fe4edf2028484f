/**
 * The metadata of our speakers: octets that peers of other kinds pass on unread. They are kept as text, one character for each octet, because an array
 * of octets takes some 450 octets more, and each member has such metadata.
 * The text `ingot`, the format's version (1), then fields of key, length and value, a key and a length taking one octet each.
 */
export type MetadataFields = ReadonlyMap<number, Uint8Array>; // key -> value of at most 255 octets

export const MetadataKey = {
  /** One octet: the newest version of the fast timing that the node keeps up with. */
  timing: 1,
  /** One octet: the newest version of the user messages and user state that the node sends and understands (see `GossipStore`). */
  gossip: 2,
  /** The MAC addresses from which the node announces addresses, six octets each, at most eight. */
  macs: 3,
  /** No octets: the node's speaker starts, and announces nothing yet. */
  starting: 4,
} as const;

const maxLength = 512; // Longer ones are refused by the library that the format comes from.
const prefix = "ingot\x01";

/** @throws {RangeError} for a key above 255, a value above 255 octets, and more than 512 octets in total */
export function encodeMetadata(fields: MetadataFields): string {
  const octets = [...Buffer.from(prefix, "latin1")];
  for (const [key, value] of fields) {
    if (!Number.isInteger(key) || key < 0 || key > 255) throw new RangeError(`Cannot encode metadata: key is ${key}`);
    if (value.length > 255) throw new RangeError(`Cannot encode metadata: value of key ${key} has ${value.length} octets`);
    octets.push(key, value.length, ...value);
  }
  if (octets.length > maxLength) throw new RangeError(`Cannot encode metadata: it has ${octets.length} octets`);
  return Buffer.from(octets).toString("latin1");
}

/** Undefined for octets that are not of this format, or are cut short; the last value of a repeated key counts. */
export function decodeMetadata(text: string | undefined): MetadataFields | undefined {
  if (text === undefined || !text.startsWith(prefix)) return undefined;
  const octets = Buffer.from(text, "latin1");
  const fields = new Map<number, Uint8Array>();
  for (let at = prefix.length; at < octets.length; ) {
    const [key, length] = [octets[at], octets[at + 1]];
    if (key === undefined || length === undefined || at + 2 + length > octets.length) return undefined;
    fields.set(key, new Uint8Array(octets.subarray(at + 2, at + 2 + length)));
    at += 2 + length;
  }
  return fields;
}
