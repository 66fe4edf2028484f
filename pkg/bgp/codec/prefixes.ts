import type { Family, Prefix } from "#pkg/net";
import { Reader } from "#pkg/octets";

/** A prefix, and which of the paths to it is meant. */
export interface Nlri {
  readonly prefix: Prefix;
  /** The path identifier of RFC 7911; not sent in a session without ADD-PATH. */
  readonly path: number;
}

/** Octets of the longest prefix, with the octet for its length. */
const maxEncodedLength: Record<Family, number> = { IPv4: 5, IPv6: 17 };
const pathLength = 4;

/**
 * Takes prefixes and encodes them (RFC 4271, section 4.3, and RFC 4760, section 5) until another one might not fit into `room` octets. The
 * result has the prefixes that it took. @param withPaths a path identifier stands before each (RFC 7911, section 3)
 */
export function packPrefixes(family: Family, nlri: Iterator<Nlri>, room: number, withPaths: boolean): Uint8Array {
  const octets = new Uint8Array(room);
  const view = new DataView(octets.buffer);
  const max = maxEncodedLength[family] + (withPaths ? pathLength : 0);
  let at = 0;
  while (at + max <= room) {
    const { done, value } = nlri.next();
    if (done) break;
    const { prefix, path } = value;
    if (withPaths) {
      view.setUint32(at, path);
      at += pathLength;
    }
    octets[at] = prefix.length;
    // All of the address is written, and the next prefix overwrites what is beyond the length; a bigint is taken modulo 2^64.
    if (family === "IPv4") view.setUint32(at + 1, Number(prefix.address.value));
    else {
      view.setBigUint64(at + 1, prefix.address.value >> 64n);
      view.setBigUint64(at + 9, prefix.address.value);
    }
    at += 1 + ((prefix.length + 7) >>> 3);
  }
  return octets.subarray(0, at);
}

/**
 * Checks a field of prefixes to its end. Lengths are in bits. @returns how many there are
 * @param fault makes the error for a length that the family does not have, or a prefix cut short; its argument describes the fault in words
 */
export function countPrefixes(family: Family, field: Uint8Array, fault: (found: string) => Error): number {
  const reader = new Reader(field, fault);
  const max = family === "IPv4" ? 32 : 128;
  let count = 0;
  for (; reader.remaining > 0; count++) {
    const bits = reader.u8();
    if (bits > max) throw fault(`a prefix of ${bits} bits, above the maximum of ${max}`);
    reader.skip((bits + 7) >>> 3);
  }
  return count;
}
