import { Address, formatMac } from "#pkg/net";

/** A network interface, as RTM_NEWLINK describes it. */
export interface NetworkInterface {
  readonly index: number;
  readonly name: string;
  /** ARPHRD_*: 1 is Ethernet. */
  readonly hardwareType: number;
  /** Hexadecimal octets with colons between: 6 on Ethernet; may be empty. */
  readonly hardwareAddress: string;
  readonly up: boolean;
  readonly broadcast: boolean;
  readonly loopback: boolean;
  readonly noArp: boolean;
  /** IFF_RUNNING: it has a carrier and its operational state is up or unknown (RFC 2863). */
  readonly running: boolean;
  /** The index of the interface it is enslaved to. */
  readonly master: number | undefined;
  /** What it is, where it is not hardware: such as `veth`, `bridge`, `vlan`. */
  readonly kind: string | undefined;
  /** What the master is, such as `bridge`, `bond`, `team` or `vrf`, when the kernel says. */
  readonly masterKind: string | undefined;
}

/** An address of an interface. */
export interface InterfaceAddress {
  readonly interfaceIndex: number;
  readonly address: Address;
  readonly prefixLength: number;
}

/** One message of the kernel. `sequence` is that of the request it answers; 0 in a notification. */
export type NetlinkMessage = { readonly sequence: number; readonly interrupted: boolean } & (
  | { readonly type: "interfaceSet" | "interfaceDeleted"; readonly networkInterface: NetworkInterface }
  | { readonly type: "addressSet" | "addressDeleted"; readonly address: InterfaceAddress }
  | { readonly type: "done" }
  /** `errno` is positive, or 0 for an acknowledgement. */
  | { readonly type: "error"; readonly errno: number }
);

/** A datagram is not what rtnetlink may send. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
}

const MessageType = {
  error: 2,
  done: 3,
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newNeighbor: 28,
  getNeighbor: 30,
} as const;
const LinkFlag = { up: 0x1, broadcast: 0x2, loopback: 0x8, running: 0x40, noArp: 0x80 } as const;
const LinkAttribute = { address: 1, name: 3, master: 10, linkInfo: 18, extensionMask: 29 } as const;
const InfoAttribute = { kind: 1, masterKind: 4 } as const; // IFLA_INFO_KIND, IFLA_INFO_SLAVE_KIND
const AddressAttribute = { address: 1, local: 2 } as const;
const NeighborAttribute = { destination: 1, linkLayerAddress: 2 } as const;
const familyInet = 2;
const familyInet6 = 10;
const flagDumpInterrupted = 0x10; // NLM_F_DUMP_INTR
const flagRequest = 1; // NLM_F_REQUEST
const flagsDumpRequest = 0x301; // NLM_F_REQUEST | NLM_F_DUMP
const skipStatistics = 8; // RTEXT_FILTER_SKIP_STATS: three quarters of what an interface's dump would be.
const headerLength = 16;
const linkHeaderLength = 16; // struct ifinfomsg
const addressHeaderLength = 8; // struct ifaddrmsg
const neighborHeaderLength = 12; // struct ndmsg
const attributeHeaderLength = 4;

/** A request for every interface, or for every address, of the namespace. The kernel serves one such request of a socket at a time. */
export function encodeDumpRequest(what: "interfaces" | "addresses", sequence: number): Uint8Array {
  const isInterfaces = what === "interfaces";
  const length = headerLength + (isInterfaces ? linkHeaderLength + 8 : addressHeaderLength);
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(0, length, true);
  view.setUint16(4, isInterfaces ? MessageType.getLink : MessageType.getAddress, true);
  view.setUint16(6, flagsDumpRequest, true);
  view.setUint32(8, sequence, true);
  if (isInterfaces) {
    view.setUint16(headerLength + linkHeaderLength, 8, true);
    view.setUint16(headerLength + linkHeaderLength + 2, LinkAttribute.extensionMask, true);
    view.setUint32(headerLength + linkHeaderLength + 4, skipStatistics, true);
  }
  return new Uint8Array(view.buffer);
}

/**
 * Decodes a datagram (netlink(7), rtnetlink(7)), in its order. Unknown messages and attributes are left out, and so are the
 * messages in which a bridge speaks of its ports: these look like interfaces that appear and vanish.
 * @throws {NetlinkError} for a length that does not fit, or an interface or an address without what makes it one
 */
export function decodeNetlink(datagram: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let rest = datagram;
  while (rest.length > 0) {
    if (rest.length < headerLength)
      throw new NetlinkError(`Cannot decode message: ${rest.length} octets, header needs ${headerLength}`);
    const header = new DataView(rest.buffer, rest.byteOffset, headerLength);
    const length = header.getUint32(0, true);
    if (length < headerLength || length > rest.length)
      throw new NetlinkError(`Cannot decode message: length is ${length}, with ${rest.length} octets left`);
    const message = decodeMessage(header, rest.subarray(headerLength, length));
    if (message !== undefined) messages.push(message);
    rest = rest.subarray(align(length));
  }
  return messages;
}

/** Asks the kernel for one neighbour on an interface (RTM_GETNEIGH). `address`: 4 or 16 octets in network order. */
export function encodeNeighborRequest(interfaceIndex: number, address: Uint8Array, sequence: number): Uint8Array {
  const length = headerLength + neighborHeaderLength + attributeHeaderLength + address.length;
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(0, length, true);
  view.setUint16(4, MessageType.getNeighbor, true);
  view.setUint16(6, flagRequest, true);
  view.setUint32(8, sequence, true);
  view.setUint8(headerLength, address.length === 4 ? familyInet : familyInet6);
  view.setInt32(headerLength + 4, interfaceIndex, true);
  const attribute = headerLength + neighborHeaderLength;
  view.setUint16(attribute, attributeHeaderLength + address.length, true);
  view.setUint16(attribute + 2, NeighborAttribute.destination, true);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(address, attribute + attributeHeaderLength);
  return bytes;
}

