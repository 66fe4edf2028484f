/**
 * Nonces for AES-GCM: 8 octets of chance and a counter of 4, the first drawn anew when the second is used up. Twelve octets of
 * chance would be safe for 2^32 messages under one key (NIST SP 800-38D, section 8.3), which a large ring sends within weeks.
 */
export class Nonces {
  readonly #randomOctets: (length: number) => Uint8Array;
  #nonce: Uint8Array | undefined;
  #counter: number;

  /** @param randomOctets fit for cryptography */
  constructor(randomOctets: (length: number) => Uint8Array, firstCounter = 0) {
    this.#randomOctets = randomOctets;
    this.#counter = firstCounter;
  }

  /** Twelve octets, valid until the next ones are asked for. */
  next(): Uint8Array {
    this.#nonce ??= Buffer.concat([this.#randomOctets(8), new Uint8Array(4)]);
    const nonce = this.#nonce;
    new DataView(nonce.buffer, nonce.byteOffset).setUint32(8, this.#counter);
    this.#counter = (this.#counter + 1) >>> 0;
    if (this.#counter === 0) this.#nonce = undefined;
    return nonce;
  }
}
