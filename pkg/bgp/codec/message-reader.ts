import { headerLength, MessageType, markerLength, maxExtendedMessageLength, maxMessageLength } from "./messages.ts";
import { MessageHeaderError, NotificationCode, NotificationError } from "./notification-error.ts";

/** A message whose header is in order. */
export interface Frame {
  readonly type: MessageType;
  /** The octets after the header. A view: a reference to it keeps the whole chunk in memory. */
  readonly body: Uint8Array;
}

const none = new Uint8Array();

/** The minimum length of each type, header included (RFC 4271, sections 4.2 to 4.5). */
const minLength: Readonly<Record<number, number>> = {
  [MessageType.open]: 29,
  [MessageType.update]: 23,
  [MessageType.notification]: 21,
  [MessageType.keepalive]: 19,
  [MessageType.routeRefresh]: 19, // RFC 7313 has an error of its own for a missing part of the body.
};
/** RFC 8654, section 4: these stay short. */
const neverExtended: ReadonlySet<number> = new Set([MessageType.open, MessageType.keepalive]);

/**
 * Finds the messages in a stream of chunks of any size (RFC 4271, section 4.1). A message inside one chunk is not copied, one across chunks
 * once. It holds the current chunk and no more than one message besides, however small the chunks are.
 */
export class MessageReader {
  #chunk: Uint8Array = none;
  #offset = 0;
  /** The beginning of a message whose end is in a later chunk: only its header until that is whole, then room for all of it. */
  #partial: Uint8Array = none;
  #filled = 0;

  /** Adds what has arrived. Call `next` until it returns undefined before pushing more. */
  push(chunk: Uint8Array): void {
    if (this.#offset < this.#chunk.length) throw new Error("Cannot take a chunk: the one before is not read to its end");
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /**
   * The next whole message; undefined when more octets are needed first.
   * @param extendedMessage messages above 4,096 octets are agreed on (RFC 8654); may change between messages
   * @throws {NotificationError} Connection Not Synchronized (1/1), Bad Message Length (1/2) with the length, Bad Message Type (1/3) with the
   *   type (RFC 4271, section 6.1), as soon as the header is whole. The stream cannot be read any further then.
   */
  next(extendedMessage: boolean): Frame | undefined {
    if (this.#offset === this.#chunk.length) {
      this.#chunk = none;
      this.#offset = 0;
      return undefined;
    }
    if (this.#filled === 0) {
      const left = this.#chunk.subarray(this.#offset);
      const length = left.length < headerLength ? Number.POSITIVE_INFINITY : checkedLength(left, extendedMessage);
      if (length <= left.length) {
        this.#offset += length;
        return frame(left.subarray(0, length));
      }
      this.#partial = new Uint8Array(headerLength);
    }
    if (this.#filled < headerLength) {
      if (!this.#fill()) return undefined;
      const message = new Uint8Array(checkedLength(this.#partial, extendedMessage));
      message.set(this.#partial);
      this.#partial = message;
    }
    if (!this.#fill()) return undefined;
    const whole = this.#partial;
    this.#partial = none;
    this.#filled = 0;
    return frame(whole);
  }

  /** Moves octets of the chunk into `#partial`. @returns whether that is full */
  #fill(): boolean {
    const moved = this.#chunk.subarray(this.#offset, this.#offset + this.#partial.length - this.#filled);
    this.#partial.set(moved, this.#filled);
    this.#filled += moved.length;
    this.#offset += moved.length;
    return this.#filled === this.#partial.length;
  }
}

/** @param message with a header that has been checked */
function frame(message: Uint8Array): Frame {
  return { type: message[markerLength + 2] as MessageType, body: message.subarray(headerLength) };
}

/** Checks a whole header. @returns the octets of the message that it begins */
function checkedLength(message: Uint8Array, extendedMessage: boolean): number {
  const header = message.subarray(0, headerLength);
  const field = header.subarray(markerLength, markerLength + 2);
  const type = header[markerLength + 2] ?? 0;
  const length = (field[0] ?? 0) * 256 + (field[1] ?? 0);
  const fail = (subcode: number, found: string, data?: Uint8Array) =>
    new NotificationError(NotificationCode.messageHeader, subcode, `Cannot decode the header of a message: ${found}`, data);
  if (!header.subarray(0, markerLength).every((octet) => octet === 0xff))
    throw fail(
      MessageHeaderError.connectionNotSynchronized,
      "its marker is not all ones, so the peer's stream is out of step or is not BGP",
    );
  const min = minLength[type];
  const max = extendedMessage && !neverExtended.has(type) ? maxExtendedMessageLength : maxMessageLength;
  if (length < headerLength || length > max)
    throw fail(MessageHeaderError.badMessageLength, `its length is ${length}, wanted ${headerLength} to ${max}`, field);
  if (min === undefined) throw fail(MessageHeaderError.badMessageType, `its type is ${type}, wanted 1 to 5`, Uint8Array.of(type));
  if (length < min || (type === MessageType.keepalive && length !== min))
    throw fail(
      MessageHeaderError.badMessageLength,
      `its length is ${length}, type ${type} wants ${min}${type === MessageType.keepalive ? "" : " or more"}`,
      field,
    );
  return length;
}
