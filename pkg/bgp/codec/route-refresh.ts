import type { Family } from "#pkg/net";
import { Reader, Writer } from "#pkg/octets";
import { unicast } from "./address-family.ts";
import { encodeFrame, headerLength } from "./frame.ts";
import { MessageType, type RouteRefresh } from "./messages.ts";
import { MessageHeaderError, NotificationCode, RouteRefreshMessageError } from "./notification-codes.ts";
import { NotificationError } from "./notification-error.ts";

/** In the order of their numbers (RFC 7313, section 3.2). */
const subtypes = ["request", "beginning", "end"] as const;

/** Asks the peer for its routes of a family again (RFC 2918), or marks where this side's answer begins and ends (RFC 7313). */
export function encodeRouteRefresh(family: Family, subtype: Exclude<RouteRefresh["subtype"], "unknown">): Uint8Array {
  const { afi, safi } = unicast[family];
  return encodeFrame(MessageType.routeRefresh, new Writer().u16(afi).u8(subtypes.indexOf(subtype)).u8(safi).finish());
}

/**
 * Decodes the body of a ROUTE-REFRESH. What follows in a request is passed over: outbound filters (RFC 5291), which nobody was offered.
 * @throws {NotificationError} ROUTE-REFRESH Message Error, Invalid Message Length (7/1) with the whole message for a mark that is not of four
 *   octets (RFC 7313, section 5); Bad Message Length (1/2) with the length for a request cut short
 */
export function decodeRouteRefresh(body: Uint8Array): RouteRefresh {
  const subtype = subtypes[body[2] ?? 0] ?? "unknown";
  if (body.length !== 4 && (subtype === "beginning" || subtype === "end"))
    throw new NotificationError(
      NotificationCode.routeRefreshMessage,
      RouteRefreshMessageError.invalidMessageLength,
      `Cannot decode ROUTE-REFRESH: its body is of ${body.length} octets, wanted 4`,
      encodeFrame(MessageType.routeRefresh, body),
    );
  const reader = new Reader(body, (found) => {
    const { messageHeader } = NotificationCode;
    const length = new Writer().u16(headerLength + body.length).finish();
    return new NotificationError(
      messageHeader,
      MessageHeaderError.badMessageLength,
      `Cannot decode ROUTE-REFRESH: ${found}`,
      length,
    );
  });
  const afi = reader.u16();
  reader.take(1);
  return { type: "routeRefresh", afi, safi: reader.u8(), subtype };
}
