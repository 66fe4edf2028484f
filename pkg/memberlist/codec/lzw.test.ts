import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compressLzw } from "../testing/compress.ts";
import { hex, octets } from "../testing/vectors.ts";
import { decompressLzw } from "./lzw.ts";
import { MemberlistError } from "./memberlist-error.ts";

/** Codes as a stream, with the widths that a decoder expects. */
function packed(...codes: number[]): Uint8Array {
  const bits: string[] = []; // The last code first, as its bits are the highest.
  let [width, hi] = [9, 257];
  for (const code of codes) {
    bits.unshift(code.toString(2).padStart(width, "0"));
    if (code === 256) [width, hi] = [9, 257];
    else if (++hi === 2 ** width && width < 12) width += 1;
    else if (hi === 2 ** width) hi -= 1;
  }
  const all = bits.join("");
  const inOctets = all.padStart(Math.ceil(all.length / 8) * 8, "0").match(/.{8}/g) ?? [];
  return Uint8Array.from(inOctets.map((octet) => Number.parseInt(octet, 2)).reverse());
}

/** Decompresses in the plainest way: whole phrases in a dictionary. Undefined for refused input. */
function naiveDecompress(input: Uint8Array): Uint8Array | undefined {
  let bit = 0;
  const next = (width: number) => {
    let code = 0;
    for (let index = 0; index < width; index++, bit++) {
      const octet = input[bit >> 3];
      if (octet === undefined) return undefined;
      code |= ((octet >> (bit & 7)) & 1) << index;
    }
    return code;
  };
  const output: number[] = [];
  let phrases = new Map<number, number[]>(); // code -> phrase
  let previous: number[] | undefined;
  let [width, hi] = [9, 257];
  for (;;) {
    const code = next(width);
    if (code === undefined) return undefined;
    if (code === 257) return Uint8Array.from(output);
    if (code === 256) {
      [width, hi, previous, phrases] = [9, 257, undefined, new Map()];
      continue;
    }
    if (code > hi || (code === hi && previous === undefined)) return undefined;
    const known = code < 256 ? [code] : code === hi ? [] : phrases.get(code);
    const phrase = code === hi && previous !== undefined ? [...previous, previous[0] ?? 0] : (known ?? []);
    if (previous !== undefined) phrases.set(hi, [...previous, phrase[0] ?? 0]);
    output.push(...phrase);
    previous = phrase;
    hi += 1;
    if (hi === 2 ** width && width < 12) width += 1;
    else if (hi === 2 ** width) [hi, previous] = [hi - 1, undefined];
  }
}

/** Text, noise and runs: what compresses well, not at all, and beyond measure. */
const anyInput = (maxLength: number) =>
  fc.tuple(fc.nat(maxLength), fc.constantFrom(1, 2, 5, 60, 256), fc.integer()).map(([length, alphabet, seed]) => {
    let state = seed;
    return Uint8Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
      return (state >>> 16) % alphabet;
    });
  });

test("property: decompression undoes compression, up to 60 KB", () => {
  fc.assert(
    fc.property(anyInput(60_000), (input) => {
      assert.ok(Buffer.from(input).equals(decompressLzw(compressLzw(input), input.length)));
    }),
  );
});

test("property: a decoder in the plainest way reads what is compressed", () => {
  fc.assert(
    fc.property(anyInput(12_000), (input) => {
      assert.ok(Buffer.from(input).equals(naiveDecompress(compressLzw(input)) ?? new Uint8Array(1)));
    }),
    { numRuns: 30 },
  );
});

const limit = 1_000_000;
/** Undefined for input refused as malformed. */
function decompress(input: Uint8Array): Uint8Array | undefined {
  try {
    return decompressLzw(input, limit);
  } catch (error) {
    assert.ok(error instanceof MemberlistError && error.reason === "malformed");
    return undefined;
  }
}

test("property: arbitrary and damaged octets give what a decoder in the plainest way gives, or are refused", () => {
  const damaged = fc.tuple(anyInput(6000), fc.nat(), fc.nat(255)).map(([input, at, octet]) => {
    const compressed = compressLzw(input);
    compressed[at % compressed.length] = octet;
    return compressed;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200, size: "max" }), damaged), (input) => {
      assert.deepEqual(decompress(input), naiveDecompress(input));
    }),
    { numRuns: 300 },
  );
});

const cases: { name: string; input: Uint8Array; want?: string }[] = [
  { name: "nothing", input: packed(256, 257), want: "" },
  { name: "no clear code at the beginning", input: packed(97, 257), want: "61" },
  { name: "a phrase that is about to be stored", input: packed(256, 97, 258, 257), want: "616161" },
  { name: "what follows the end", input: octets(`${hex(packed(256, 97, 257))}ffff`), want: "61" },
  { name: "a clear code in the middle", input: packed(256, 97, 256, 98, 257), want: "6162" },
  { name: "no octets", input: octets("") },
  { name: "no end code", input: packed(256, 97) },
  { name: "a code cut short", input: octets("00") },
  { name: "a phrase before there is one", input: packed(256, 258, 257) },
  { name: "the code to come right after a clear", input: packed(256, 97, 256, 258, 257) },
  { name: "a code beyond the one to come", input: packed(256, 97, 259, 257) },
];
for (const { name, input, want } of cases)
  test(`decompressLzw ${want === undefined ? "refuses" : "takes"} ${name}`, () => {
    if (want === undefined) assert.throws(() => decompressLzw(input, limit), { name: "MemberlistError", reason: "malformed" });
    else assert.equal(hex(decompressLzw(input, limit)), want);
  });

test("a bomb stops at the limit", () => {
  const bomb = compressLzw(new Uint8Array(10_000_000));
  assert.ok(bomb.length < 20_000, `${bomb.length} octets`);
  assert.throws(() => decompressLzw(bomb, 65_536), { name: "MemberlistError", reason: "tooLarge" });
  assert.equal(decompressLzw(bomb, 10_000_000).length, 10_000_000);
  assert.throws(() => decompressLzw(bomb, 9_999_999), { reason: "tooLarge" });
});

test("a full dictionary without a clear code is read on, as peers do", () => {
  const pairs = Array.from({ length: 2500 }, () => [97, 98]).flat();
  assert.equal(Buffer.from(decompressLzw(packed(...pairs, 257), limit)).toString(), "ab".repeat(2500));
});
