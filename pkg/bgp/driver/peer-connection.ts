import type { Clock, Millis } from "#pkg/clock";
import { MessageReader } from "../codec/message-reader.ts";
import type { Connection, ConnectionEvents, SocketEnd } from "./transport.ts";

/**
 * How long a connection that was ended has to send what was written to it, and the peer to close it. A router whose disks are busy may need more than
 * a second, and takes the end of BFD for a failure if it has not read the Cease by then.
 */
const lingerTime: Millis = 3_000;

/** The most octets that are read in one turn of the event loop: 110 of the UPDATEs that take longest, at 25 µs each. */
const maxTurnOctets = 1 << 13;

/**
 * One TCP connection of a session with its message reader. It reports incoming messages in slices, one in each turn of the event loop,
 * and the peer has to wait meanwhile (TCP's flow control). After `close` it reports no more events.
 */
export class PeerConnection {
  readonly reader = new MessageReader();
  readonly #connection: Connection;
  readonly #events: ConnectionEvents;
  readonly #clock: Clock;
  #open = true;
  #isPaused = false;
  #unread: Uint8Array = new Uint8Array();
  #closed: Parameters<ConnectionEvents["closed"]> | undefined; // The last event, until it is reported.
  /** Called when both sides have closed it, once this side wants that. */
  #onGone: () => void = () => {};
  #end: SocketEnd | undefined;

  /** @param end of a connection that is there already */
  constructor(open: (events: ConnectionEvents) => Connection, events: ConnectionEvents, clock: Clock, end?: SocketEnd) {
    this.#end = end;
    this.#events = events;
    this.#clock = clock;
    this.#connection = open({
      connected: (end) => {
        this.#end = end;
        if (this.#open) events.connected(end);
      },
      received: (octets) => {
        if (!this.#open) return;
        const isReading = this.#unread.length > 0;
        this.#unread = isReading ? Buffer.concat([this.#unread, octets]) : octets;
        if (!isReading) this.#read();
      },
      closed: (...why) => {
        this.#closed = why;
        this.#onGone();
        if (this.#unread.length === 0) this.#reportClosed();
      },
    });
  }

  /** This side's end; undefined until it is connected. */
  get end(): SocketEnd | undefined {
    return this.#end;
  }

  set end(end: SocketEnd) {
    this.#end = end;
  }

  get open(): boolean {
    return this.#open;
  }

  write(octets: Uint8Array, written: () => void): void {
    this.#connection.write(octets, () => {
      if (this.#open) written();
    });
  }

  /** Reports the next slice, and the rest in later turns. */
  #read(): void {
    const slice = this.#unread.subarray(0, maxTurnOctets);
    this.#unread = this.#unread.subarray(slice.length);
    const { length } = this.#unread; // Also while the slice is read: more may arrive then.
    if (length > 0) {
      if (!this.#isPaused) this.#connection.pause();
      this.#isPaused = true;
      this.#clock.schedule("BGP read", this.#clock.now(), () => {
        if (this.#open) this.#read();
      });
    }
    this.#events.received(slice);
    if (length > 0) return;
    if (this.#closed !== undefined) this.#reportClosed();
    else if (this.#isPaused) this.#connection.resume();
    this.#isPaused = false;
  }

  #reportClosed(): void {
    const wasOpen = this.#open;
    this.#open = false;
    if (wasOpen && this.#closed !== undefined) this.#events.closed(...this.#closed);
  }

  /** Sends what was written, then ends. @param onGone called when the peer has closed it too, or the time is over */
  close(onGone: () => void): void {
    if (this.#open) {
      this.#open = false;
      this.#unread = new Uint8Array();
      this.#connection.resume(); // The end of the peer's stream is read too; otherwise there would be no end.
      if (this.#end === undefined) this.#connection.destroy();
      else this.#connection.end();
    }
    if (this.#closed !== undefined) {
      onGone();
      return;
    }
    const linger = this.#clock.schedule("BGP linger", this.#clock.now() + lingerTime, () => this.#connection.destroy());
    this.#onGone = () => {
      linger[Symbol.dispose]();
      onGone();
    };
  }
}

/**
 * Connections that this side has closed, and the peer maybe not yet. The next one waits for that: BIRD looks for new connections before it reads from
 * those that it has. One that came together with the Cease would be a restart of this speaker to it, and the end of BFD then a failure.
 */
export class ClosingConnections {
  readonly #all = new Set<Promise<void>>();
  #next: () => void = () => {};

  /** Closes a connection. */
  add(connection: PeerConnection): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#all.add(promise);
    connection.close(() => {
      this.#all.delete(promise);
      resolve();
      this.#proceed();
    });
  }

  /** Calls `next` once all are closed at both ends, or had 3 s for that; replaces an earlier `next`. */
  whenGone(next: () => void): void {
    this.#next = next;
    this.#proceed();
  }

  /** Resolves when those that there are now are closed at both ends. */
  async gone(): Promise<void> {
    await Promise.all(this.#all);
  }

  #proceed(): void {
    if (this.#all.size > 0) return;
    const next = this.#next;
    this.#next = () => {};
    next();
  }
}
