import type { Address, Prefix } from "#pkg/net";
import type { InterfaceAddress } from "./netlink.ts";
import {
  AddressAttribute,
  AddressFlag,
  addressHeaderLength,
  encodeAttribute,
  encodeMessage,
  flagRequest,
  flagsDump,
  foreverOnWire,
  InfoAttribute,
  LinkAttribute,
  linkHeaderLength,
  MessageType,
  RouteAttribute,
  words,
} from "./netlink-wire.ts";
import { addressFamily } from "./socket-address.ts";

/** A change that the kernel is asked for (rtnetlink(7)). It answers each with an acknowledgement, or says why not. */
export type KernelRequest =
  /**
   * An address of an interface. Without `replaces` it is refused with EEXIST if the interface has the address, from any source. An IPv6
   * address is deprecated (its preferred lifetime is 0), so that the kernel prefers each other address of that scope as a source.
   */
  | ({ readonly type: "setAddress"; readonly replaces: boolean } & AddressPlace & AddressTraits)
  | ({ readonly type: "deleteAddress" } & AddressPlace)
  /** A unicast route through an interface. Refused with EEXIST if the table has a route for the prefix, from any source. */
  | ({ readonly type: "addRoute" } & RoutePlace)
  /** Deletes that route alone: the kernel compares table, protocol and interface too. */
  | ({ readonly type: "deleteRoute" } & RoutePlace)
  /** `kind`, such as `dummy`; EOPNOTSUPP where the kernel has none. It is on, and nobody is asked for by ARP there, as on a dummy. */
  | { readonly type: "createInterface"; readonly name: string; readonly kind: string }
  | { readonly type: "setInterfaceUp"; readonly interfaceIndex: number }
  /** When the first of several IPv4 addresses of one subnet goes, the others stay (promote_secondaries of ip-sysctl). */
  | { readonly type: "promoteSecondaries"; readonly interfaceIndex: number };

export type AddressPlace = Pick<InterfaceAddress, "interfaceIndex" | "address" | "prefixLength">;

export interface AddressTraits {
  /** The program that puts it there (IFA_PROTO), 1–255; kernels before 5.18 ignore it. */
  readonly protocol: number;
  /** After which the kernel removes it; Infinity for never. */
  readonly validSeconds: number;
  /** IPv4: the kernel chooses it as a source for nothing that leaves the node. It lists it before addresses of a wider scope. */
  readonly hasHostScope: boolean;
  /** The kernel makes no route to its subnet. */
  readonly noPrefixRoute: boolean;
}

export interface RoutePlace {
  readonly prefix: Prefix;
  readonly interfaceIndex: number;
  readonly table: number;
  readonly protocol: number;
}

/** The content of a dump: everything, or the routes of one table and protocol. */
export type DumpRequest =
  | { readonly type: "interfaces" | "addresses" }
  | { readonly type: "routes"; readonly family: "IPv4" | "IPv6"; readonly table: number; readonly protocol: number };

const flagFibMatch = 0x2000; // RTM_F_FIB_MATCH
const flagsChange = flagRequest | 0x4; // NLM_F_ACK
const flagReplace = 0x100;
const flagExclusive = 0x200;
const flagCreate = 0x400;
const skipStatistics = 8; // RTEXT_FILTER_SKIP_STATS: three quarters of what an interface's dump would be.
const scopeUniverse = 0;
const scopeLink = 253;
const scopeHost = 254;
const typeUnicast = 1;
const linkUp = 0x1; // IFF_UP
const linkNoArp = 0x80; // IFF_NOARP
const linkConfiguration = 1; // IFLA_INET_CONF
const promoteSecondaries = 20; // IPV4_DEVCONF_PROMOTE_SECONDARIES

export function encodeRequest(request: KernelRequest, sequence: number): Uint8Array {
  switch (request.type) {
    case "setAddress": {
      const how = request.replaces ? flagReplace : flagExclusive;
      return encodeMessage(
        MessageType.newAddress,
        flagsChange | flagCreate | how,
        sequence,
        ...addressParts(request, request.hasHostScope ? scopeHost : scopeUniverse),
        ...traits(request),
      );
    }
    case "deleteAddress":
      return encodeMessage(MessageType.deleteAddress, flagsChange, sequence, ...addressParts(request));
    case "addRoute":
      return encodeMessage(MessageType.newRoute, flagsChange | flagCreate | flagExclusive, sequence, ...routeParts(request));
    case "deleteRoute":
      return encodeMessage(MessageType.deleteRoute, flagsChange, sequence, ...routeParts(request));
    case "createInterface": {
      const name = encodeAttribute(LinkAttribute.name, zeroEnded(request.name));
      const kind = encodeAttribute(LinkAttribute.linkInfo, encodeAttribute(InfoAttribute.kind, zeroEnded(request.kind)));
      return encodeMessage(
        MessageType.newLink,
        flagsChange | flagCreate | flagExclusive,
        sequence,
        linkHeader(0, linkUp | linkNoArp),
        name,
        kind,
      );
    }
    case "setInterfaceUp":
      return encodeMessage(MessageType.newLink, flagsChange, sequence, linkHeader(request.interfaceIndex, linkUp));
    case "promoteSecondaries": {
      const settings = encodeAttribute(linkConfiguration, encodeAttribute(promoteSecondaries, words(1)));
      const families = encodeAttribute(LinkAttribute.addressFamilies, encodeAttribute(addressFamily.IPv4, settings));
      return encodeMessage(MessageType.setLink, flagsChange, sequence, linkHeader(request.interfaceIndex, 0), families);
    }
    default:
      return request satisfies never;
  }
}

