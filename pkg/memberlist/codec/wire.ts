import { type EncryptionVersion, type Keyring, maxSealOverhead } from "./keyring.ts";

/** How a ring wraps its messages, and which it accepts: the same on all its nodes, except while keys are being introduced. */
export interface Wire {
  /** Undefined: no encryption. */
  readonly keyring: Keyring | undefined;
  /** 0 for nodes that speak protocol 1, else 1. Either may arrive. */
  readonly encryptionVersion: EncryptionVersion;
  /** False: send plaintext although there are keys. */
  readonly verifyOutgoing: boolean;
  /** False: take plaintext although there are keys. */
  readonly verifyIncoming: boolean;
  /** Whether to compress; what arrives compressed is understood in any case. */
  readonly compress: boolean;
  /** Octets 0 to 255; empty: no label. Peers below v0.6.0 know none. */
  readonly label: Uint8Array;
}

/** Defaults of every version, which MetalLB uses, except for its keys. */
export const defaultWire: Wire = {
  keyring: undefined,
  encryptionVersion: 1,
  verifyOutgoing: true,
  verifyIncoming: true,
  compress: true,
  label: new Uint8Array(),
};

/** The keys to encrypt with; undefined when what is sent stays plaintext. */
export function outgoingKeyring(wire: Wire): Keyring | undefined {
  return wire.verifyOutgoing ? wire.keyring : undefined;
}

/** The most octets that encryption adds to a message. */
export function encryptionOverhead(wire: Wire): number {
  return outgoingKeyring(wire) === undefined ? 0 : maxSealOverhead[wire.encryptionVersion];
}

/** Octets of a packet before the checksum, which the budget ignores as peers do. */
export const packetSize = 1400;

/** Messages in a packet: with 128 or more the oldest peers read each from the wrong place. */
export const maxMessagesPerPacket = 127;

/** Octets that each broadcast costs of a packet's budget beyond its own. */
export const broadcastOverhead = 2;

/**
 * Octets that broadcasts may use in one packet, each with its overhead. Negative when a direct message is too large to leave
 * room; it is sent nevertheless.
 * @param directLength octets of the message that they ride along with; 0 for gossip
 */
export function broadcastBudget(wire: Wire, directLength = 0): number {
  const label = wire.label.length === 0 ? 0 : 2 + wire.label.length;
  return packetSize - directLength - 2 - label - encryptionOverhead(wire);
}
