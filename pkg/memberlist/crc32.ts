/** The remainder of each octet: CRC-32 of IEEE 802.3, bits reflected, as in zlib. */
const table = Uint32Array.from({ length: 256 }, (_, octet) => {
  let remainder = octet;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb8_8320 : 0);
  return remainder;
});

export function crc32(octets: Uint8Array): number {
  let remainder = 0xffff_ffff;
  for (const octet of octets) remainder = (remainder >>> 8) ^ (table[(remainder ^ octet) & 0xff] ?? 0);
  return ~remainder >>> 0;
}
