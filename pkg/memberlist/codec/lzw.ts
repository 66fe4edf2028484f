import { MemberlistError } from "./memberlist-error.ts";

/**
 * LZW as Go's `compress/lzw` does it with bits LSB first and 8-bit literals: the variant of GIF, where codes widen when the next
 * one equals 2^width, not that of TIFF. Codes have 9 to 12 bits.
 */
const clear = 256;
const end = 257;
const minWidth = 9;
const maxWidth = 12;
/** The last code that the encoder stores before it begins again. */
const lastCode = (1 << maxWidth) - 1;

/** Compresses any number of octets, also none. Noise grows by half. */
export function compressLzw(octets: Uint8Array): Uint8Array {
  const bits = new BitWriter();
  const phrases = new PhraseTable();
  let width = minWidth;
  let last = end; // The code given away most recently, had each step given one.
  bits.write(clear, width);
  /** Counts a code that was written. @returns whether the dictionary is empty now, because it was full. */
  const step = (): boolean => {
    last += 1;
    if (last === 1 << width) width += 1;
    if (last < lastCode) return false;
    bits.write(clear, width);
    width = minWidth;
    last = end;
    phrases.clear();
    return true;
  };
  let code: number | undefined; // Code of the phrase read so far.
  for (const octet of octets) {
    const longer = code === undefined ? octet : phrases.find(code, octet);
    if (code === undefined || longer !== undefined) {
      code = longer;
      continue;
    }
    bits.write(code, width);
    if (!step()) phrases.add(code, octet, last);
    code = octet;
  }
  if (code !== undefined) {
    bits.write(code, width);
    step();
  }
  bits.write(end, width);
  return bits.finish();
}

/**
 * Undoes `compressLzw`. Octets after the end code are ignored.
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

/** The encoder's dictionary: a phrase's code and one octet more -> code. Open addressing, as it is looked up once an octet. */
class PhraseTable {
  static readonly #slots = 1 << 14; // Four times the phrases, so that chains stay short.
  readonly #entries = new Uint32Array(PhraseTable.#slots); // Key in the upper 20 bits, code in the lower 12; 0 where empty.

  find(code: number, octet: number): number | undefined {
    const entry = this.#entries[this.#slot((code << 8) | octet)] ?? 0;
    return entry === 0 ? undefined : entry & 0xfff;
  }

  add(code: number, octet: number, longer: number): void {
    const key = (code << 8) | octet;
    this.#entries[this.#slot(key)] = (key << 12) | longer;
  }

  clear(): void {
    this.#entries.fill(0);
  }

  /** Where a key is, or would be. */
  #slot(key: number): number {
    let slot = ((key >>> 12) ^ key) & (PhraseTable.#slots - 1);
    for (;;) {
      const entry = this.#entries[slot] ?? 0;
      if (entry === 0 || entry >>> 12 === key) return slot;
      slot = (slot + 1) & (PhraseTable.#slots - 1);
    }
  }
}

/** The first bit is the lowest of the first octet. */
class BitWriter {
  readonly #octets: number[] = [];
  #pending = 0;
  #count = 0;

  write(value: number, width: number): void {
    this.#pending |= value << this.#count;
    this.#count += width;
    while (this.#count >= 8) {
      this.#octets.push(this.#pending & 0xff);
      this.#pending >>>= 8;
      this.#count -= 8;
    }
  }

  finish(): Uint8Array {
    if (this.#count > 0) this.#octets.push(this.#pending);
    return Uint8Array.from(this.#octets);
  }
}

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
