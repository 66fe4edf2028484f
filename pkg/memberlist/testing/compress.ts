import { Writer } from "../codec/memberlist-error.ts";
import { MessageType } from "../codec/messages.ts";
import { writeMap } from "./write-map.ts";

// Code of a phrase and one octet more -> the code that it got, and in the upper bits the number of the dictionary that has it: none is ever emptied.
const phrases = new Uint32Array(1 << 20);
const codeBits = 12;
let dictionary = 0;

/** Compresses as Go's `compress/lzw` does, and so as peers do. */
export function compressLzw(octets: Uint8Array): Uint8Array {
  const compressed: number[] = [];
  let [bits, count, width, last] = [0, 0, 9, 257]; // `last`: the code given away most recently.
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
    [width, last] = [9, 257];
    beginDictionary();
    return true;
  };
  beginDictionary();
  write(256);
  let code: number | undefined; // Code of the phrase read so far.
  for (const octet of octets) {
    if (code === undefined) {
      code = octet;
      continue;
    }
    const phrase = (code << 8) | octet;
    const known = phrases[phrase] ?? 0;
    const isKnown = known >>> codeBits === dictionary;
    if (!isKnown && !give(code)) phrases[phrase] = (dictionary << codeBits) | last;
    code = isKnown ? known & ((1 << codeBits) - 1) : octet;
  }
  if (code !== undefined) give(code);
  write(257);
  if (count > 0) compressed.push(bits);
  return Uint8Array.from(compressed);
}

function beginDictionary(): void {
  if (++dictionary < 1 << (32 - codeBits)) return;
  phrases.fill(0);
  dictionary = 1;
}

/** Wraps a message in a compress message, as peers do. */
export function encodeCompressed(message: Uint8Array): Uint8Array {
  const writer = new Writer().u8(MessageType.compress);
  writeMap(writer, { Algo: 0, Buf: compressLzw(message) });
  return writer.finish();
}
