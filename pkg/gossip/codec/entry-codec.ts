import { Writer } from "#pkg/octets";

/** The value that one node has set under one key. */
export interface GossipEntry {
  readonly node: string;
  /** The process of the node that has set it: see `GossipStore`. */
  readonly life: number;
  /** Octets, one per character. */
  readonly key: string;
  readonly version: number;
  /** Empty: there is nothing any more. */
  readonly value: Uint8Array;
}

/** Version of the format. A member that offers a version understands this one. */
export const gossipVersion = 2;

/** The first octets of our members' metadata, so that messages of other applications are not taken for ours. */
const prefix = Uint8Array.of(...new TextEncoder().encode("ingot"), gossipVersion);
const lifeOctets = 6;
const maxKeyOctets = 32;
const maxValueOctets = 600;
const maxNodeOctets = 253; // Limit for the name of a Kubernetes node. At all limits a single entry still fits into a user message.
/** No clock shows it. */
export const maxLife = 2 ** (8 * lifeOctets) - 1;

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Encodes entries: after the prefix, for each life of a node its name (one octet of length), the life (six octets) and the number of its entries
 * (two octets); of each the key (one octet of length), the version (four octets) and the value (two octets of length). Integers are
 * big-endian.
 * @throws {RangeError} for what does not fit
 */
export function encodeEntries(entries: Iterable<GossipEntry>): Uint8Array {
  const writer = new Writer().put(prefix);
  for (const its of Map.groupBy(entries, ({ node, life }) => `${life} ${node}`).values()) {
    const [{ node, life } = { node: "", life: 0 }] = its;
    const name = textEncoder.encode(node);
    if (name.length > maxNodeOctets || its.length > 0xffff)
      throw new RangeError(`Cannot encode entries: ${its.length} of a node whose name has ${name.length} octets`);
    writer.u8(name.length).put(name).put(encodeLife(life)).u16(its.length);
    for (const entry of its) putEntry(writer, entry);
  }
  return writer.finish();
}

/** @throws {RangeError} for a value that is no life */
function encodeLife(life: number): Uint8Array {
  if (!Number.isInteger(life) || life < 0 || life > maxLife) throw new RangeError(`Cannot encode a life: ${life}`);
  const octets = Buffer.alloc(lifeOctets);
  octets.writeUIntBE(life, 0, lifeOctets);
  return octets;
}

function putEntry(writer: Writer, { key, version, value }: GossipEntry): void {
  if (key.length === 0 || key.length > maxKeyOctets || value.length > maxValueOctets)
    throw new RangeError(`Cannot encode an entry: key of ${key.length}, value of ${value.length} octets`);
  writer.u8(key.length).latin1(key).u32(version).u16(value.length).put(value);
}

/** Undefined for octets that are not of this format, in part or as a whole. Values are parts of these octets. */
export function decodeEntries(octets: Uint8Array): GossipEntry[] | undefined {
  if (prefix.some((octet, index) => octets[index] !== octet)) return undefined;
  const bytes = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  const entries: GossipEntry[] = [];
  let at = prefix.length;
  /** Where so many octets begin; undefined if fewer are left. */
  const take = (length: number): number | undefined => {
    if (length > bytes.length - at) return undefined;
    at += length;
    return at - length;
  };
  const integer = (width: number): number | undefined => {
    const from = take(width);
    return from === undefined ? undefined : bytes.readUIntBE(from, width);
  };
  while (at < bytes.length) {
    const name = take(integer(1) ?? Infinity);
    const node = name === undefined ? undefined : decodeName(octets.subarray(name, at));
    const life = integer(lifeOctets);
    const count = integer(2);
    if (node === undefined || life === undefined || count === undefined) return undefined;
    for (let i = 0; i < count; i++) {
      const from = take(integer(1) ?? Infinity);
      const to = at;
      const version = integer(4);
      const value = take(integer(2) ?? Infinity);
      if (from === undefined || version === undefined || value === undefined) return undefined;
      if (to === from || to - from > maxKeyOctets || at - value > maxValueOctets) return undefined;
      entries.push({ node, life, key: bytes.toString("latin1", from, to), version, value: octets.subarray(value, at) });
    }
  }
  return entries;
}

function decodeName(octets: Uint8Array): string | undefined {
  if (octets.length === 0 || octets.length > maxNodeOctets) return undefined;
  try {
    return textDecoder.decode(octets);
  } catch {
    return undefined; // No name of a node, and it could not be passed on as it came.
  }
}

/** The part of a member's metadata about its gossip: the newest version that it understands, and its life. */
export function encodeOffer(life: number): Uint8Array {
  return Uint8Array.of(gossipVersion, ...encodeLife(life));
}

/** @returns the member's life; undefined where it does not understand this version */
export function decodeOffer(octets: Uint8Array | undefined): number | undefined {
  if (octets === undefined || octets.length < 1 + lifeOctets || (octets[0] ?? 0) < gossipVersion) return undefined;
  return octets.subarray(1, 1 + lifeOctets).reduce((value, octet) => value * 256 + octet, 0);
}
