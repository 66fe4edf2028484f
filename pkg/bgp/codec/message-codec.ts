import type { Family } from "#pkg/net";
import { Reader, Writer } from "#pkg/octets";
import type { UpdateSession } from "./attribute-rules.ts";
import type { Frame } from "./message-reader.ts";
import {
  encodeFrame,
  headerLength,
  type Keepalive,
  type Message,
  MessageType,
  type Notification,
  type Open,
  type RouteRefresh,
  unicast,
} from "./messages.ts";
import { decodeNotification, encodeNotification } from "./notification-codec.ts";
import { MessageHeaderError, NotificationCode, NotificationError, RouteRefreshMessageError } from "./notification-error.ts";
import { decodeOpen, encodeOpen } from "./open-codec.ts";
import { decodeUpdate } from "./update-decoder.ts";

/**
 * Decodes a message whose header `MessageReader` has checked.
 * @throws {NotificationError} and nothing else, for any octets
 */
export function decodeMessage({ type, body }: Frame, session: UpdateSession): Message {
  switch (type) {
    case MessageType.open:
      return decodeOpen(body);
    case MessageType.update:
      return decodeUpdate(body, session);
    case MessageType.notification:
      return decodeNotification(body);
    case MessageType.keepalive:
      return { type: "keepalive" };
    case MessageType.routeRefresh:
      return decodeRouteRefresh(body);
  }
}

/** Encodes the messages of which a session makes one at a time; for the others see `update-encoder.ts` and `route-refresh.ts`. */
export function encodeMessage(message: Open | Notification | Keepalive): Uint8Array {
  switch (message.type) {
    case "open":
      return encodeOpen(message);
    case "notification":
      return encodeNotification(message);
    case "keepalive":
      return encodeFrame(MessageType.keepalive);
  }
}

/** In the order of their numbers (RFC 7313, section 3.2). */
const subtypes = ["request", "beginning", "end"] as const;

/** Asks the peer for its routes of a family again (RFC 2918), or marks where this side's answer begins and ends (RFC 7313). */
export function encodeRouteRefresh(family: Family, subtype: Exclude<RouteRefresh["subtype"], "unknown">): Uint8Array {
  const { afi, safi } = unicast[family];
  return encodeFrame(MessageType.routeRefresh, new Writer().u16(afi).u8(subtypes.indexOf(subtype)).u8(safi).finish());
}

/**
 * Decodes the body of a ROUTE-REFRESH. The rest of a request is skipped: outbound filters (RFC 5291), which this side never offers.
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
