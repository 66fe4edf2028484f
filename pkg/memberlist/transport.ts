import type { Duplex } from "node:stream";

/** One end on the network: an IP address without zone, as text, and a port. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** What arrives. Nothing arrives before the transport is returned. */
export interface TransportEvents {
  /** A datagram. `octets` are the receiver's own. */
  packet(octets: Uint8Array, from: SocketAddress): void;
  /** Somebody connected. The receiver destroys the stream in the end; until then it must listen for `error`. */
  stream(stream: Duplex, from: SocketAddress): void;
  /** A socket failed in a way that concerns no one peer; it goes on where the system lets it. */
  problem(error: Error): void;
}

/** The network of one member: datagrams and streams on one address and port. */
export interface Transport extends AsyncDisposable {
  /** Where it is bound. */
  readonly local: SocketAddress;
  /** Sends from the bound port; `done` is called later, once. */
  send(octets: Uint8Array, to: SocketAddress, done: (error: Error | null) => void): void;
  /** Begins to connect; failures come as the stream's `error`. The caller destroys the stream in the end. */
  dial(to: SocketAddress): Duplex;
}

/** @throws {Error} that names address and port, when they cannot be had */
export type OpenTransport = (bind: SocketAddress, events: TransportEvents) => Promise<Transport>;
