/** Octets of the marker, the length and the type in front of every message (RFC 4271, section 4.1). */
export const headerLength = 19;
export const markerLength = 16;

/** The most octets of a message: of each one, and of what RFC 8654 extends. */
export const maxMessageLength = 4_096;
export const maxExtendedMessageLength = 65_535;

/** A whole message: the header and the parts of its body. @throws {RangeError} beyond 65,535 octets */
export function encodeFrame(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, headerLength);
  if (length > maxExtendedMessageLength)
    throw new RangeError(`Cannot encode a message: ${length} octets, above the maximum of ${maxExtendedMessageLength}`);
  const octets = new Uint8Array(length).fill(0xff, 0, markerLength);
  octets[markerLength] = length >>> 8;
  octets[markerLength + 1] = length;
  octets[markerLength + 2] = type;
  let offset = headerLength;
  for (const part of parts) {
    octets.set(part, offset);
    offset += part.length;
  }
  return octets;
}
