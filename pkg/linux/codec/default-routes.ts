import { Address, type Family } from "#pkg/net";
import {
  decodeAttributes,
  fixed,
  flagDumpInterrupted,
  MessageType,
  messagesOf,
  RouteAttribute,
  recordsOf,
  resultOf,
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

/** What a datagram of a dump has of them. */
export interface DefaultRoutes {
  readonly gateways: readonly Gateway[];
  /** Something changed meanwhile, so that the dump may lack a part. */
  readonly isInterrupted: boolean;
  /** Where the dump ends: 0, or the positive errno of why it could not be had. */
  readonly ended: number | undefined;
}

export const mainTable = 254; // RT_TABLE_MAIN
const unicast = 1; // RTN_UNICAST
const nextHopLength = 8; // struct rtnexthop
const nextHopDown = 0x01 | 0x10; // RTNH_F_DEAD, RTNH_F_LINKDOWN

/**
 * Decodes the default routes of a family in the main table, of a datagram of a dump (rtnetlink(7)); other routes are passed over unread, of which
 * there may be many: a kernel before 4.20 sends all tables, and one without IPv6 sends IPv4 routes when asked for those of IPv6. A next hop that
 * is dead or whose link is down is left out, and so is one without an address, as on a point-to-point link.
 * @throws {NetlinkError} for a length that does not fit
 */
export function decodeDefaultRoutes(datagram: Uint8Array, sequence: number, family: Family): DefaultRoutes {
  const gateways: Gateway[] = [];
  let isInterrupted = false;
  for (const message of messagesOf(datagram)) {
    const { type, flags, sequence: of, body } = message;
    if (of !== sequence) continue;
    isInterrupted ||= (flags & flagDumpInterrupted) !== 0;
    const result = resultOf(message);
    if (result !== undefined) return { gateways, isInterrupted, ended: result.errno };
    const isDefault = body[0] === addressFamily[family] && body[1] === 0 && body[4] === mainTable;
    if (type === MessageType.newRoute && isDefault) gateways.push(...gatewaysOf(body));
  }
  return { gateways, isInterrupted, ended: undefined };
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
