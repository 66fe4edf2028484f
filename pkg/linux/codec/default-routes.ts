import { Address, type Family } from "#pkg/net";
import {
  decodeAttributes,
  fixed,
  MessageType,
  messagesOf,
  RouteAttribute,
  recordsOf,
  routeHeaderLength,
} from "./netlink-wire.ts";
import { addressFamily } from "./socket-address.ts";

/** A next hop of a default route. */
export interface Gateway {
  readonly address: Address;
  readonly interfaceIndex: number;
  /** The route's metric: the kernel takes the lowest. */
  readonly metric: number;
}

export const mainTable = 254; // RT_TABLE_MAIN
const unicast = 1; // RTN_UNICAST
const nextHopLength = 8; // struct rtnexthop
const nextHopDown = 0x01 | 0x10; // RTNH_F_DEAD, RTNH_F_LINKDOWN

/**
 * Decodes the default routes of a family in the main table, of a datagram of a dump (rtnetlink(7)); other routes are passed over unread, of which
 * there may be many: a kernel before 4.20 sends all tables, and one without IPv6 sends IPv4 routes when asked for those of IPv6. A next hop that
 * is dead or whose link is down is left out, and so is one without an address, as on a point-to-point link.
 * @returns undefined when the datagram ends the dump
 * @throws {NetlinkError} for a length that does not fit
 */
export function decodeDefaultRoutes(datagram: Uint8Array, sequence: number, family: Family): Gateway[] | undefined {
  const found: Gateway[] = [];
  for (const { type, sequence: of, body } of messagesOf(datagram)) {
    if (of !== sequence) continue;
    if (type === MessageType.done || type === MessageType.error) return found.length > 0 ? found : undefined;
    const isDefault = body[0] === addressFamily[family] && body[1] === 0 && body[4] === mainTable;
    if (type === MessageType.newRoute && isDefault) found.push(...gatewaysOf(body));
  }
  return found;
}

function gatewaysOf(body: Uint8Array): Gateway[] {
  const header = fixed(body, routeHeaderLength, "route");
  if (header.getUint8(7) !== unicast) return [];
  const attributes = decodeAttributes(body.subarray(routeHeaderLength));
  const priority = attributes.get(RouteAttribute.priority);
  const metric = priority === undefined ? 0 : fixed(priority, 4, "metric").getUint32(0, true);
  const several = attributes.get(RouteAttribute.multipath);
  if (several !== undefined) return nextHopsOf(several, metric);
  const outInterface = attributes.get(RouteAttribute.outInterface);
  const isDown = (header.getUint32(8, true) & nextHopDown) !== 0;
  if (outInterface === undefined || isDown) return [];
  return gateway(attributes, fixed(outInterface, 4, "interface").getUint32(0, true), metric);
}

function nextHopsOf(bytes: Uint8Array, metric: number): Gateway[] {
  return Array.from(recordsOf(bytes, nextHopLength, "next hop")).flatMap((record) => {
    const header = fixed(record, nextHopLength, "next hop");
    const isDown = (header.getUint8(2) & nextHopDown) !== 0;
    return isDown ? [] : gateway(decodeAttributes(record.subarray(nextHopLength)), header.getInt32(4, true), metric);
  });
}

function gateway(attributes: ReadonlyMap<number, Uint8Array>, interfaceIndex: number, metric: number): Gateway[] {
  // RTA_VIA: the family in two octets, then an address of it, as for IPv4 over an IPv6 gateway.
  const octets = attributes.get(RouteAttribute.gateway) ?? attributes.get(RouteAttribute.via)?.subarray(2);
  if (octets?.length !== 4 && octets?.length !== 16) return [];
  return [{ address: Address.fromBytes(octets), interfaceIndex, metric }];
}
