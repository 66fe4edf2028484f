/** Reads octets in order; all integers are big-endian. Every read is checked: what is not there becomes the error that `fault` makes. */
export class Reader {
  readonly octets: Uint8Array;
  #offset = 0;
  readonly #fault: (found: string) => Error;

  /** @param fault the error that the protocol names for a field cut short; it is told in words what was found */
  constructor(octets: Uint8Array, fault: (found: string) => Error) {
    this.octets = octets;
    this.#fault = fault;
  }

  get remaining(): number {
    return this.octets.length - this.#offset;
  }

  u8(): number {
    return this.#unsigned(1);
  }

  u16(): number {
    return this.#unsigned(2);
  }

  u32(): number {
    return this.#unsigned(4);
  }

  /** The next octets, as a view: copy what is kept, or it keeps all of the input. */
  take(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.octets.subarray(at, at + length);
  }

  rest(): Uint8Array {
    return this.take(this.remaining);
  }

  #unsigned(width: number): number {
    const at = this.#advance(width);
    let value = 0;
    for (let index = at; index < at + width; index++) value = value * 256 + (this.octets[index] ?? 0);
    return value;
  }

  #advance(length: number): number {
    const at = this.#offset;
    if (length > this.remaining)
      throw this.#fault(`${length} octets are wanted at offset ${at} of ${this.octets.length}, ${this.remaining} are left`);
    this.#offset += length;
    return at;
  }
}

/** Collects octets; all integers are big-endian. */
export class Writer {
  #octets = new Uint8Array(64);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    return this.#unsigned(value, 1);
  }

  u16(value: number): this {
    return this.#unsigned(value, 2);
  }

  u32(value: number): this {
    return this.#unsigned(value, 4);
  }

  put(octets: Uint8Array): this {
    const at = this.#grow(octets.length);
    this.#octets.set(octets, at);
    return this;
  }

  /** What was written; the writer is not to be used afterwards. */
  finish(): Uint8Array {
    return this.#octets.subarray(0, this.#length);
  }

  #unsigned(value: number, width: number): this {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** width)
      throw new RangeError(`Cannot write an integer of ${width} octets: ${value}`);
    const at = this.#grow(width);
    for (let index = 0; index < width; index++) this.#octets[at + index] = value >>> (8 * (width - 1 - index));
    return this;
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
