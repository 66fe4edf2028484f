import { type Keyring, maxSealOverhead } from "./keyring.ts";
import { MemberlistError } from "./memberlist-error.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";
import { MessageType, type PacketMessage } from "./messages.ts";
import { isMapHeader } from "./msgpack.ts";
import { decodeCompressed, encodeChecksum, encodeCompound, refuseLabel, splitCompound, verifyChecksum } from "./wrappers.ts";

/** Octets of a packet before the checksum, which the budget ignores as peers do. */
export const packetSize = 1400;

/** Octets that each broadcast costs of a packet's budget beyond its own. */
export const broadcastOverhead = 2;

/**
 * Octets that broadcasts may use in one packet, each with its overhead. Negative when a direct message is too large to leave
 * room; it is sent nevertheless.
 * @param directLength octets of the message that they ride along with; 0 for gossip
 */
export function broadcastBudget(directLength: number): number {
  return packetSize - directLength - 2 - maxSealOverhead[1];
}

/** Wrappers inside wrappers, of which peers send two at most. */
export const maxPacketDepth = 8;
/** Octets that all compressed messages of one packet may make together: four times the largest datagram. */
export const maxPacketExpansion = 4 * 65_536;
/** Parts of all compounds of one packet, however they are nested: four times what peers send. */
export const maxPacketParts = 1024;
export interface PacketOptions {
  /** 12 octets, never used before with the same key. */
  readonly nonce: Uint8Array;
  /** Only for destinations whose protocol max is known and at least 5. */
  readonly checksum: boolean;
}

/**
 * Encodes a packet: compound if there are several messages, checksum, encryption.
 * @param messages 1 to `maxMessagesPerPacket`, the direct one first
 * @throws {RangeError} for another number of messages, and for messages that `encodeMessage` refuses
 */
export function encodePacket(
  messages: readonly PacketMessage[],
  keyring: Keyring,
  { nonce, checksum }: PacketOptions,
): Uint8Array {
  const joined = joinMessages(messages);
  return keyring.seal(checksum ? encodeChecksum(joined) : joined, nonce);
}

function joinMessages(messages: readonly PacketMessage[]): Uint8Array {
  const [first, second] = messages;
  if (first === undefined) throw new RangeError("Cannot encode a packet: it has no message");
  return second === undefined ? encodeMessage(first) : encodeCompound(messages.map(encodeMessage));
}

export interface DecodedPacket {
  /** In the order of the packet. Peers may have applied them in another. */
  readonly messages: readonly PacketMessage[];
  /** Parts that were refused, each alone: a bad part does not spoil the good parts. */
  readonly problems: readonly MemberlistError[];
}

/**
 * Decodes a datagram of any length. Never throws: a packet that is refused whole has no messages and one problem. Compounds and
 * compressed messages may be nested; `maxPacketDepth`, `maxPacketExpansion` and `maxPacketParts` bound what a packet can cost.
 */
export function decodePacket(datagram: Uint8Array, keyring: Keyring): DecodedPacket {
  const unwrapping = new Unwrapping();
  unwrapping.attempt(() => unwrapping.unwrap(verifyChecksum(decrypt(datagram, keyring)), 0));
  return { messages: unwrapping.messages, problems: unwrapping.problems };
}

function decrypt(packet: Uint8Array, keyring: Keyring): Uint8Array {
  refuseLabel(packet);
  try {
    return keyring.open(packet);
  } catch (error) {
    if (!(error instanceof MemberlistError)) throw error;
    if (looksPlain(packet))
      throw new MemberlistError("plaintext", "Cannot decode a packet: it is not encrypted", { cause: error });
    throw error;
  }
}

/** Whether a packet begins like a message. Sealed ones may begin with 0 or 1 too, but then with noise: one in a hundred misleads. */
function looksPlain([type, body, key]: Uint8Array): boolean {
  if (type === MessageType.compound || type === MessageType.user || type === MessageType.checksum) return true;
  return type !== undefined && type <= MessageType.error && isMapHeader(body) && key !== undefined && (key & 0xe0) === 0xa0;
}

/** The messages found so far in one packet, and the work that may still be spent on it. */
class Unwrapping {
  readonly messages: PacketMessage[] = [];
  readonly problems: MemberlistError[] = [];
  #expansion = maxPacketExpansion;
  #parts = maxPacketParts;

  /** Does something that decodes, and keeps its error. */
  attempt(decode: () => void): void {
    try {
      decode();
    } catch (error) {
      if (!(error instanceof MemberlistError)) throw error;
      this.problems.push(error);
    }
  }

  unwrap(message: Uint8Array, depth: number): void {
    if (depth > maxPacketDepth)
      throw new MemberlistError("tooLarge", `Cannot decode a packet: more than ${maxPacketDepth} wrappers`);
    if (message.length === 0) throw new MemberlistError("malformed", "Cannot decode a message: it is empty");
    if (message[0] === MessageType.compound) this.#unwrapCompound(message, depth);
    else if (message[0] === MessageType.compress) {
      const inner = decodeCompressed(message, this.#expansion);
      this.#expansion -= inner.length;
      this.unwrap(inner, depth + 1);
    } else this.messages.push(decodeMessage(message));
  }

  #unwrapCompound(message: Uint8Array, depth: number): void {
    const { parts, missing } = splitCompound(message);
    for (const part of parts) {
      if (this.#parts === 0) throw new MemberlistError("tooLarge", `Cannot decode a packet: more than ${maxPacketParts} parts`);
      this.#parts -= 1;
      this.attempt(() => this.unwrap(part, depth + 1));
    }
    if (missing > 0) throw new MemberlistError("malformed", `Cannot decode a compound: ${missing} of its parts are missing`);
  }
}
