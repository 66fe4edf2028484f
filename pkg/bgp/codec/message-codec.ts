import type { UpdateSession } from "./attribute-rules.ts";
import { encodeFrame } from "./frame.ts";
import type { Frame } from "./message-reader.ts";
import { type Keepalive, type Message, MessageType, type Notification, type Open } from "./messages.ts";
import { decodeNotification, encodeNotification } from "./notification-codec.ts";
import { decodeOpen, encodeOpen } from "./open-codec.ts";
import { decodeRouteRefresh } from "./route-refresh.ts";
import { decodeUpdate } from "./update-decoder.ts";

/**
 * Decodes a message whose header `MessageReader` has checked.
 * @throws {NotificationError} and nothing else, whatever the octets are
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
