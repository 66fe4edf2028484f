import fc from "fast-check";

const between = (min: number, max: number) => fc.integer({ min, max }).map((point) => String.fromCodePoint(point));
/** Any code point but half of a surrogate pair. */
const codePoint = fc.oneof(between(0, 0x7f), between(0x80, 0xd7ff), between(0xe000, 0xffff), between(0x1_0000, 0x10_ffff));

/** Any text that has no half of a surrogate pair. fast-check's own unit `binary` computes for a second before its first example. */
export function anyText(length: fc.StringConstraints = {}): fc.Arbitrary<string> {
  return fc.string({ ...length, unit: codePoint });
}
