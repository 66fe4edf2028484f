/** A datagram is not what rtnetlink may send. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
}

export const MessageType = {
  error: 2,
  done: 3,
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  setLink: 19,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
  newNeighbor: 28,
  getNeighbor: 30,
} as const;
export const LinkAttribute = { address: 1, name: 3, master: 10, linkInfo: 18, addressFamilies: 26, extensionMask: 29 } as const;
export const InfoAttribute = { kind: 1, masterKind: 4 } as const; // IFLA_INFO_KIND, IFLA_INFO_SLAVE_KIND
export const AddressAttribute = { address: 1, local: 2, lifetimes: 6, flags: 8, protocol: 11 } as const;
export const AddressFlag = { noDad: 0x02, deprecated: 0x20, tentative: 0x40, permanent: 0x80, noPrefixRoute: 0x200 } as const;
export const RouteAttribute = {
  destination: 1,
  outInterface: 4,
  gateway: 5,
  priority: 6,
  multipath: 9,
  table: 15,
  via: 18,
} as const;
export const flagRequest = 1; // NLM_F_REQUEST
export const flagsDump = flagRequest | 0x300; // NLM_F_DUMP
export const flagDumpInterrupted = 0x10; // NLM_F_DUMP_INTR
export const headerLength = 16;
export const linkHeaderLength = 16; // struct ifinfomsg
export const addressHeaderLength = 8; // struct ifaddrmsg
export const routeHeaderLength = 12; // struct rtmsg
export const attributeHeaderLength = 4;
/** A lifetime in seconds that does not end (INFINITY_LIFE_TIME). */
export const foreverOnWire = 0xffff_ffff;

/** One message, as it is framed. `body` is a view. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** The messages of a datagram, in its order (netlink(7)). @throws {NetlinkError} for a length that does not fit */
export function* messagesOf(datagram: Uint8Array): Iterable<Message> {
  let rest = datagram;
  while (rest.length > 0) {
    if (rest.length < headerLength)
      throw new NetlinkError(`Cannot decode message: ${rest.length} octets, header needs ${headerLength}`);
    const header = new DataView(rest.buffer, rest.byteOffset, headerLength);
    const length = header.getUint32(0, true);
    if (length < headerLength || length > rest.length)
      throw new NetlinkError(`Cannot decode message: length is ${length}, with ${rest.length} octets left`);
    yield {
      type: header.getUint16(4, true),
      flags: header.getUint16(6, true),
      sequence: header.getUint32(8, true),
      body: rest.subarray(headerLength, length),
    };
    rest = rest.subarray(align(length));
  }
}

/** The kernel's result: as the answer to a request, or at the end of a dump. `errno` is positive, or 0. @returns undefined for another message */
export function resultOf({ type, body }: Message): { readonly type: "done" | "error"; readonly errno: number } | undefined {
  if (type === MessageType.error) return { type: "error", errno: 0 - fixed(body, 4, "error").getInt32(0, true) };
  if (type !== MessageType.done) return undefined;
  // Older kernels end a dump without a number for success.
  return { type: "done", errno: body.length < 4 ? 0 : 0 - fixed(body, 4, "done").getInt32(0, true) };
}

/**
 * Views of records that follow one another, each of which begins with its length in 16 bits and ends with its padding to four octets.
 * @param least octets of a record @throws {NetlinkError} for a length that does not fit
 */
export function* recordsOf(bytes: Uint8Array, least: number, what: string): Iterable<Uint8Array> {
  for (let rest = bytes; rest.length >= least; ) {
    const length = (rest[0] ?? 0) | ((rest[1] ?? 0) << 8);
    if (length < least || length > rest.length)
      throw new NetlinkError(`Cannot decode ${what}: length is ${length}, with ${rest.length} octets left`);
    yield rest.subarray(0, length);
    rest = rest.subarray(align(length));
  }
}

/** attribute type -> value, a view. The last of a type counts. @throws {NetlinkError} for a length that does not fit */
export function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  for (const record of recordsOf(bytes, attributeHeaderLength, "attribute")) {
    const type = (record[2] ?? 0) | ((record[3] ?? 0) << 8);
    attributes.set(type & 0x3fff, record.subarray(attributeHeaderLength)); // Without the flags for nesting and byte order.
  }
  return attributes;
}

/** The fixed part at the start of `bytes`. @throws {NetlinkError} where it is cut short */
export function fixed(bytes: Uint8Array, length: number, what: string): DataView {
  if (bytes.length < length) throw new NetlinkError(`Cannot decode ${what}: ${bytes.length} octets, needs ${length}`);
  return new DataView(bytes.buffer, bytes.byteOffset, length);
}

/** Text that ends with a zero octet. */
export function text(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
}

/** One message: the header of netlink(7), then `parts`, each padded to four octets. */
export function encodeMessage(type: number, flags: number, sequence: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + align(part.length), headerLength);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  return place(bytes, headerLength, parts);
}

/** An attribute, with other attributes as its value where several are given. */
export function encodeAttribute(type: number, ...values: readonly Uint8Array[]): Uint8Array {
  const length = values.reduce(
    (sum, value) => sum + (values.length > 1 ? align(value.length) : value.length),
    attributeHeaderLength,
  );
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, length, true);
  view.setUint16(2, type, true);
  return place(bytes, attributeHeaderLength, values);
}

/** @returns `bytes`, with `parts` in them from `start` on, each where the one before ends with its padding */
function place(bytes: Uint8Array, start: number, parts: readonly Uint8Array[]): Uint8Array {
  let at = start;
  for (const part of parts) {
    bytes.set(part, at);
    at += align(part.length);
  }
  return bytes;
}

/** Numbers of 32 bits in the machine's order, which is little-endian. */
export function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function align(length: number): number {
  return (length + 3) & ~3;
}
