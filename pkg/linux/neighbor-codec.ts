const headerOctets = 16; // struct nlmsghdr
const neighborOctets = 12; // struct ndmsg
const attributeHeaderOctets = 4;
const MessageType = { newNeighbor: 28, getNeighbor: 30 } as const;
const flagRequest = 1;
const Attribute = { destination: 1, linkLayerAddress: 2 } as const;
const familyInet = 2;
const familyInet6 = 10;

/** Asks the kernel for one neighbour on an interface (RTM_GETNEIGH). `address`: 4 or 16 octets in network order. */
export function encodeNeighborRequest(interfaceIndex: number, address: Uint8Array, sequence: number): Uint8Array {
  const length = headerOctets + neighborOctets + attributeHeaderOctets + address.length;
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(0, length, true);
  view.setUint16(4, MessageType.getNeighbor, true);
  view.setUint16(6, flagRequest, true);
  view.setUint32(8, sequence, true);
  view.setUint8(headerOctets, address.length === 4 ? familyInet : familyInet6);
  view.setInt32(headerOctets + 4, interfaceIndex, true);
  const attribute = headerOctets + neighborOctets;
  view.setUint16(attribute, attributeHeaderOctets + address.length, true);
  view.setUint16(attribute + 2, Attribute.destination, true);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(address, attribute + attributeHeaderOctets);
  return bytes;
}

/** The link-layer address in the answer to the request of this number; undefined where the kernel has none, or it is no such answer. */
export function decodeNeighbor(bytes: Uint8Array, sequence: number): Uint8Array | undefined {
  if (bytes.length < headerOctets + neighborOctets) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = Math.min(view.getUint32(0, true), bytes.length);
  if (view.getUint16(4, true) !== MessageType.newNeighbor || view.getUint32(8, true) !== sequence) return undefined;
  for (let at = headerOctets + neighborOctets; at + attributeHeaderOctets <= end; ) {
    const length = view.getUint16(at, true);
    if (length < attributeHeaderOctets || at + length > end) return undefined;
    if (view.getUint16(at + 2, true) === Attribute.linkLayerAddress) return bytes.slice(at + attributeHeaderOctets, at + length);
    at += Math.ceil(length / 4) * 4;
  }
  return undefined;
}
