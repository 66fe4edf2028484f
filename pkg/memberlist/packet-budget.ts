import { encryptionOverhead, type Wire } from "./wire.ts";

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
