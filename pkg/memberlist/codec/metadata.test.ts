import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeMetadata, encodeMetadata, MetadataKey } from "./metadata.ts";

test("metadata begins with its format and version", () => {
  const octets = encodeMetadata(new Map([[MetadataKey.timing, Uint8Array.of(1)]]));
  assert.equal(Buffer.from(octets, "latin1").toString("hex"), "696e676f7401010101");
});

test("decoding undoes encoding", () => {
  const fields = fc.uniqueArray(fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 40, size: "max" })), {
    selector: ([key]) => key,
    maxLength: 10,
  });
  fc.assert(
    fc.property(fields, (entries) => assert.deepEqual(decodeMetadata(encodeMetadata(new Map(entries))), new Map(entries))),
  );
});

test("any octets are fields or none", () => {
  const prefixed = fc
    .uint8Array({ maxLength: 512, size: "max" })
    .map((octets) => Uint8Array.of(...Buffer.from(encodeMetadata(new Map()), "latin1"), ...octets));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 512, size: "max" }), prefixed), (octets) => {
      const fields = decodeMetadata(Buffer.from(octets).toString("latin1"));
      assert.ok(fields === undefined || [...fields.values()].every((value) => value.length <= 255));
    }),
  );
});

for (const [name, hex] of [
  ["nothing", ""],
  ["another text", "7365726630000000"],
  ["another version", "696e676f7402010101"],
  ["a key without length", "696e676f740101"],
  ["a value cut short", "696e676f7401010201"],
] as const) {
  test(`${name} is no metadata of ours`, () =>
    assert.equal(decodeMetadata(Buffer.from(hex, "hex").toString("latin1")), undefined));
}

test("of a repeated key the last value counts", () => {
  assert.deepEqual(decodeMetadata("ingot\x01\x07\x01\xaa\x07\x01\xbb"), new Map([[7, Uint8Array.of(0xbb)]]));
});

for (const [name, fields] of [
  ["key above 255", [[256, 0]]],
  ["key below 0", [[-1, 0]]],
  ["value of 256 octets", [[1, 256]]],
  [
    "total of 513 octets",
    [
      [1, 255],
      [2, 248],
    ],
  ], // 6, and 2 for each value.
] as const) {
  test(`a ${name} is refused`, () => {
    assert.throws(() => encodeMetadata(new Map(fields.map(([key, length]) => [key, new Uint8Array(length)]))), RangeError);
  });
}

test("512 octets fit", () => {
  assert.equal(
    encodeMetadata(
      new Map([
        [1, new Uint8Array(255)],
        [2, new Uint8Array(247)],
      ]),
    ).length,
    512,
  );
});
