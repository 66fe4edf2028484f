import { getTag, openssl, setTag } from "./openssl.ts";

export const nonceLength = 12;
export const tagLength = 16;

/** Messages up to this long are worked on in memory that is there already, longer ones in memory of their own. */
const roomLength = 2048;

/** One direction's functions and the key, ready for any number of messages. */
interface Direction {
  readonly context: unknown;
  readonly init: typeof openssl.encrypt.init;
  readonly update: typeof openssl.encrypt.update;
  readonly final: typeof openssl.encrypt.final;
}

/** Frees what OpenSSL has for keys that nobody uses any more. */
const contexts = new FinalizationRegistry<readonly unknown[]>((unused) => {
  for (const context of unused) openssl.freeContext(context);
});

/** Encrypts and decrypts whole messages with one key (NIST SP 800-38D), with nonces of 12 octets and tags of 16. */
export class AesGcm {
  readonly #sealing: Direction;
  readonly #opening: Direction;
  // The memory of arrays that are given to C stays where it is; a small new one would have to be moved there for each call.
  readonly #nonce = new Uint8Array(new ArrayBuffer(nonceLength));
  readonly #tag = new Uint8Array(new ArrayBuffer(tagLength));
  readonly #room = new Uint8Array(new ArrayBuffer(roomLength));
  readonly #written = new Int32Array(new ArrayBuffer(4));

  /** @param key 16, 24 or 32 octets @throws {RangeError} for another length */
  constructor(key: Uint8Array) {
    if (![16, 24, 32].includes(key.length)) throw new RangeError(`Cannot use a key: it has ${key.length} octets`);
    const cipher = openssl.fetchCipher(null, `AES-${8 * key.length}-GCM`, null);
    this.#sealing = { context: openssl.newContext(), ...openssl.encrypt };
    this.#opening = { context: openssl.newContext(), ...openssl.decrypt };
    contexts.register(this, [this.#sealing.context, this.#opening.context]);
    for (const { init, context } of [this.#sealing, this.#opening]) check("init", init(context, cipher, key, null, null));
  }

  /**
   * @param nonce 12 octets that were never used with this key
   * @param associated what is authenticated along with it and not part of the result
   * @param before number of octets at the start of the result that are left to the caller
   * @returns after those the ciphertext, as long as `plaintext`, and the tag
   */
  seal(nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array, before = 0): Uint8Array {
    const { context, final } = this.#sealing;
    const sealed = new Uint8Array(before + plaintext.length + tagLength);
    sealed.set(this.#transform(this.#sealing, nonce, associated, plaintext), before);
    check("final", final(context, this.#room, this.#written)); // Adds nothing: GCM has no blocks to fill.
    check("ctrl", openssl.control(context, getTag, tagLength, this.#tag));
    sealed.set(this.#tag, before + plaintext.length);
    return sealed;
  }

  /** What `seal` sealed. @param sealed at least a tag @returns undefined where anything is not as it was sealed, or by another key */
  open(nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const { context, final } = this.#opening;
    const end = sealed.length - tagLength;
    const plaintext = this.#transform(this.#opening, nonce, associated, sealed.subarray(0, end));
    this.#tag.set(sealed.subarray(end));
    check("ctrl", openssl.control(context, setTag, tagLength, this.#tag));
    return final(context, this.#room, this.#written) === 1 ? plaintext.slice() : undefined;
  }

  /** @returns what comes out, valid until the next message */
  #transform({ context, init, update }: Direction, nonce: Uint8Array, associated: Uint8Array, input: Uint8Array): Uint8Array {
    if (nonce.length !== nonceLength) throw new RangeError(`Cannot use a nonce: it has ${nonce.length} octets`);
    this.#nonce.set(nonce);
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
