const empty = new Uint8Array();

/** Whether both hold the same bytes; undefined holds none. */
export function equalBytes(a: Uint8Array = empty, b: Uint8Array = empty): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The Internet checksum (RFC 1071) of an even number of octets, from one offset to before another. @param more what else is summed up: of a pseudo-header */
export function internetChecksum(view: DataView, from: number, to: number, more = 0): number {
  let sum = more;
  for (let at = from; at < to; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** The 16 octets of an IPv6 address at an offset. */
export function getIpv6(view: DataView, offset: number): bigint {
  return (view.getBigUint64(offset) << 64n) | view.getBigUint64(offset + 8);
}

export function setIpv6(view: DataView, offset: number, address: bigint): void {
  view.setBigUint64(offset, address >> 64n);
  view.setBigUint64(offset + 8, address); // Its low 64 bits.
}
