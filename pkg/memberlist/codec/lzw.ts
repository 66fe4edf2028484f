import { MemberlistError } from "./memberlist-error.ts";

/**
 * LZW as Go's `compress/lzw` does it with bits LSB first and 8-bit literals: the variant of GIF, where codes widen when the next
 * one equals 2^width, not that of TIFF. Codes have 9 to 12 bits. Only peers compress: to compress a view of 50 members with their gossip
 * takes longer than a timer of this thread may be late, and saves 16 KB every 20 seconds.
 */
const clear = 256;
const end = 257;
const minWidth = 9;
const maxWidth = 12;
const lastCode = (1 << maxWidth) - 1;

/**
 * Octets after the end code are ignored.
 * @param limit octets of the result; memory stays below twice that for any input
 * @throws {MemberlistError} `tooLarge` above the limit; `malformed` for a code that means nothing yet, and input without end code
 */
export function decompressLzw(octets: Uint8Array, limit: number): Uint8Array {
  const bits = new BitReader(octets);
  const output = new Output(limit);
  // A phrase is the one before it with one octet more, so it can be read where the output already has it: code -> offset, length.
  const offsets = new Uint32Array(lastCode + 1);
  const lengths = new Uint16Array(lastCode + 1);
  let width = minWidth;
  let next = end; // The code that the next phrase gets.
  let previous: { offset: number; length: number } | undefined;
  for (;;) {
    const code = bits.read(width);
    if (code === end) return output.finish();
    if (code === clear) {
      width = minWidth;
      next = end;
      previous = undefined;
      continue;
    }
    if (code > next || (code === next && previous === undefined))
      throw new MemberlistError("malformed", `Cannot decompress: code ${code} comes before it has a meaning`);
    const offset = output.length;
    if (previous !== undefined) {
      offsets[next] = previous.offset;
      lengths[next] = previous.length + 1;
    }
    if (code < clear) output.put(code);
    else output.repeat(offsets[code] ?? 0, lengths[code] ?? 0); // May reach into what it writes: the phrase plus its own first octet.
    previous = { offset, length: output.length - offset };
    next += 1;
    if (next < 1 << width) continue;
    if (width < maxWidth) width += 1;
    else {
      next -= 1;
      previous = undefined;
    }
  }
}

/** The first bit is the lowest of the first octet. */
class BitReader {
  readonly #octets: Uint8Array;
  #offset = 0;
  #pending = 0;
  #count = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  read(width: number): number {
    while (this.#count < width) {
      const octet = this.#octets[this.#offset];
      if (octet === undefined) throw new MemberlistError("malformed", "Cannot decompress: the input stops before its end code");
      this.#pending |= octet << this.#count;
      this.#count += 8;
      this.#offset += 1;
    }
    const value = this.#pending & ((1 << width) - 1);
    this.#pending >>>= width;
    this.#count -= width;
    return value;
  }
}

/** Octets up to a limit. Grows with arriving octets, never with a stated length. */
class Output {
  readonly #limit: number;
  #octets = new Uint8Array(1024);
  length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  put(octet: number): void {
    const at = this.#grow(1);
    this.#octets[at] = octet;
  }

  /** Appends octets of the output itself, one by one, so that it may repeat octets that it has just appended. */
  repeat(offset: number, length: number): void {
    const at = this.#grow(length);
    for (let index = 0; index < length; index++) this.#octets[at + index] = this.#octets[offset + index] ?? 0;
  }

  finish(): Uint8Array {
    return this.#octets.subarray(0, this.length);
  }

  #grow(by: number): number {
    const at = this.length;
    this.length += by;
    if (this.length > this.#limit)
      throw new MemberlistError("tooLarge", `Cannot decompress: it makes more than ${this.#limit} octets`);
    if (this.length > this.#octets.length) {
      const larger = new Uint8Array(Math.min(this.#limit, Math.max(this.length, 2 * this.#octets.length)));
      larger.set(this.#octets.subarray(0, at));
      this.#octets = larger;
    }
    return at;
  }
}
