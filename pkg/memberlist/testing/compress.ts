import { Writer } from "../codec/memberlist-error.ts";
import { MessageType } from "../codec/messages.ts";
import { writeMap } from "./write-map.ts";

/** Compresses as Go's `compress/lzw` does, and so as peers do. */
export function compressLzw(octets: Uint8Array): Uint8Array {
  const compressed: number[] = [];
  let [bits, count, width, last] = [0, 0, 9, 257]; // `last`: the code given away most recently.
  let phrases = new Map<number, number>(); // code of a phrase and one octet more -> code
  const write = (code: number): void => {
    bits |= code << count;
    for (count += width; count >= 8; count -= 8, bits >>>= 8) compressed.push(bits & 0xff);
  };
  /** @returns whether the dictionary is empty now, because it was full */
  const give = (code: number): boolean => {
    write(code);
    if (++last === 1 << width) width++;
    if (last < 4095) return false;
    write(256);
    [width, last, phrases] = [9, 257, new Map()];
    return true;
  };
  write(256);
  let code: number | undefined; // Code of the phrase read so far.
  for (const octet of octets) {
    const longer = code === undefined ? octet : phrases.get((code << 8) | octet);
    if (code !== undefined && longer === undefined && !give(code)) phrases.set((code << 8) | octet, last);
    code = longer ?? octet;
  }
  if (code !== undefined) give(code);
  write(257);
  if (count > 0) compressed.push(bits);
  return Uint8Array.from(compressed);
}

/** Wraps a message in a compress message, as peers do. */
export function encodeCompressed(message: Uint8Array): Uint8Array {
  const writer = new Writer().u8(MessageType.compress);
  writeMap(writer, { Algo: 0, Buf: compressLzw(message) });
  return writer.finish();
}
