import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hex, octets } from "../testing/vectors.ts";
import { writeMap } from "../testing/write-map.ts";
import { MemberlistError, Reader, Writer } from "./memberlist-error.ts";
import { type FieldValue, readMap } from "./msgpack.ts";

const names = ["A", "B"];
const read = (octetsOfMap: string) => readMap(new Reader(octets(octetsOfMap)), names);
const malformed = { name: "MemberlistError", reason: "malformed" };

// Results of the decoders of v0.1.7 and v0.6.0; "41" is the name A, "42" the name B.
const integers: { name: string; hex: string; want?: number }[] = [
  { name: "a missing field is 0", hex: "80", want: 0 },
  { name: "nil is 0", hex: "81 a141 c0", want: 0 },
  { name: "fixint", hex: "81 a141 7f", want: 127 },
  { name: "uint 8", hex: "81 a141 ccff", want: 255 },
  { name: "uint 16 although it is small", hex: "81 a141 cd0001", want: 1 },
  { name: "uint 32", hex: "81 a141 ceffffffff", want: 0xffff_ffff },
  { name: "uint 64", hex: "81 a141 cf00000000ffffffff", want: 0xffff_ffff },
  { name: "int 8", hex: "81 a141 d07f", want: 127 },
  { name: "int 16", hex: "81 a141 d1012c", want: 300 },
  { name: "int 32", hex: "81 a141 d200009c40", want: 40_000 },
  { name: "int 64", hex: "81 a141 d30000000000000001", want: 1 },
  { name: "map 16", hex: "de0001 a141 05", want: 5 },
  { name: "map 32", hex: "df00000001 a141 05", want: 5 },
  { name: "of a repeated field the last counts", hex: "82 a141 05 a141 06", want: 6 },
  { name: "any order", hex: "82 a142 01 a141 06", want: 6 },
  { name: "a str 8 key", hex: "81 d90141 06", want: 6 },
  { name: "a bin 8 key", hex: "81 c40141 06", want: 6 },
  { name: "octets behind the map are ignored", hex: "81 a141 06 ffff", want: 6 },
  { name: "case counts in names", hex: "81 a161 06", want: 0 },
  { name: "above the maximum", hex: "81 a141 cf0000000100000000" },
  { name: "far above what a number can hold", hex: "81 a141 cfffffffffffffffff" },
  { name: "negative fixint", hex: "81 a141 ff" },
  { name: "negative int 8", hex: "81 a141 d080" },
  { name: "negative int 64", hex: "81 a141 d3ffffffffffffffff" },
  { name: "float 32", hex: "81 a141 ca00000000" },
  { name: "float 64", hex: "81 a141 cb0000000000000000" },
  { name: "an octet string", hex: "81 a141 a105" },
  { name: "a boolean", hex: "81 a141 c3" },
  { name: "0xc1", hex: "81 a141 c1" },
  { name: "a map that ends early", hex: "82 a141 05" },
  { name: "a value that ends early", hex: "81 a141 cd05" },
  { name: "more entries than there are octets", hex: "dfffffffff" },
  { name: "a key that is no octet string", hex: "81 05 05" },
  { name: "an array instead of a map", hex: "91 05" },
  { name: "nil instead of a map", hex: "c0" },
  { name: "nothing instead of a map", hex: "" },
];
for (const { name, hex, want } of integers)
  test(`an integer: ${name} is ${want === undefined ? "refused" : want}`, () => {
    if (want === undefined) assert.throws(() => read(hex).unsigned("A", 0xffff_ffff), malformed);
    else assert.equal(read(hex).unsigned("A", 0xffff_ffff), want);
  });

const strings: { name: string; hex: string; want?: string | undefined }[] = [
  { name: "missing", hex: "80", want: undefined },
  { name: "nil", hex: "81 a141 c0", want: undefined },
  { name: "empty", hex: "81 a141 a0", want: "" },
  { name: "fixraw", hex: "81 a141 a2c3ff", want: "c3ff" },
  { name: "raw 16", hex: "81 a141 da000141", want: "41" },
  { name: "raw 32", hex: "81 a141 db0000000141", want: "41" },
  { name: "str 8", hex: "81 a141 d90141", want: "41" },
  { name: "bin 8", hex: "81 a141 c40141", want: "41" },
  { name: "bin 16", hex: "81 a141 c5000141", want: "41" },
  { name: "bin 32", hex: "81 a141 c60000000141", want: "41" },
];
for (const { name, hex: octetsOfMap, want } of strings)
  test(`an octet string: ${name}`, () => {
    const found = read(octetsOfMap).octets("A");
    assert.equal(found && hex(found), want);
    assert.equal(Buffer.from(read(octetsOfMap).latin1("A"), "latin1").toString("hex"), want ?? "");
  });
