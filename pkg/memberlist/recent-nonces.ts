import { nonceLength } from "#pkg/aes-gcm";

/** A power of two. */
export const rememberedNonces = 65_536;

/**
 * The nonces of the last packets, a fixed number: a ring of them in the order of arrival, and for each digest a chain through the ring,
 * the newest first. An overwritten entry ends its chain, so that nothing has to be taken out. For 65,536 it takes 1.3 MB, touched as it
 * fills, and allocates nothing for a packet.
 */
export class RecentNonces {
  readonly #mask: number;
  readonly #words: Uint32Array; // Three of each nonce; packet n has place n modulo the size.
  readonly #newest: Uint32Array; // digest -> the last packet with it
  readonly #before: Uint32Array; // place -> the packet with the same digest that came before
  #next: number; // The number of the next packet, modulo 2^32. The first number is chosen so that 0 is long ago.

  /** @param size how many are remembered, a power of two */
  constructor(size = rememberedNonces) {
    this.#mask = size - 1;
    this.#words = new Uint32Array(3 * size);
    this.#newest = new Uint32Array(size);
    this.#before = new Uint32Array(size);
    this.#next = size + 1;
  }

  /** Whether the packet has a nonce there that is remembered. */
  has(packet: Uint8Array, at: number): boolean {
    if (packet.length < at + nonceLength) return false;
    const first = wordAt(packet, at);
    const second = wordAt(packet, at + 4);
    const third = wordAt(packet, at + 8);
    const words = this.#words;
    let number = this.#newest[digest(first, second, third) & this.#mask] ?? 0;
    // Each is older than the one before. After 2^32 packets an old number may look new: that leads to a nonce that is compared in vain.
    for (let age = 0, older = this.#age(number); older > age && older <= this.#mask + 1; older = this.#age(number)) {
      age = older;
      const place = number & this.#mask;
      if (words[3 * place] === first && words[3 * place + 1] === second && words[3 * place + 2] === third) return true;
      number = this.#before[place] ?? 0;
    }
    return false;
  }

  /** @param packet that has a nonce there */
  add(packet: Uint8Array, at: number): void {
    const first = wordAt(packet, at);
    const second = wordAt(packet, at + 4);
    const third = wordAt(packet, at + 8);
    const chain = digest(first, second, third) & this.#mask;
    const place = this.#next & this.#mask;
    this.#before[place] = this.#newest[chain] ?? 0;
    this.#newest[chain] = this.#next;
    this.#words[3 * place] = first;
    this.#words[3 * place + 1] = second;
    this.#words[3 * place + 2] = third;
    this.#next = (this.#next + 1) >>> 0;
  }

  /** 1 for the packet that came last. */
  #age(number: number): number {
    return (this.#next - number) >>> 0;
  }
}

function wordAt(packet: Uint8Array, at: number): number {
  const octet = (index: number) => packet[at + index] ?? 0;
  return ((octet(0) << 24) | (octet(1) << 16) | (octet(2) << 8) | octet(3)) >>> 0;
}

/** Its low bits count. Our nonces count in the last word; nonces of other programs are random throughout. */
function digest(first: number, second: number, third: number): number {
  return Math.imul(first, 0x9e37_79b1) ^ Math.imul(second, 0x85eb_ca6b) ^ third;
}
