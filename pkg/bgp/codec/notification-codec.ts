import type { Family } from "#pkg/net";
import { Reader } from "#pkg/octets";
import { escapeControls } from "#pkg/text";
import { encodeFrame, headerLength, MessageType, maxMessageLength, type Notification, unicastFamily } from "./messages.ts";
import { Cease, MessageHeaderError, NotificationCode, NotificationError, notificationName } from "./notification-error.ts";

/** The maximum octets of text in a Cease (RFC 9003, section 2). */
const maxCommunicationLength = 255;
const maxDataShown = 32;

/** Encodes a NOTIFICATION (RFC 4271, section 4.5). Data that would make it longer than 4,096 octets is cut, so that every peer takes it. */
export function encodeNotification({ code, subcode, data }: Notification): Uint8Array {
  const max = maxMessageLength - headerLength - 2;
  return encodeFrame(MessageType.notification, Uint8Array.of(code, subcode), data.subarray(0, max));
}

/**
 * Decodes the body of a NOTIFICATION. No fault in it is answered with a NOTIFICATION (RFC 4271, section 6.4).
 * @throws {NotificationError} Bad Message Length (1/2) below two octets
 */
export function decodeNotification(body: Uint8Array): Notification {
  const { messageHeader } = NotificationCode;
  const reader = new Reader(body, (found) => {
    return new NotificationError(messageHeader, MessageHeaderError.badMessageLength, `Cannot decode NOTIFICATION: ${found}`);
  });
  return { type: "notification", code: reader.u8(), subcode: reader.u8(), data: reader.copy(reader.remaining) };
}

/** The data of a Cease for an administrative shutdown or reset (RFC 9003, section 2): UTF-8, cut after a whole character to 255 octets. */
export function encodeShutdownCommunication(text: string): Uint8Array {
  const octets = new Uint8Array(1 + maxCommunicationLength);
  const { written } = new TextEncoder().encodeInto(text, octets.subarray(1));
  octets[0] = written;
  return octets.subarray(0, 1 + written);
}

/** @returns undefined where there is no text: none was sent, its length is wrong, or it is no UTF-8 */
export function decodeShutdownCommunication(data: Uint8Array): string | undefined {
  const [length = 0] = data;
  if (length === 0 || data.length < 1 + length) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data.subarray(1, 1 + length));
  } catch {
    return undefined;
  }
}

/** A Cease after which the peer keeps no routes although both restart gracefully; the true reason is inside (RFC 8538, section 3.1). */
export function hardReset({ code, subcode, data }: Notification): Notification {
  return {
    type: "notification",
    code: NotificationCode.cease,
    subcode: Cease.hardReset,
    data: new Uint8Array([code, subcode, ...data]),
  };
}

/** The reason inside of a hard reset; any other NOTIFICATION as it is. Not further: a peer does not choose how deep this goes. */
export function reasonInside(notification: Notification): Notification {
  const { code, subcode, data } = notification;
  return code === NotificationCode.cease && subcode === Cease.hardReset && data.length >= 2
    ? decodeNotification(data)
    : notification;
}

export interface PrefixLimit {
  readonly family: Family;
  readonly prefixes: number;
}

/** The limit that a router says was reached (RFC 4486, section 4); undefined where it says none, or one of another family. */
export function prefixLimitOf(notification: Notification): PrefixLimit | undefined {
  const { code, subcode, data } = reasonInside(notification);
  if (code !== NotificationCode.cease || subcode !== Cease.maximumNumberOfPrefixesReached || data.length !== 7) return undefined;
  const fields = new DataView(data.buffer, data.byteOffset, data.length);
  const family = unicastFamily({ afi: fields.getUint16(0), safi: fields.getUint8(2) });
  return family && { family, prefixes: fields.getUint32(3) };
}

/** In words, for people: `Cease/Administrative Shutdown (6/2): "maintenance until noon"`. Other data is hexadecimal. */
export function describeNotification(notification: Notification): string {
  const inside = reasonInside(notification);
  if (inside === notification) return describeOne(notification);
  return `${notificationName(notification.code, notification.subcode)}: ${describeOne(inside)}`;
}

function describeOne(notification: Notification): string {
  const { code, subcode, data } = notification;
  const name = notificationName(code, subcode);
  const limit = prefixLimitOf(notification);
  if (limit !== undefined) return `${name}: ${limit.prefixes} of ${limit.family}`;
  const text = carriesText(code, subcode) ? decodeShutdownCommunication(data) : undefined;
  if (text !== undefined) return `${name}: ${escapeControls(JSON.stringify(text))}`;
  if (data.length === 0) return name;
  const shown = Array.from(data.subarray(0, maxDataShown), (octet) => octet.toString(16).padStart(2, "0")).join("");
  return `${name}: data ${shown}${data.length > maxDataShown ? `… of ${data.length} octets` : ""}`;
}

function carriesText(code: number, subcode: number): boolean {
  return code === NotificationCode.cease && (subcode === Cease.administrativeShutdown || subcode === Cease.administrativeReset);
}

/** A Cease with a text for the other side (RFC 9003), where the subcode has room for it. */
export function ceaseOf(name: keyof typeof Cease, text: string): Notification {
  const subcode = Cease[name];
  const hasText = subcode === Cease.administrativeShutdown || subcode === Cease.administrativeReset;
  const data = hasText ? encodeShutdownCommunication(text) : new Uint8Array();
  return { type: "notification", code: NotificationCode.cease, subcode, data };
}
