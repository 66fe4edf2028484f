import type { Clock, Millis } from "#pkg/clock";
import { type Message, MessageType } from "../codec/messages.ts";
import type { RoutesOut } from "../routes/routes-out.ts";
import { unsendableKey } from "./peer-view.ts";

/** Where a session gets its UPDATEs. */
export type Routes = Pick<
  RoutesOut,
  | "start"
  | "setAddresses"
  | "stop"
  | "refresh"
  | "repeatEnd"
  | "next"
  | "pending"
  | "advertised"
  | "advertisedOf"
  | "narrowed"
  | "unsendable"
>;

/** How much is handed to a connection at once. */
const batchOctets = 1 << 13;
const typeOffset = 18;
const typeNames = new Map(Object.entries(MessageType).map(([name, number]) => [number as number, name as Message["type"]]));

/** The UPDATEs of a session, a batch at a time, and the routes that it cannot carry. */
export class RouteBatches {
  readonly #routes: Pick<Routes, "next" | "unsendable">;
  readonly #clock: Clock;
  readonly #sent: Record<Message["type"], number>;
  #unsendableSince: ReadonlyMap<string, Millis> = new Map(); // see `unsendableKey`

  /** @param sent counts messages */
  constructor(options: { readonly routes: Routes; readonly clock: Clock }, sent: Record<Message["type"], number>) {
    this.#routes = options.routes;
    this.#clock = options.clock;
    this.#sent = sent;
  }

  get unsendableSince(): ReadonlyMap<string, Millis> {
    return this.#unsendableSince;
  }

  /** The next messages, which count as sent; none where none is to be sent. */
  take(): Uint8Array[] {
    const messages: Uint8Array[] = [];
    for (let octets = 0; octets < batchOctets; ) {
      const message = this.#routes.next();
      if (message === undefined) break;
      const type = typeNames.get(message[typeOffset] ?? 0);
      if (type !== undefined) this.#sent[type]++;
      octets += message.length;
      messages.push(message);
    }
    this.noteUnsendable();
    return messages;
  }

  noteUnsendable(): void {
    const before = this.#unsendableSince;
    const keys = this.#routes.unsendable().map(unsendableKey);
    this.#unsendableSince = new Map(keys.map((key) => [key, before.get(key) ?? this.#clock.now()]));
  }
}
