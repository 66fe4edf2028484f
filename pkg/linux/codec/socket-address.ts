/** AF_INET, AF_INET6 */
export const addressFamily = { IPv4: 2, IPv6: 10 } as const;

/** How many octets an address of a family has; undefined for other families. */
export function addressLength(family: number): 4 | 16 | undefined {
  return family === addressFamily.IPv4 ? 4 : family === addressFamily.IPv6 ? 16 : undefined;
}

/** struct sockaddr_in, struct sockaddr_in6 */
export const socketAddressSize = { IPv4: 16, IPv6: 28 } as const;

/** The sender of a datagram. */
export interface Sender {
  /** 4 or 16 bytes in network order. */
  readonly source: Uint8Array;
  readonly sourcePort: number;
}

/** struct sockaddr_in or sockaddr_in6, by the length of `address`; the interface counts for link-local addresses alone. */
export function socketAddress(address: Uint8Array, port: number, interfaceIndex = 0): Uint8Array {
  const v4 = address.length === 4;
  const bytes = new Uint8Array(v4 ? socketAddressSize.IPv4 : socketAddressSize.IPv6);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v4 ? addressFamily.IPv4 : addressFamily.IPv6, true);
  view.setUint16(2, port);
  bytes.set(address, v4 ? 4 : 8);
  if (!v4) view.setUint32(24, interfaceIndex, true);
  return bytes;
}

/** The other end as the kernel wrote it: the `struct sockaddr_in` or `sockaddr_in6` at an offset. `source` is a view. */
export function decodeSender(view: DataView<ArrayBuffer>, at = 0): Sender {
  const start = view.byteOffset + at;
  const v4 = view.getUint16(at, true) === addressFamily.IPv4;
  return {
    source: v4 ? new Uint8Array(view.buffer, start + 4, 4) : new Uint8Array(view.buffer, start + 8, 16),
    sourcePort: view.getUint16(at + 2),
  };
}
