import type { AsPathSegment } from "./messages.ts";
import { Writer } from "./octets.ts";

/** In place of an AS number that does not fit into two octets (RFC 6793, section 9). */
export const asTrans = 23_456;
export const maxTwoOctetAsn = 0xffff;

/** RFC 4271, section 4.3, and RFC 5065, section 3. */
const segmentTypes = { set: 1, sequence: 2, confedSequence: 3, confedSet: 4 } as const;

/** @throws {RangeError} for a segment of more than 255 AS numbers */
export function encodeAsPath(segments: readonly AsPathSegment[], fourOctetAsn: boolean): Uint8Array {
  const writer = new Writer();
  for (const { type, asns } of segments) {
    writer.u8(segmentTypes[type]).u8(asns.length);
    for (const asn of asns)
      if (fourOctetAsn) writer.u32(asn);
      else writer.u16(asn > maxTwoOctetAsn ? asTrans : asn);
  }
  return writer.finish();
}
