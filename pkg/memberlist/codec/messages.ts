import { remembered } from "#pkg/collections";

/**
 * The messages of a memberlist ring, as values. Field names are the protocol's own, in the spelling of this code; numbers are
 * unsigned 32-bit unless said otherwise. `Incarnation` and sequence numbers never wrap in practice and are compared as numbers.
 */

/**
 * A node's name. On the wire it is raw octets that nobody checks, so it is kept as a string with one character per octet
 * (`latin1`), which loses nothing and compares as the octets do. `nodeName` and `nodeNameText` convert.
 */
export type NodeName = string;

/** The name on the wire of a node that is called `text` (UTF-8). */
export function nodeName(text: string): NodeName {
  return Buffer.from(text, "utf8").toString("latin1");
}

const ascii = /^[\x20-\x7e]*$/;

/** A name for people and for Kubernetes. Octets that are not UTF-8 become U+FFFD: never compare these texts with one another. */
export function nodeNameText(name: NodeName): string {
  return ascii.test(name) ? name : Buffer.from(name, "latin1").toString("utf8");
}

/** Octets 4 or 16, as received: peers compare them byte for byte, so they are passed on unchanged. Nobody writes to them. */
export type AddressOctets = Uint8Array;

/** How many addresses are remembered: of some thousand members, and some more. */
export const maxRemembered = 16_384;
const addresses = new Map<string, AddressOctets>(); // octets, one character for each -> the same

export function isAddress(octets: AddressOctets | string): boolean {
  return octets.length === 4 || octets.length === 16;
}

/** Each address is there once, however many messages have it: an array of octets takes some 450 octets more. @param octets one character for each */
export function sharedAddress(octets: string): AddressOctets {
  const make = (): AddressOctets => new Uint8Array(Buffer.from(octets, "latin1"));
  return isAddress(octets) ? remembered(addresses, octets, maxRemembered, make) : make();
}

export interface Endpoint {
  readonly address: AddressOctets;
  readonly port: number;
}

/** Protocol min, max, current; delegate min, max, current. */
export type Versions = readonly [number, number, number, number, number, number];

/** Where an ack shall go, since v0.6.0; absent in older ones. */
export interface Source {
  readonly address: AddressOctets;
  readonly port: number;
  readonly node: NodeName;
}

export interface Ping {
  readonly type: "ping";
  readonly sequence: number;
  /** The node that the sender means; empty means any receiver. */
  readonly node: NodeName;
  readonly source: Source | undefined;
}

export interface IndirectPing {
  readonly type: "indirectPing";
  readonly sequence: number;
  readonly node: NodeName;
  readonly target: Endpoint;
  /** The sender wants a nack when the target does not answer. */
  readonly nack: boolean;
  readonly source: Source | undefined;
}

export interface Ack {
  readonly type: "ack";
  readonly sequence: number;
  readonly payload: Uint8Array | undefined;
}

export interface Nack {
  readonly type: "nack";
  readonly sequence: number;
}

export interface Suspect {
  readonly type: "suspect";
  readonly incarnation: number;
  readonly node: NodeName;
  readonly from: NodeName;
}

export interface Dead {
  readonly type: "dead";
  readonly incarnation: number;
  readonly node: NodeName;
  /** Equal to `node` when it leaves of its own accord. */
  readonly from: NodeName;
}

export interface Alive extends Omit<MemberState, "status"> {
  readonly type: "alive";
}

export interface User {
  readonly type: "user";
  readonly payload: Uint8Array;
}

/** Everything that a datagram can carry once it is unwrapped. */
export type PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Dead | Alive | User;

/** A state as push/pull carries it: 0 alive, 1 suspect, 2 dead, 3 left. */
export type MemberStatus = "alive" | "suspect" | "dead" | "left";

export interface MemberState {
  readonly node: NodeName;
  readonly status: MemberStatus;
  readonly incarnation: number;
  readonly endpoint: Endpoint;
  /** Octets, one character for each. */
  readonly meta: string | undefined;
  readonly versions: Versions;
}

export interface PushPull {
  readonly type: "pushPull";
  /** The sender joins: it knows nobody yet. */
  readonly join: boolean;
  readonly states: readonly MemberState[];
  readonly userState: Uint8Array;
}

export interface ErrorReply {
  readonly type: "error";
  /** For logs only: its wording differs between versions. */
  readonly message: string;
}

/** Everything that a stream can carry once it is unwrapped, but for user messages, which no speaker sends so: one each way. */
export type StreamMessage = PushPull | Ping | Ack | ErrorReply;

/** The first octet of a message, of a wrapper around messages, or of a stream's frame. */
export const MessageType = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  checksum: 12,
  error: 13,
  label: 244,
} as const;
