/** The Internet checksum (RFC 1071) of an even number of octets, from one offset to before another. @param more what else is summed up: of a pseudo-header */
export function internetChecksum(view: DataView, from: number, to: number, more = 0): number {
  let sum = more;
  for (let at = from; at < to; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
