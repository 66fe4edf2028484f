import { nonceLength } from "#pkg/aes-gcm";
import type { Millis } from "#pkg/clock";
import type { KnownSources } from "#pkg/connections";
import { maxSealOverhead } from "./codec/keyring.ts";
import { MessageType } from "./codec/messages.ts";
import type { Wire } from "./codec/wire.ts";

/** Packets a second of sources that are not known, or that cannot be what they should be: to decrypt, to count and to log them. */
const looksPerSecond = 200;
const rememberedNonces = 65_536;
const maxSources = 4096;
const maxOthers = 512; // Of those, as many as are asked for.

/**
 * Looks at packets before they are decrypted, which costs some 2 µs each. Known sources come first: members, addresses that were to be
 * joined, and whoever has sent something authentic. For all others there is a budget. And a packet that came before is not worth another
 * look: the last 64k nonces are remembered, so that what was captured and is sent again does nothing.
 */
export class PacketGuard implements KnownSources {
  readonly #wire: Wire;
  readonly #members = new Set<string>(); // addresses
  readonly #others = new Set<string>(); // Addresses; the oldest are forgotten first.
  /** Where in a packet its nonce begins; undefined where packets have none, or may have none. */
  readonly nonceAt: number | undefined;
  readonly #nonces = new Nonces64k();
  #looks = looksPerSecond;
  #refilledAt: Millis = -Infinity;

  constructor(wire: Wire) {
    this.#wire = wire;
    const { label, keyring, verifyIncoming } = wire;
    const labelled = label.length === 0 ? 0 : 2 + label.length;
    this.nonceAt = keyring !== undefined && verifyIncoming ? labelled + 1 : undefined; // Behind the version of the encryption.
  }

  /** All members now. */
  setMembers(addresses: Iterable<string>): void {
    this.#members.clear();
    for (const address of addresses) this.#members.add(address);
  }

  /** Somebody who may become a member. */
  know(address: string): void {
    this.#others.delete(address);
    this.#others.add(address);
    const [oldest] = this.#others;
    if (this.#others.size > maxSources && oldest !== undefined) this.#others.delete(oldest);
  }

  /** The addresses that became known last and are no member's. */
  get others(): readonly string[] {
    return [...this.#others].slice(-maxOthers).filter((address) => !this.#members.has(address));
  }

  /** Members, and `others`. */
  get addresses(): readonly string[] {
    return [...this.#members, ...this.others];
  }

  has(address: string): boolean {
    return this.#members.has(address) || this.#others.has(address);
  }

  /** Whether to decode a packet. What is not decoded is dropped without a trace but in a counter. */
  admits(packet: Uint8Array, address: string, now: Millis): boolean {
    if (this.#isPlausible(packet) && this.has(address)) return true;
    const passed = Math.max(0, now - this.#refilledAt);
    this.#looks = Math.min(looksPerSecond, this.#looks + (passed * looksPerSecond) / 1000);
    this.#refilledAt = now;
    if (this.#looks < 1) return false;
    this.#looks--;
    return true;
  }

  /** Whether this very packet has come before. */
  isReplay(packet: Uint8Array): boolean {
    return this.nonceAt !== undefined && this.#nonces.has(packet, this.nonceAt);
  }

  /** The packet was authentic. */
  accept(packet: Uint8Array, address: string): void {
    if (this.nonceAt === undefined) return;
    this.#nonces.add(packet, this.nonceAt);
    if (!this.has(address)) this.know(address);
  }

  #isPlausible(packet: Uint8Array): boolean {
    const { label } = this.#wire;
    const at = label.length === 0 ? 0 : 2 + label.length;
    if (at > 0 && (packet[0] !== MessageType.label || packet[1] !== label.length)) return false;
    if (this.nonceAt === undefined) return packet.length > at;
    const version = packet[at];
    return (version === 0 || version === 1) && packet.length - at >= maxSealOverhead[version];
  }
}

/** A table with one place for each nonce, in which the next that has the same place takes it: 0.8 MB, touched as it fills. */
class Nonces64k {
  readonly #table = new Uint32Array(3 * rememberedNonces);

  has(packet: Uint8Array, at: number): boolean {
    if (packet.length < at + nonceLength) return false;
    const [first, second, third, place] = locate(packet, at);
    const table = this.#table;
    // An empty place looks like a nonce of zeros, which nobody draws.
    if ((first | second | third) === 0) return false;
    return table[place] === first && table[place + 1] === second && table[place + 2] === third;
  }

  add(packet: Uint8Array, at: number): void {
    const [first, second, third, place] = locate(packet, at);
    this.#table[place] = first;
    this.#table[place + 1] = second;
    this.#table[place + 2] = third;
  }
}

/** The three words of a nonce, and its place. */
function locate(packet: Uint8Array, at: number): readonly [first: number, second: number, third: number, place: number] {
  const view = new DataView(packet.buffer, packet.byteOffset + at, nonceLength);
  const [first, second, third] = [view.getUint32(0), view.getUint32(4), view.getUint32(8)];
  // Ours count in the last word; those of others are chance throughout.
  const hash = (Math.imul(first, 0x9e37_79b1) ^ Math.imul(second, 0x85eb_ca6b) ^ third) >>> 0;
  return [first, second, third, 3 * (hash % rememberedNonces)];
}
