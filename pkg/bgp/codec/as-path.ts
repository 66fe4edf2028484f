import { Reader, Writer } from "#pkg/octets";
import type { AsPathSegment } from "./messages.ts";

/** In place of an AS number that does not fit into two octets (RFC 6793, section 9). */
export const asTrans = 23_456;
export const maxTwoOctetAsn = 0xffff;

/** RFC 4271, section 4.3, and RFC 5065, section 3. */
const segmentTypes = { set: 1, sequence: 2, confedSequence: 3, confedSet: 4 } as const;
const segmentNames = new Map<number, AsPathSegment["type"]>(
  Object.entries(segmentTypes).map(([name, code]) => [code, name as AsPathSegment["type"]]),
);

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

/**
 * Decodes AS_PATH or AS4_PATH to its end.
 * @param fault the error for a segment without AS numbers, of an unknown type, or cut short (RFC 7606, section 7.2), and for AS 0 (RFC 7607)
 */
export function decodeAsPath(octets: Uint8Array, fourOctetAsn: boolean, fault: (found: string) => Error): AsPathSegment[] {
  const reader = new Reader(octets, fault);
  const segments: AsPathSegment[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    const type = segmentNames.get(code);
    if (type === undefined) throw fault(`a segment of type ${code}`);
    const count = reader.u8();
    if (count === 0) throw fault("a segment without AS numbers");
    const asns: number[] = [];
    while (asns.length < count) asns.push(fourOctetAsn ? reader.u32() : reader.u16());
    if (asns.includes(0)) throw fault("AS number 0");
    segments.push({ type, asns });
  }
  return segments;
}

/** Whether AS numbers of the segment count as outside the confederation. */
export function isOutsideConfederation({ type }: AsPathSegment): boolean {
  return type === "set" || type === "sequence";
}
