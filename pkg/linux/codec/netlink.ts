import { Address, formatMac, Prefix } from "#pkg/net";
import {
  AddressAttribute,
  addressHeaderLength,
  attributeHeaderLength,
  decodeAttributes,
  encodeAttribute,
  encodeMessage,
  fixed,
  flagDumpInterrupted,
  flagRequest,
  foreverOnWire,
  headerLength,
  InfoAttribute,
  LinkAttribute,
  linkHeaderLength,
  type Message,
  MessageType,
  messagesOf,
  NetlinkError,
  RouteAttribute,
  resultOf,
  routeHeaderLength,
  text,
} from "./netlink-wire.ts";
import { addressFamily, addressLength } from "./socket-address.ts";

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
  /** Kind of the master, such as `bridge`, `bond`, `team` or `vrf`, when the kernel says. */
  readonly masterKind: string | undefined;
}

export interface InterfaceAddress {
  readonly interfaceIndex: number;
  readonly address: Address;
  readonly prefixLength: number;
  /** IFA_F_* */
  readonly flags: number;
  /** The program that put it there (IFA_PROTO); undefined if it did not say, and before Linux 5.18. */
  readonly protocol: number | undefined;
  /** Time left; Infinity for a permanent one. */
  readonly validSeconds: number;
}

/** A route of some table. */
export interface TableRoute {
  readonly prefix: Prefix;
  readonly table: number;
  /** The program that put it there (RTPROT_*). */
  readonly protocol: number;
  /** Undefined where it has none, or several. */
  readonly interfaceIndex: number | undefined;
  /** The same; undefined also where its hosts are on the link, or where it is of the other family. */
  readonly gateway: Address | undefined;
}

/** One message of the kernel. `sequence` is that of the request it answers; 0 in a notification. */
export type NetlinkMessage = { readonly sequence: number; readonly interrupted: boolean } & (
  | { readonly type: "interfaceSet" | "interfaceDeleted"; readonly networkInterface: NetworkInterface }
  | { readonly type: "addressSet" | "addressDeleted"; readonly address: InterfaceAddress }
  | { readonly type: "routeSet" | "routeDeleted"; readonly route: TableRoute }
  /** Ends a dump; `errno` is positive where it could not be had. */
  | { readonly type: "done"; readonly errno: number }
  /** `errno` is positive, or 0 for an acknowledgement. */
  | { readonly type: "error"; readonly errno: number }
);

const LinkFlag = { up: 0x1, broadcast: 0x2, loopback: 0x8, running: 0x40, noArp: 0x80 } as const;
const NeighborAttribute = { destination: 1, linkLayerAddress: 2 } as const;
const neighborHeaderLength = 12; // struct ndmsg

/**
 * Decodes a datagram (netlink(7), rtnetlink(7)), in its order. Unknown messages and attributes are left out, and so are the
 * messages in which a bridge speaks of its ports: these look like interfaces that appear and vanish.
 * @throws {NetlinkError} for a length that does not fit, or an interface, an address or a route without what makes it one
 */
export function decodeNetlink(datagram: Uint8Array): NetlinkMessage[] {
  return [...messagesOf(datagram)].flatMap((message) => decodeMessage(message) ?? []);
}

/** Asks the kernel for one neighbor on an interface (RTM_GETNEIGH). `address`: 4 or 16 octets in network order. */
export function encodeNeighborRequest(interfaceIndex: number, address: Uint8Array, sequence: number): Uint8Array {
  const header = new DataView(new ArrayBuffer(neighborHeaderLength));
  header.setUint8(0, address.length === 4 ? addressFamily.IPv4 : addressFamily.IPv6);
  header.setInt32(4, interfaceIndex, true);
  const destination = encodeAttribute(NeighborAttribute.destination, address);
  return encodeMessage(MessageType.getNeighbor, flagRequest, sequence, new Uint8Array(header.buffer), destination);
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

function decodeMessage(message: Message): NetlinkMessage | undefined {
  const { type, flags, sequence, body } = message;
  const common = { sequence, interrupted: (flags & flagDumpInterrupted) !== 0 };
  const result = resultOf(message);
  if (result !== undefined) return { ...common, ...result };
  switch (type) {
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
    case MessageType.newRoute:
    case MessageType.deleteRoute: {
      const route = decodeRoute(body);
      return route && { ...common, type: type === MessageType.newRoute ? "routeSet" : "routeDeleted", route };
    }
    default:
      return undefined;
  }
}

function decodeInterface(body: Uint8Array): NetworkInterface | undefined {
  const header = fixed(body, linkHeaderLength, "interface");
  if (header.getUint8(0) !== 0) return undefined; // Messages of a family, not AF_UNSPEC: a bridge about a port.
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
  const wanted = addressLength(header.getUint8(0));
  if (wanted === undefined) return undefined;
  const attributes = decodeAttributes(body.subarray(addressHeaderLength));
  // On a point-to-point interface IFA_ADDRESS is the other end, and IFA_LOCAL this one.
  const octets = attributes.get(AddressAttribute.local) ?? attributes.get(AddressAttribute.address);
  if (octets?.length !== wanted)
    throw new NetlinkError(`Cannot decode address: ${octets?.length ?? "no"} octets, family needs ${wanted}`);
  const flags = attributes.get(AddressAttribute.flags);
  const lifetimes = attributes.get(AddressAttribute.lifetimes);
  return {
    interfaceIndex: header.getUint32(4, true),
    address: Address.fromBytes(octets),
    prefixLength: header.getUint8(1),
    flags: flags === undefined ? header.getUint8(2) : fixed(flags, 4, "flags").getUint32(0, true),
    protocol: attributes.get(AddressAttribute.protocol)?.[0],
    validSeconds: lifetimes === undefined ? Infinity : seconds(fixed(lifetimes, 16, "lifetimes").getUint32(4, true)),
  };
}

function decodeRoute(body: Uint8Array): TableRoute | undefined {
  const header = fixed(body, routeHeaderLength, "route");
  const wanted = addressLength(header.getUint8(0));
  if (wanted === undefined) return undefined;
  const length = header.getUint8(1);
  const attributes = decodeAttributes(body.subarray(routeHeaderLength));
  const octets = attributes.get(RouteAttribute.destination) ?? new Uint8Array(wanted); // The default route.
  if (octets.length !== wanted || length > 8 * octets.length)
    throw new NetlinkError(`Cannot decode route: ${octets.length} octets, prefix length is ${length}`);
  const table = attributes.get(RouteAttribute.table);
  const outInterface = attributes.get(RouteAttribute.outInterface);
  const gateway = attributes.get(RouteAttribute.gateway);
  return {
    prefix: new Prefix(Address.fromBytes(octets), length),
    table: table === undefined ? header.getUint8(4) : fixed(table, 4, "table").getUint32(0, true),
    protocol: header.getUint8(5),
    interfaceIndex: outInterface && fixed(outInterface, 4, "interface").getUint32(0, true),
    gateway: gateway?.length === wanted ? Address.fromBytes(gateway) : undefined,
  };
}

function seconds(onWire: number): number {
  return onWire === foreverOnWire ? Infinity : onWire;
}
