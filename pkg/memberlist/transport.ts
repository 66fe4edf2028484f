import type { Duplex } from "node:stream";
import { remembered } from "#pkg/collections";
import type { Refuser } from "#pkg/connections";
import { Address, parseAddress } from "#pkg/net";
import { type AddressOctets, type Endpoint, maxRemembered, sharedAddress } from "./codec/messages.ts";

/** One end on the network: an IP address without zone, as text, and a port. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** Events of incoming traffic. Nothing arrives before the transport is returned. */
export interface TransportEvents {
  /** A datagram. `bytes` are the sender's again once this returns. */
  packet(bytes: Uint8Array, from: SocketAddress): void;
  /** Somebody connects, or did and is gone already. @returns whether it may */
  connection(from: SocketAddress): boolean;
  /** Somebody connected who may. The receiver destroys the stream in the end; until then it must listen for `error`. */
  stream(stream: Duplex, from: SocketAddress): void;
  /** A socket failed in a way that concerns no one peer; it goes on where the system lets it. */
  problem(error: Error): void;
}

/** The packets that a member reads while more arrive than it can read. */
export interface PacketSample {
  /** Where in a packet its nonce begins. */
  readonly nonceAt: number;
  /** Read: whose nonce begins with one of these. */
  readonly words: readonly number[];
  /** Read: what comes from one of these IP addresses. */
  readonly sources: readonly string[];
  /** One of this many other packets is read. */
  readonly oneIn: number;
}

/** The network of one member: datagrams and streams on one address and port. */
export interface Transport extends Refuser, AsyncDisposable {
  /** Where it is bound. */
  readonly local: SocketAddress;
  /** Sends from the bound port. @returns why it was not sent, if it was not */
  send(bytes: Uint8Array, to: SocketAddress): Error | undefined;
  /** Has only these packets arrive from now on; undefined: all. It may pass more than that. */
  filter(sample: PacketSample | undefined): void;
  /** How many packets that were for this member did not arrive so far, for the filter or for lack of room, modulo 2^32. */
  dropped(): number;
  /** Begins to connect; failures come as the stream's `error`. The caller destroys the stream in the end. */
  dial(to: SocketAddress): Duplex;
}

/** @throws {Error} that names address and port, when they cannot be had */
export type OpenTransport = (bind: SocketAddress, events: TransportEvents) => Promise<Transport>;

export function socketAddress({ address, port }: Endpoint): SocketAddress {
  return { address: textOf(address), port };
}

/** @throws {RangeError} when the address is not valid */
export function endpoint({ address, port }: SocketAddress): Endpoint {
  return { address: remembered(parsed, address, maxRemembered, parse), port };
}

// Every packet comes from an address and names its sender by text, and most are of the same few.
const texts = new Map<number, string>(); // an IPv4 address -> its text
const parsed = new Map<string, AddressOctets>(); // text -> address

function textOf(address: AddressOctets): string {
  if (address.length !== 4) return Address.fromBytes(address).toString();
  const [a = 0, b = 0, c = 0, d = 0] = address;
  return remembered(texts, (a << 24) | (b << 16) | (c << 8) | d, maxRemembered, () => address.join("."));
}

function parse(text: string): AddressOctets {
  const bytes = parseAddress(text)?.toBytes();
  if (bytes === undefined) throw new RangeError(`Cannot use as an IP address: ${text}`);
  return sharedAddress(Buffer.from(bytes).toString("latin1"));
}

/** Reads `192.0.2.1`, `192.0.2.1:7946`, `2001:db8::1` or `[2001:db8::1]:7946`. @returns undefined for anything else */
export function parseSocketAddress(text: string, defaultPort: number): SocketAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [undefined, undefined, text];
  const address = parseAddress(bracketed ?? plain ?? "");
  const port = digits === undefined ? defaultPort : Number(digits);
  if (address === undefined || port < 1 || port > 65_535) return undefined;
  return { address: address.toString(), port };
}