/** The kernel serves one dump of a socket at a time. */
export function encodeDump(request: DumpRequest, sequence: number): Uint8Array {
  switch (request.type) {
    case "interfaces": {
      const mask = encodeAttribute(LinkAttribute.extensionMask, words(skipStatistics));
      return encodeMessage(MessageType.getLink, flagsDump, sequence, linkHeader(0, 0), mask);
    }
    case "addresses":
      return encodeMessage(MessageType.getAddress, flagsDump, sequence, new Uint8Array(addressHeaderLength));
    case "routes": {
      const header = routeHeader(request.family, 0, request.table, request.protocol, 0, 0);
      return encodeMessage(MessageType.getRoute, flagsDump, sequence, header, tableAttribute(request.table));
    }
    default:
      return request satisfies never;
  }
}

/**
 * Asks by which route the kernel sends to an address; the answer is that route, or why no route exists.
 * @param asInTable the route as its table has it, with the prefix that matches; else the one that the kernel makes of it for the address
 */
export function encodeRouteTo(address: Address, sequence: number, asInTable = false): Uint8Array {
  const header = routeHeader(address.family, address.bits, 0, 0, 0, 0);
  if (asInTable) new DataView(header.buffer).setUint32(8, flagFibMatch, true);
  const destination = encodeAttribute(RouteAttribute.destination, address.toBytes());
  return encodeMessage(MessageType.getRoute, flagRequest, sequence, header, destination);
}

function addressParts({ interfaceIndex, address, prefixLength }: AddressPlace, scope = scopeUniverse): Uint8Array[] {
  const header = new Uint8Array(addressHeaderLength);
  const view = new DataView(header.buffer);
  view.setUint8(0, addressFamily[address.family]);
  view.setUint8(1, prefixLength);
  view.setUint8(3, scope);
  view.setUint32(4, interfaceIndex, true);
  const octets = address.toBytes();
  return [header, encodeAttribute(AddressAttribute.local, octets), encodeAttribute(AddressAttribute.address, octets)];
}

function traits({ address, protocol, validSeconds, noPrefixRoute }: AddressPlace & AddressTraits): Uint8Array[] {
  const isV6 = address.family === "IPv6";
  const flags = (noPrefixRoute ? AddressFlag.noPrefixRoute : 0) | (isV6 ? AddressFlag.noDad : 0);
  const valid = validSeconds === Infinity ? foreverOnWire : validSeconds;
  const preferred = isV6 ? 0 : valid;
  return [
    encodeAttribute(AddressAttribute.lifetimes, words(preferred, valid, 0, 0)), // struct ifa_cacheinfo
    encodeAttribute(AddressAttribute.flags, words(flags)),
    encodeAttribute(AddressAttribute.protocol, Uint8Array.of(protocol)),
  ];
}

function routeParts({ prefix, interfaceIndex, table, protocol }: RoutePlace): Uint8Array[] {
  const scope = prefix.family === "IPv4" ? scopeLink : scopeUniverse;
  return [
    routeHeader(prefix.family, prefix.length, table, protocol, scope, typeUnicast),
    encodeAttribute(RouteAttribute.destination, prefix.first.toBytes()),
    encodeAttribute(RouteAttribute.outInterface, words(interfaceIndex)),
    tableAttribute(table),
  ];
}

function routeHeader(
  family: "IPv4" | "IPv6",
  length: number,
  table: number,
  protocol: number,
  scope: number,
  type: number,
): Uint8Array {
  const short = table < 256 ? table : 0; // RT_TABLE_UNSPEC; the attribute has the whole number.
  return Uint8Array.of(addressFamily[family], length, 0, 0, short, protocol, scope, type, 0, 0, 0, 0);
}

function tableAttribute(table: number): Uint8Array {
  return encodeAttribute(RouteAttribute.table, words(table));
}

function linkHeader(interfaceIndex: number, flags: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(linkHeaderLength));
  view.setInt32(4, interfaceIndex, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, flags, true); // The flags that change.
  return new Uint8Array(view.buffer);
}

function zeroEnded(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}
