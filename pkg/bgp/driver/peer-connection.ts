import type { Clock, Millis } from "#pkg/clock";
import { MessageReader } from "../codec/message-reader.ts";
import type { Connection, ConnectionEvents, SocketEnd } from "./transport.ts";

/** How long a connection that was ended has to send what was written to it. */
const lingerTime: Millis = 1_000;

/** One TCP connection of a session with its message reader. After `close` it reports no more events. */
export class PeerConnection {
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
        const wasOpen = this.#open;
        this.#open = false;
        this.#gone.resolve();
        if (wasOpen) events.closed(because);
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

  write(octets: Uint8Array, written: () => void): void {
    this.#connection.write(octets, () => {
      if (this.#open) written();
    });
  }

  /** Sends what was written, then ends. Resolves when that is done, or the time is over. */
  async close(clock: Clock): Promise<void> {
    if (this.#open) {
      this.#open = false;
      if (this.#end === undefined) this.#connection.destroy();
      else this.#connection.end();
    }
    using _timer = clock.schedule("BGP linger", clock.now() + lingerTime, () => this.#connection.destroy());
    await this.#gone.promise;
  }
}
