/**
 * Nonces for AES-GCM: 8 octets of chance and a counter of 4, the first drawn anew when the second is used up. Twelve octets of
 * chance would be safe for 2^32 messages under one key (NIST SP 800-38D, section 8.3), which a large ring sends within weeks.
 */
export class Nonces {
  readonly #randomOctets: (length: number) => Uint8Array;
  readonly #nonce = new Uint8Array(12);
  #counter = 0;

  /** @param randomOctets fit for cryptography */
  constructor(randomOctets: (length: number) => Uint8Array) {
    this.#randomOctets = randomOctets;
  }

  /** Valid until the next one is asked for. */
  next(): Uint8Array {
    if (this.#counter === 0) this.#nonce.set(this.#randomOctets(8));
    new DataView(this.#nonce.buffer).setUint32(8, this.#counter);
    this.#counter = (this.#counter + 1) >>> 0;
    return this.#nonce;
  }
}
