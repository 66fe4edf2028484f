import type { Clock, Millis } from "#pkg/clock";
import { MessageReader } from "../codec/message-reader.ts";
import type { Connection, ConnectionEvents, SocketEnd } from "./transport.ts";

/** How long a connection that was ended has to send what was written to it. */
const lingerTime: Millis = 1_000;

/** One connection of a session, and what has arrived on it. Once it is closed nothing is told any more. */
export class Link {
  readonly reader = new MessageReader();
  readonly #connection: Connection;
  readonly #gone = Promise.withResolvers<void>();
  #open = true;
  #end: SocketEnd | undefined;

  /** @param end of a connection that is there already */
  constructor(open: (events: ConnectionEvents) => Connection, events: ConnectionEvents, end?: SocketEnd) {
    this.#end = end;
    this.#connection = open({
      connected: (end) => {
        this.#end = end;
        if (this.#open) events.connected(end);
      },
      received: (octets) => {
        if (this.#open) events.received(octets);
      },
      closed: (because) => {
        const told = !this.#open;
        this.#open = false;
        this.#gone.resolve();
        if (!told) events.closed(because);
      },
    });
  }

  /** This side's end; undefined until it is connected. */
  get end(): SocketEnd | undefined {
    return this.#end;
  }

  get open(): boolean {
    return this.#open;
  }

  write(octets: Uint8Array, taken: () => void): void {
    this.#connection.write(octets, () => {
      if (this.#open) taken();
    });
  }

  /** Sends what was written, then ends. Resolves when that is done, or has taken too long. */
  async close(clock: Clock): Promise<void> {
    if (this.#open) {
      this.#open = false;
      if (this.#end === undefined) this.#connection.destroy();
      else this.#connection.end();
    }
    using _timer = clock.schedule("BGP farewell", clock.now() + lingerTime, () => this.#connection.destroy());
    await this.#gone.promise;
  }
}
