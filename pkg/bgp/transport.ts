import type { Address, Family } from "#pkg/net";
import type { SessionSettings } from "./session/settings.ts";

/** This side's end of a connection. */
export interface SocketEnd {
  readonly address: Address;
  /** Which has `address`; undefined where none does any more. */
  readonly interface: string | undefined;
  /** `address`, unless it is link-local, and what else the interface has first of each family, for next hops. */
  readonly addresses: ReadonlyMap<Family, Address>; // family -> address
  /** Of the interface, where the peer is on its link. */
  readonly linkLocal: Address | undefined;
}

/** What happens to a connection. Nothing is told before the caller has it. */
export interface ConnectionEvents {
  /** It is there. Not told of one that the peer began, because it is. */
  connected(end: SocketEnd): void;
  /** `octets` may be kept. */
  received(octets: Uint8Array): void;
  /** Always the last, and always told: it could not be had, the peer or the network ended it, or `end` or `destroy` did. In words. */
  closed(because: string): void;
}

export interface Connection {
  /** Sends what it can and keeps the rest; `taken` is called when the system has all of it, never if the connection breaks before. */
  write(octets: Uint8Array, taken: () => void): void;
  /** Tells the peer that nothing follows what was written, and waits until the peer says the same. */
  end(): void;
  /** Ends it at once. */
  destroy(): void;
}

/** A connection that a peer began. */
export interface Incoming {
  readonly end: SocketEnd;
  /** Gives the connection to `events`. To be called once, at once. */
  open(events: ConnectionEvents): Connection;
}

export interface Transport {
  /** Begins to connect to a peer. Whatever goes wrong is told by `closed`. */
  dial(peer: SessionSettings, events: ConnectionEvents): Connection;
}
