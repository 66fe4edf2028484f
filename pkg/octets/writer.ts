/**
 * V8 keeps arrays of up to this many octets in its own heap, which costs a fraction of other arrays, unless a view makes it move
 * them.
 */
const shortest = 64;

const largest = [0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff]; // width -> value

/** Collects octets. */
export class Writer {
  #octets = new Uint8Array(shortest);
  #length = 0;

  get length(): number {
    return this.#length;
  }

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
    if (!Number.isInteger(value) || value < 0 || value > (largest[width] ?? 0))
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

  /** The written octets; the writer is not to be used afterwards. */
  finish(): Uint8Array {
    return this.#octets.length === shortest ? this.#octets.slice(0, this.#length) : this.#octets.subarray(0, this.#length);
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
