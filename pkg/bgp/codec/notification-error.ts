import type { Notification } from "./messages.ts";

/**
 * What the peer sent ends the session. The one error that the decoders of this package raise, whatever they are fed; the NOTIFICATION that
 * the RFC demands for it is in `code`, `subcode` and `data`.
 */
export class NotificationError extends Error {
  override readonly name = "NotificationError";
  readonly code: number;
  readonly subcode: number;
  /** A copy: it keeps nothing of the message that it is about. */
  readonly data: Uint8Array;

  constructor(code: number, subcode: number, message: string, data: Uint8Array = new Uint8Array(), options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.subcode = subcode;
    this.data = data.slice();
  }

  /** To be sent to the peer. */
  get notification(): Notification {
    return { type: "notification", code: this.code, subcode: this.subcode, data: this.data };
  }
}
