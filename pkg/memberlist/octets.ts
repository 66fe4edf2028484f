import { MemberlistError } from "./memberlist-error.ts";

/** Reads octets in order; all integers are big-endian. Every read is checked: what is not there is `malformed`. */
export class Reader {
  readonly octets: Uint8Array;
  offset: number;

  constructor(octets: Uint8Array, offset = 0) {
    this.octets = octets;
    this.offset = offset;
  }

  get remaining(): number {
    return this.octets.length - this.offset;
  }

  u8(): number {
    return this.unsigned(1);
  }

  u16(): number {
    return this.unsigned(2);
  }

  u32(): number {
    return this.unsigned(4);
  }

  /** An unsigned integer of 1 to 8 octets; above 2^53 it is rounded, and so above every limit of this protocol. */
  unsigned(width: number): number {
    let value = 0;
    for (const octet of this.take(width)) value = value * 256 + octet;
    return value;
  }

  /** A signed integer of 1 to 8 octets; far from 0 it is rounded, but never its sign. */
  signed(width: number): number {
    let value = (this.u8() << 24) >> 24;
    for (const octet of this.take(width - 1)) value = value * 256 + octet;
    return value;
  }

  /** The next octets, as a view: copy what is kept, or it keeps all of the input. */
  take(length: number): Uint8Array {
    if (length > this.remaining)
      throw new MemberlistError("malformed", `Cannot read ${length} octets at offset ${this.offset}: ${this.remaining} are left`);
    this.offset += length;
    return this.octets.subarray(this.offset - length, this.offset);
  }

  rest(): Uint8Array {
    return this.take(this.remaining);
  }
}

/** Collects octets; all integers are big-endian. */
export class Writer {
  #octets = new Uint8Array(128);
  #length = 0;

  u8(value: number): this {
    return this.unsigned(value, 1);
  }

  u16(value: number): this {
    return this.unsigned(value, 2);
  }

  u32(value: number): this {
    return this.unsigned(value, 4);
  }

  /** @throws {RangeError} for anything but an integer that fits into `width` octets (at most 4) */
  unsigned(value: number, width: number): this {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** width)
      throw new RangeError(`Cannot write an integer of ${width} octets: ${value}`);
    const at = this.#grow(width);
    for (let index = 0; index < width; index++) this.#octets[at + index] = value >>> (8 * (width - 1 - index));
    return this;
  }

  put(octets: Uint8Array): this {
    const at = this.#grow(octets.length);
    this.#octets.set(octets, at);
    return this;
  }

  /** One octet a character. @throws {RangeError} for a character above U+00FF: a text that was not turned into octets first */
  latin1(text: string): this {
    const at = this.#grow(text.length);
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code > 0xff) throw new RangeError(`Cannot write a string of octets: ${JSON.stringify(text)}`);
      this.#octets[at + index] = code;
    }
    return this;
  }

  /** What was written; the writer is not to be used afterwards. */
  finish(): Uint8Array {
    return this.#octets.subarray(0, this.#length);
  }

  #grow(by: number): number {
    const at = this.#length;
    this.#length += by;
    if (this.#length > this.#octets.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#octets.length));
      larger.set(this.#octets.subarray(0, at));
      this.#octets = larger;
    }
    return at;
  }
}
