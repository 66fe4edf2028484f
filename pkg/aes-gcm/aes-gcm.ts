import { type CipherGCMTypes, createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { getTag, type Openssl, openssl, setTag } from "./openssl.ts";

export const nonceLength = 12;
export const tagLength = 16;

/** Messages up to this long are worked on in memory that is there already, longer ones in memory of their own. */
const roomLength = 2048;

/** Encrypts and decrypts whole messages with one key (NIST SP 800-38D), with nonces of 12 octets and tags of 16. */
export interface AesGcm {
  /**
   * @param nonce 12 octets that were never used with this key
   * @param associated what is authenticated along with it and not part of the result
   * @param before number of octets at the start of the result that are left to the caller
   * @returns after those the ciphertext, as long as `plaintext`, and the tag
   */
  seal(nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array, before?: number): Uint8Array;
  /** What `seal` sealed. @param sealed at least a tag @returns undefined where anything is not as it was sealed, or by another key */
  open(nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

/**
 * @param key 16, 24 or 32 octets @param by `node:crypto` takes some four times as long for a message
 * @throws {RangeError} for a key of another length
 */
export function aesGcm(key: Uint8Array, by: Openssl | "node:crypto" = openssl ?? "node:crypto"): AesGcm {
  if (![16, 24, 32].includes(key.length)) throw new RangeError(`Cannot use a key: it has ${key.length} octets`);
  return by === "node:crypto" ? new NodeGcm(key) : new OpensslGcm(key, by);
}

/** Fit for cryptography. */
export function randomOctets(length: number, by: Openssl | "node:crypto" = openssl ?? "node:crypto"): Uint8Array {
  const octets = new Uint8Array(length);
  return by !== "node:crypto" && by.random(octets, length) === 1 ? octets : randomBytes(length);
}

class NodeGcm implements AesGcm {
  readonly #key: KeyObject; // Of octets Node would make one for each message, which takes three times as long as all else.
  readonly #algorithm: CipherGCMTypes;

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
    this.#algorithm = `aes-${8 * key.length}-gcm` as CipherGCMTypes;
  }

  seal(nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array, before = 0): Uint8Array {
    const cipher = createCipheriv(this.#algorithm, this.#key, checked(nonce)).setAAD(associated);
    const sealed = new Uint8Array(before + plaintext.length + tagLength);
    sealed.set(cipher.update(plaintext), before);
    cipher.final(); // Adds nothing: GCM has no blocks to fill.
    sealed.set(cipher.getAuthTag(), before + plaintext.length);
    return sealed;
  }

  open(nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const end = sealed.length - tagLength;
    const decipher = createDecipheriv(this.#algorithm, this.#key, checked(nonce)).setAAD(associated);
    decipher.setAuthTag(sealed.subarray(end));
    const plaintext = Uint8Array.from(decipher.update(sealed.subarray(0, end)));
    try {
      decipher.final();
      return plaintext;
    } catch {
      return undefined; // The only error that it has.
    }
  }
}

function checked(nonce: Uint8Array): Uint8Array {
  if (nonce.length !== nonceLength) throw new RangeError(`Cannot use a nonce: it has ${nonce.length} octets`);
  return nonce;
}

/** One direction's functions and the key, ready for any number of messages. */
type Direction = Openssl["encrypt"] & { readonly context: unknown };

class OpensslGcm implements AesGcm {
  /** Frees what OpenSSL has for keys that nobody uses any more. */
  static readonly #unused = new FinalizationRegistry<{ readonly openssl: Openssl; readonly contexts: readonly unknown[] }>(
    ({ openssl, contexts }) => {
      for (const context of contexts) openssl.freeContext(context);
    },
  );
  readonly #openssl: Openssl;
  readonly #sealing: Direction;
  readonly #opening: Direction;
  // The memory of arrays that are given to C stays where it is; a small new one would have to be moved there for each call.
  readonly #nonce = new Uint8Array(new ArrayBuffer(nonceLength));
  readonly #tag = new Uint8Array(new ArrayBuffer(tagLength));
  readonly #room = new Uint8Array(new ArrayBuffer(roomLength));
  readonly #written = new Int32Array(new ArrayBuffer(4));

  constructor(key: Uint8Array, openssl: Openssl) {
    this.#openssl = openssl;
    const cipher = openssl.fetchCipher(null, `AES-${8 * key.length}-GCM`, null);
    this.#sealing = { context: openssl.newContext(), ...openssl.encrypt };
    this.#opening = { context: openssl.newContext(), ...openssl.decrypt };
    OpensslGcm.#unused.register(this, { openssl, contexts: [this.#sealing.context, this.#opening.context] });
    for (const { init, context } of [this.#sealing, this.#opening]) check("init", init(context, cipher, key, null, null));
  }

  seal(nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array, before = 0): Uint8Array {
    const { context, final } = this.#sealing;
    const sealed = new Uint8Array(before + plaintext.length + tagLength);
    sealed.set(this.#transform(this.#sealing, nonce, associated, plaintext), before);
    check("final", final(context, this.#room, this.#written)); // Adds nothing: GCM has no blocks to fill.
    check("ctrl", this.#openssl.control(context, getTag, tagLength, this.#tag));
    sealed.set(this.#tag, before + plaintext.length);
    return sealed;
  }

  open(nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const { context, final } = this.#opening;
    const end = sealed.length - tagLength;
    const plaintext = this.#transform(this.#opening, nonce, associated, sealed.subarray(0, end));
    this.#tag.set(sealed.subarray(end));
    check("ctrl", this.#openssl.control(context, setTag, tagLength, this.#tag));
    return final(context, this.#room, this.#written) === 1 ? plaintext.slice() : undefined;
  }

  /** @returns what comes out, valid until the next message */
  #transform({ context, init, update }: Direction, nonce: Uint8Array, associated: Uint8Array, input: Uint8Array): Uint8Array {
    this.#nonce.set(checked(nonce));
    check("init", init(context, null, null, this.#nonce, null));
    if (associated.length > 0) check("update", update(context, null, this.#written, associated, associated.length));
    const room = input.length <= roomLength ? this.#room : new Uint8Array(input.length);
    room.set(input);
    if (input.length > 0) check("update", update(context, room, this.#written, room, input.length));
    return room.subarray(0, input.length);
  }
}

function check(call: string, result: number): void {
  if (result !== 1) throw new Error(`Cannot use AES-GCM: OpenSSL's ${call} failed`);
}
