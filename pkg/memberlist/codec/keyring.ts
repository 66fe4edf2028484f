import { createHash } from "node:crypto";
import { type AesGcm, aesGcm, nonceLength, tagLength } from "#pkg/aes-gcm";
import { equalBytes } from "#pkg/net";
import { MemberlistError, Reader } from "./memberlist-error.ts";

/** 0, which nodes that speak protocol 1 send, pads the plaintext to blocks of 16 octets; 1 does not. */
type EncryptionVersion = 0 | 1;

/** Where the nonce of sealed octets begins: behind the version. */
export const nonceAt = 1;
const blockLength = 16;
const overhead = 1 + nonceLength + tagLength;

/** The most octets that sealing adds, by version: also the fewest that anything sealed has. Only 1 is sent. */
export const maxSealOverhead: Readonly<Record<EncryptionVersion, number>> = { 0: overhead + blockLength, 1: overhead };

/** Octets of the sealed form of `length` octets. */
export function sealedLength(length: number): number {
  return overhead + length;
}

const nothing: Uint8Array = new Uint8Array();

interface Key {
  readonly octets: Uint8Array;
  readonly cipher: AesGcm;
}
type Keys = readonly [Key, ...Key[]];

/**
 * The keys of a ring, all for AES-GCM: 16, 24 or 32 octets for AES-128, 192 or 256. The first one seals; each of them opens. A
 * rotation is three sets of keys on every node, one after the other: with the new key last, with it first, without the old one.
 *
 * MetalLB makes keys of two lengths from one secret: see `metallbKeys`. Once a message was sealed with a longer key that begins as the first one does,
 * longer ones seal, for good: who sends it understands nothing else, and everybody who has both keys understands it.
 */
export class Keyring {
  #keys: Keys;
  #prefersLonger = false;

  /** @throws {RangeError} for a key of another length, the same key twice, and no key at all */
  constructor(keys: readonly Uint8Array[]) {
    this.#keys = checked(keys);
  }

  /** Uses these keys from now on. @throws {RangeError} as the constructor does; then the keys stay as they were */
  replace(keys: readonly Uint8Array[]): void {
    this.#keys = checked(keys);
    if (this.#prefersLonger) this.#sealWithLonger();
  }

  /**
   * Version 1, nonce, ciphertext and tag.
   * @param nonce 12 octets that were never used with this key
   * @param associated what is authenticated along with it and not part of the result
   * @throws {RangeError} for a nonce of another length
   */
  seal(plaintext: Uint8Array, nonce: Uint8Array, associated = nothing): Uint8Array {
    const sealed = this.#keys[0].cipher.seal(nonce, associated, plaintext, 1 + nonceLength);
    sealed[0] = 1;
    sealed.set(nonce, 1);
    return sealed;
  }

  /**
   * The plaintext of octets that were sealed with any of the keys, in either version.
   * @throws {MemberlistError} `unknownVersion`, `malformed` when it is too short or its padding is wrong, `wrongKey`
   */
  open(sealed: Uint8Array, associated = nothing): Uint8Array {
    const reader = new Reader(sealed);
    const version = reader.u8();
    if (version !== 0 && version !== 1)
      throw new MemberlistError("unknownVersion", `Cannot decrypt: the encryption's version is ${version}`);
    if (sealed.length < maxSealOverhead[version])
      throw new MemberlistError(
        "malformed",
        `Cannot decrypt: ${sealed.length} octets are fewer than ${maxSealOverhead[version]}`,
      );
    const nonce = reader.take(nonceLength);
    const encrypted = reader.rest();
    for (const key of this.#keys) {
      const plaintext = key.cipher.open(nonce, associated, encrypted);
      if (plaintext === undefined) continue;
      if (continues(key, this.#keys[0])) {
        this.#prefersLonger = true;
        this.#sealWithLonger();
      }
      return version === 0 ? unpad(plaintext) : plaintext;
    }
    throw new MemberlistError("wrongKey", `Cannot decrypt: none of ${this.#keys.length} keys fits`);
  }

  #sealWithLonger(): void {
    const longer = this.#keys.find((key) => continues(key, this.#keys[0]));
    if (longer !== undefined) this.#keys = [longer, ...this.#keys.filter((key) => key !== longer)];
  }
}

function continues({ octets }: Key, shorter: Key): boolean {
  const { length } = shorter.octets;
  return octets.length > length && equalBytes(octets.subarray(0, length), shorter.octets);
}

function checked(keys: readonly Uint8Array[]): Keys {
  const isTwice = keys.some((key, index) => keys.findIndex((other) => equalBytes(other, key)) !== index);
  if (isTwice) throw new RangeError("Cannot make a keyring: a key is there twice");
  const [primary, ...others] = keys.map((octets) => ({ octets, cipher: aesGcm(octets) }));
  if (primary === undefined) throw new RangeError("Cannot make a keyring: there is no key");
  return [primary, ...others];
}

/**
 * The AES-128 key that MetalLB derives from its secret up to 0.13: not a hash of it, but its first 16 octets, filled up with the beginning of
 * the SHA-256 of nothing. The text is used as given, without trimming or decoding. (MetalLB does not
 * encrypt at all if it is empty.)
 */
export function metallbKey(secret: string): Uint8Array {
  return keyOf(secret, 16);
}

/** That key, and the one of AES-256 that MetalLB derives from 0.14 on: its first 32 octets. */
export function metallbKeys(secret: string): readonly [Uint8Array, Uint8Array] {
  return [keyOf(secret, 16), keyOf(secret, 32)];
}

function keyOf(secret: string, length: number): Uint8Array {
  const material = Buffer.concat([Buffer.from(secret, "utf8"), createHash("sha256").digest()]);
  return new Uint8Array(material.subarray(0, length));
}

/** PKCS #7: octets whose value is their number fill the last block, or a whole block more if the last one is full. */
function unpad(plaintext: Uint8Array): Uint8Array {
  const padded = plaintext.at(-1) ?? 0;
  if (padded < 1 || padded > blockLength || padded > plaintext.length)
    throw new MemberlistError("malformed", `Cannot remove the padding: its length is ${padded}`);
  return plaintext.subarray(0, plaintext.length - padded);
}

/**
 * Nonces for AES-GCM: 8 random octets and a counter of 4. When the counter is used up, new random octets are drawn. Twelve random
 * octets would be safe for 2^32 messages under one key (NIST SP 800-38D, section 8.3), which a large ring sends within weeks.
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

  /** Twelve octets, valid until the next call. */
  next(): Uint8Array {
    this.#nonce ??= Buffer.concat([this.#randomOctets(8), new Uint8Array(4)]);
    const nonce = this.#nonce;
    new DataView(nonce.buffer, nonce.byteOffset).setUint32(8, this.#counter);
    this.#counter = (this.#counter + 1) >>> 0;
    if (this.#counter === 0) this.#nonce = undefined;
    return nonce;
  }
}
