import { maxSealOverhead } from "./keyring.ts";
import { MemberlistError, Writer } from "./memberlist-error.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";
import { MessageType, type PacketMessage } from "./messages.ts";
import { isMapHeader } from "./msgpack.ts";
import { outgoingKeyring, type Wire } from "./wire.ts";
import {
  decodeCompressed,
  encodeChecksum,
  encodeCompound,
  encodeCompressed,
  splitCompound,
  stripLabel,
  verifyChecksum,
  writeLabel,
} from "./wrappers.ts";

/** Wrappers inside wrappers, of which peers send two at most. */
export const maxPacketDepth = 8;
/** Octets that all compressed messages of one packet may make together: four times the largest datagram. */
export const maxPacketExpansion = 4 * 65_536;
/** Parts of all compounds of one packet, however they are nested: four times what peers send. */
export const maxPacketParts = 1024;
/**
 * Shorter packets are not compressed, because trying costs as much as all else that is done to them: a ping or an ack never gets
 * shorter, and a few messages that are gossiped by 50 octets at most.
 */
export const minCompressedPacket = 256;

export interface PacketOptions {
  /** 12 octets, never used before with the same key. Not looked at without encryption. */
  readonly nonce: Uint8Array;
  /** Only for destinations whose protocol max is known and at least 5. */
  readonly checksum: boolean;
}

/**
 * Encodes a packet: compound if there are several messages, compressed if it is long and that makes it shorter, checksum,
 * encryption, label.
 * @param messages 1 to `maxMessagesPerPacket`, the direct one first
 * @throws {RangeError} for another number of messages, and for messages that `encodeMessage` refuses
 */
export function encodePacket(messages: readonly PacketMessage[], wire: Wire, options: PacketOptions): Uint8Array {
  let packet = joinMessages(messages);
  if (wire.compress && packet.length >= minCompressedPacket) {
    const compressed = encodeCompressed(packet);
    if (compressed.length < packet.length) packet = compressed;
  }
  if (options.checksum) packet = encodeChecksum(packet);
  const keyring = outgoingKeyring(wire);
  if (keyring !== undefined) packet = keyring.seal(packet, wire.encryptionVersion, options.nonce, wire.label);
  return wire.label.length === 0 ? packet : writeLabel(new Writer(), wire.label).put(packet).finish();
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
export function decodePacket(datagram: Uint8Array, wire: Wire): DecodedPacket {
  const unwrapping = new Unwrapping();
  unwrapping.attempt(() => unwrapping.unwrap(verifyChecksum(decrypt(stripLabel(datagram, wire.label), wire)), 0));
  return { messages: unwrapping.messages, problems: unwrapping.problems };
}

function decrypt(packet: Uint8Array, wire: Wire): Uint8Array {
  if (wire.keyring === undefined) {
    if (looksSealed(packet))
      throw new MemberlistError("encrypted", "Cannot decode a packet: it is encrypted, and there is no key");
    return packet;
  }
  try {
    return wire.keyring.open(packet, wire.label);
  } catch (error) {
    if (!(error instanceof MemberlistError)) throw error;
    if (!wire.verifyIncoming) return packet;
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

/** Whether a packet begins like an encrypted one and cannot be the ping or indirect ping that begins so too. */
function looksSealed(packet: Uint8Array): boolean {
  return (packet[0] === 0 || packet[0] === 1) && packet.length >= maxSealOverhead[1] && !isMapHeader(packet[1]);
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
