/** Strings up to this long are joined of their characters, which costs less than a buffer. */
const maxJoined = 64;

/** Reads octets in order. */
export class Reader {
  readonly octets: Uint8Array;
  offset: number;
  readonly #fault: (found: string) => Error;

  /** @param fault the error that the protocol names for a field cut short; it is told in words what was found */
  constructor(octets: Uint8Array, fault: (found: string) => Error, offset = 0) {
    this.octets = octets;
    this.offset = offset;
    this.#fault = fault;
  }

  get remaining(): number {
    return this.octets.length - this.offset;
  }

  u8(): number {
    return this.octets[this.skip(1)] ?? 0;
  }

  u16(): number {
    return this.unsigned(2);
  }

  u32(): number {
    return this.unsigned(4);
  }

  /** An unsigned integer of 1 to 8 octets; above 2^53 it is rounded. */
  unsigned(width: number): number {
    const at = this.skip(width);
    let value = 0;
    for (let index = at; index < at + width; index++) value = value * 256 + (this.octets[index] ?? 0);
    return value;
  }

  /** A signed integer of 1 to 8 octets; far from 0 it is rounded, but never its sign. */
  signed(width: number): number {
    const at = this.skip(width);
    let value = ((this.octets[at] ?? 0) << 24) >> 24;
    for (let index = at + 1; index < at + width; index++) value = value * 256 + (this.octets[index] ?? 0);
    return value;
  }

  /** The next octets, as a view: copy what is kept, or it keeps all of the input. */
  take(length: number): Uint8Array {
    const at = this.skip(length);
    return this.octets.subarray(at, at + length);
  }

  /** The next octets, as octets of their own. */
  copy(length: number): Uint8Array {
    const at = this.skip(length);
    return Uint8Array.prototype.slice.call(this.octets, at, at + length); // A Buffer's own would be a view.
  }

  /** The next octets, as a string with one character per octet. */
  latin1(length: number): string {
    const { octets } = this;
    const start = this.skip(length);
    if (length > maxJoined) return Buffer.from(octets.buffer, octets.byteOffset + start, length).toString("latin1");
    let text = "";
    for (let at = start; at < start + length; at++) text += String.fromCharCode(octets[at] ?? 0);
    return text;
  }

  rest(): Uint8Array {
    return this.take(this.remaining);
  }

  /** Passes octets. @returns where they begin */
  skip(length: number): number {
    const at = this.offset;
    if (length > this.remaining)
      throw this.#fault(`${length} octets are wanted at offset ${at} of ${this.octets.length}, ${this.remaining} are left`);
    this.offset += length;
    return at;
  }
}
