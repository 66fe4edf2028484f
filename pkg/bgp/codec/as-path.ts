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

/**
 * The path that a peer without four-octet AS numbers has passed on (RFC 6793, section 4.2.3): AS4_PATH, and in front of it what AS_PATH
 * has more. An AS4_PATH that is longer than AS_PATH is not of this route any more.
 */
export function mergeAs4Path(asPath: readonly AsPathSegment[], as4Path: readonly AsPathSegment[]): readonly AsPathSegment[] {
  const inner = as4Path.filter(isOutsideConfederation);
  let missing = pathLength(asPath) - pathLength(inner);
  if (missing < 0) return asPath;
  const leading: AsPathSegment[] = [];
  for (const segment of asPath) {
    if (missing === 0 && isOutsideConfederation(segment)) break;
    const { type, asns } = segment;
    const taken = type === "sequence" ? { type, asns: asns.slice(0, missing) } : segment;
    leading.push(taken);
    missing -= pathLength([taken]);
  }
  return [...leading, ...inner];
}

/** Length in the choice of a route (RFC 4271, section 9.1.2.2; RFC 5065, section 5.3). */
function pathLength(segments: readonly AsPathSegment[]): number {
  const lengths = segments.map(({ type, asns }) => (type === "sequence" ? asns.length : type === "set" ? 1 : 0));
  return lengths.reduce((sum, length) => sum + length, 0);
}