const refusedStrings = [
  { name: "an integer", hex: "81 a141 05" },
  { name: "an array", hex: "81 a141 9105" },
  { name: "a length beyond the input", hex: "81 a141 dbffffffff41" },
  { name: "a length cut short", hex: "81 a141 da00" },
];
for (const { name, hex } of refusedStrings)
  test(`an octet string: ${name} is refused`, () => assert.throws(() => read(hex).octets("A"), malformed));

const booleans: { hex: string; want?: boolean }[] = [
  { hex: "80", want: false },
  { hex: "81 a141 c0", want: false },
  { hex: "81 a141 c2", want: false },
  { hex: "81 a141 c3", want: true },
  { hex: "81 a141 00", want: false },
  { hex: "81 a141 01", want: true },
  { hex: "81 a141 02" },
  { hex: "81 a141 a101" },
];
for (const { hex, want } of booleans)
  test(`a boolean: ${hex} is ${want ?? "refused"}`, () => {
    if (want === undefined) assert.throws(() => read(hex).boolean("A"), malformed);
    else assert.equal(read(hex).boolean("A"), want);
  });

test("octets that are kept are copies", () => {
  const input = octets("81 a141 a141");
  const found = readMap(new Reader(input), names).octets("A");
  input.fill(0);
  assert.deepEqual(found, octets("41"));
});

// One item each, of every form that MessagePack has.
const items = [
  ...["00", "7f", "80", "81 a141 05", "90", "92 05 c0", "a0", "a141", "c0", "c2", "c3", "c40141", "c5000141", "c60000000141"],
  ...["c7010541", "c800010541", "c9000000010541", "ca00000000", "cb0000000000000000", "cc01", "cd0001", "ce00000001"],
  ...["cf0000000000000001", "d001", "d10001", "d200000001", "d30000000000000001", "d40541", "d5054141", "d60541414141"],
  ...["d7054141414141414141", `d805${"41".repeat(16)}`, "d90141", "da000141", "db0000000141", "dc000105", "dd0000000105"],
  ...["de0001 0505", "df00000001 0505", "e0", "ff", "91".repeat(200).concat("05")],
];
for (const item of items)
  test(`an unknown field of ${item.slice(0, 24)} is passed, and refused where it is cut short`, () => {
    assert.equal(read(`82 a143 ${item} a141 06`).unsigned("A", 6), 6);
    const alone = octets(`81 a143 ${item}`);
    for (let length = 0; length < alone.length; length++)
      assert.throws(() => readMap(new Reader(alone.subarray(0, length)), names), malformed, `${length} octets`);
  });

const fieldValue: fc.Arbitrary<FieldValue> = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.boolean(),
  fc.uint8Array({ maxLength: 70_000, size: "max" }),
  fc.constant(undefined),
);

test("property: reading undoes writing", () => {
  fc.assert(
    fc.property(fieldValue, fieldValue, (a, b) => {
      const writer = new Writer();
      writeMap(writer, { A: a, B: b });
      const fields = readMap(new Reader(writer.finish()), names);
      const back = (name: string, like: FieldValue) => {
        if (typeof like === "number") return fields.unsigned(name, 0xffff_ffff);
        return typeof like === "boolean" ? fields.boolean(name) : fields.octets(name);
      };
      assert.deepEqual([back("A", a), back("B", b)], [a, b]);
    }),
    { numRuns: 50 },
  );
});

test("property: arbitrary octets raise nothing but a MemberlistError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60, size: "max" }), (input) => {
      try {
        const fields = readMap(new Reader(input), names);
        fields.octets("A");
        fields.unsigned("B", 5);
      } catch (error) {
        assert.ok(error instanceof MemberlistError);
      }
    }),
    { numRuns: 2000 },
  );
});

const unwritable: FieldValue[] = [-1, 1.5, Number.NaN, 2 ** 32, "ā"];
for (const value of unwritable)
  test(`writeMap refuses ${JSON.stringify(value)}`, () => {
    assert.throws(() => writeMap(new Writer(), { A: value }), RangeError);
  });
