import type { Family } from "#pkg/net";
import { unicast } from "./address-family.ts";
import { encodeFrame } from "./frame.ts";
import { MessageType, type RouteRefresh } from "./messages.ts";
import { Writer } from "./octets.ts";

/** RFC 7313, section 3.2. */
const subtypes = { request: 0, beginning: 1, end: 2 } as const;

/** Asks the peer for its routes of a family again (RFC 2918), or marks where this side's answer begins and ends (RFC 7313). */
export function encodeRouteRefresh(family: Family, subtype: Exclude<RouteRefresh["subtype"], "unknown">): Uint8Array {
  const { afi, safi } = unicast[family];
  return encodeFrame(MessageType.routeRefresh, new Writer().u16(afi).u8(subtypes[subtype]).u8(safi).finish());
}
