import { Reader, Writer } from "#pkg/octets";

/** In place of an AS number that does not fit into two octets (RFC 6793, section 9). */
export const asTrans = 23_456;
export const maxTwoOctetAsn = 0xffff;

/** RFC 4271, section 4.3, and RFC 5065, section 3. */
export const SegmentType = { set: 1, sequence: 2, confedSequence: 3, confedSet: 4 } as const;

/** One sequence, or nothing where there is no AS number. @throws {RangeError} for more than 255 */
export function encodeAsPath(asns: readonly number[], fourOctetAsn: boolean): Uint8Array {
  const writer = new Writer();
  if (asns.length > 0) writer.u8(SegmentType.sequence).u8(asns.length);
  for (const asn of asns)
    if (fourOctetAsn) writer.u32(asn);
    else writer.u16(asn > maxTwoOctetAsn ? asTrans : asn);
  return writer.finish();
}

/**
 * Checks AS_PATH or AS4_PATH to its end. @returns whether it has a confederation's segment
 * @param fault the error for a segment without AS numbers, of an unknown type, or cut short (RFC 7606, section 7.2), and for AS 0 (RFC 7607)
 */
export function checkAsPath(octets: Uint8Array, fourOctetAsn: boolean, fault: (found: string) => Error): boolean {
  const reader = new Reader(octets, fault);
  let isConfederated = false;
  while (reader.remaining > 0) {
    const type = reader.u8();
    if (type < SegmentType.set || type > SegmentType.confedSet) throw fault(`a segment of type ${type}`);
    isConfederated ||= type >= SegmentType.confedSequence;
    const count = reader.u8();
    if (count === 0) throw fault("a segment without AS numbers");
    for (let left = count; left > 0; left--) if ((fourOctetAsn ? reader.u32() : reader.u16()) === 0) throw fault("AS number 0");
  }
  return isConfederated;
}