/** The link-layer address in the answer to the request of this number; undefined where the kernel has none, or it is no such answer. */
export function decodeNeighbor(bytes: Uint8Array, sequence: number): Uint8Array | undefined {
  if (bytes.length < headerLength + neighborHeaderLength) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = Math.min(view.getUint32(0, true), bytes.length);
  if (view.getUint16(4, true) !== MessageType.newNeighbor || view.getUint32(8, true) !== sequence) return undefined;
  for (let at = headerLength + neighborHeaderLength; at + attributeHeaderLength <= end; ) {
    const length = view.getUint16(at, true);
    if (length < attributeHeaderLength || at + length > end) return undefined;
    if (view.getUint16(at + 2, true) === NeighborAttribute.linkLayerAddress)
      return bytes.slice(at + attributeHeaderLength, at + length);
    at += Math.ceil(length / 4) * 4;
  }
  return undefined;
}

function decodeMessage(header: DataView, body: Uint8Array): NetlinkMessage | undefined {
  const common = { sequence: header.getUint32(8, true), interrupted: (header.getUint16(6, true) & flagDumpInterrupted) !== 0 };
  const type = header.getUint16(4, true);
  switch (type) {
    case MessageType.error:
      return { ...common, type: "error", errno: -fixed(body, 4, "error").getInt32(0, true) };
    case MessageType.done:
      return { ...common, type: "done" };
    case MessageType.newLink:
    case MessageType.deleteLink: {
      const networkInterface = decodeInterface(body);
      return (
        networkInterface && {
          ...common,
          type: type === MessageType.newLink ? "interfaceSet" : "interfaceDeleted",
          networkInterface,
        }
      );
    }
    case MessageType.newAddress:
    case MessageType.deleteAddress: {
      const address = decodeAddress(body);
      return address && { ...common, type: type === MessageType.newAddress ? "addressSet" : "addressDeleted", address };
    }
    default:
      return undefined;
  }
}

function decodeInterface(body: Uint8Array): NetworkInterface | undefined {
  const header = fixed(body, linkHeaderLength, "interface");
  if (header.getUint8(0) !== 0) return undefined; // Of a family, not AF_UNSPEC: a bridge about a port.
  const attributes = decodeAttributes(body.subarray(linkHeaderLength));
  const index = header.getInt32(4, true);
  const flags = header.getUint32(8, true);
  const name = text(attributes.get(LinkAttribute.name));
  if (index <= 0 || name === undefined) throw new NetlinkError(`Cannot decode interface: index is ${index}, name is ${name}`);
  const linkInfo = attributes.get(LinkAttribute.linkInfo);
  const information = linkInfo && decodeAttributes(linkInfo);
  const master = attributes.get(LinkAttribute.master);
  return {
    index,
    name,
    hardwareType: header.getUint16(2, true),
    hardwareAddress: formatMac(attributes.get(LinkAttribute.address) ?? new Uint8Array(0)),
    up: (flags & LinkFlag.up) !== 0,
    broadcast: (flags & LinkFlag.broadcast) !== 0,
    loopback: (flags & LinkFlag.loopback) !== 0,
    noArp: (flags & LinkFlag.noArp) !== 0,
    running: (flags & LinkFlag.running) !== 0,
    master: master && fixed(master, 4, "master").getUint32(0, true),
    kind: text(information?.get(InfoAttribute.kind)),
    masterKind: text(information?.get(InfoAttribute.masterKind)),
  };
}

function decodeAddress(body: Uint8Array): InterfaceAddress | undefined {
  const header = fixed(body, addressHeaderLength, "address");
  const family = header.getUint8(0);
  if (family !== familyInet && family !== familyInet6) return undefined;
  const attributes = decodeAttributes(body.subarray(addressHeaderLength));
  // On a point-to-point interface IFA_ADDRESS is the other end, and IFA_LOCAL this one.
  const octets = attributes.get(AddressAttribute.local) ?? attributes.get(AddressAttribute.address);
  const wanted = family === familyInet ? 4 : 16;
  if (octets?.length !== wanted)
    throw new NetlinkError(`Cannot decode address: ${octets?.length ?? "no"} octets, family needs ${wanted}`);
  return { interfaceIndex: header.getUint32(4, true), address: Address.fromBytes(octets), prefixLength: header.getUint8(1) };
}

/** attribute type -> value, a view. The last of a type counts. */
function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  let rest = bytes;
  while (rest.length >= 4) {
    const header = new DataView(rest.buffer, rest.byteOffset, 4);
    const length = header.getUint16(0, true);
    if (length < 4 || length > rest.length)
      throw new NetlinkError(`Cannot decode attribute: length is ${length}, with ${rest.length} octets left`);
    attributes.set(header.getUint16(2, true) & 0x3fff, rest.subarray(4, length)); // Without the flags for nesting and byte order.
    rest = rest.subarray(align(length));
  }
  return attributes;
}

/** The fixed part at the start of `bytes`. */
function fixed(bytes: Uint8Array, length: number, what: string): DataView {
  if (bytes.length < length) throw new NetlinkError(`Cannot decode ${what}: ${bytes.length} octets, needs ${length}`);
  return new DataView(bytes.buffer, bytes.byteOffset, length);
}

/** Text that ends with a zero octet. */
function text(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
}

function align(length: number): number {
  return (length + 3) & ~3;
}
