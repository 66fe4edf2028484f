import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fnv1a } from "#pkg/text";
import { decodeTraits, encodeTraits, labelHash, maxToldLabels, type Traits, toldLabel } from "./traits-codec.ts";

const labels = fc
  .dictionary(fc.string(), fc.string(), { maxKeys: maxToldLabels })
  .map((all) => new Map(Object.entries(all).map(([label, value]) => [labelHash(label), fnv1a(value)])));
const traits: fc.Arbitrary<Traits> = fc.record({
  exists: fc.boolean(),
  isOutOfService: fc.boolean(),
  isCordoned: fc.boolean(),
  isNotReady: fc.boolean(),
  isWithoutNetwork: fc.boolean(),
  labels,
});

test("property: decoding undoes encoding, and it fits into an entry", () => {
  fc.assert(
    fc.property(traits, (one) => {
      const value = encodeTraits(one);
      assert.ok(value !== undefined && value.length <= 600);
      const told = decodeTraits(value) ?? assert.fail();
      const labels = new Map([...one.labels.keys(), 0.5].map((label) => [label, toldLabel(told, label)]));
      assert.deepEqual({ ...told, labels }, { ...one, labels: new Map([...one.labels, [0.5, undefined]]) });
    }),
  );
});

test("property: arbitrary octets raise nothing", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100, size: "max" }), (octets) => void decodeTraits(octets)));
});

test("the same labels in another order are the same octets, so that nothing is broadcast", () => {
  const of = (...names: string[]) =>
    encodeTraits({
      exists: true,
      isOutOfService: false,
      isCordoned: false,
      isNotReady: false,
      isWithoutNetwork: false,
      labels: new Map(names.map((name) => [labelHash(name), 1])),
    });
  assert.deepEqual(of("a", "b", "c"), of("c", "a", "b"));
});

const untainted = { exists: true, isOutOfService: false, isCordoned: false, isNotReady: false, isWithoutNetwork: false };

test("a node with more labels than fit tells none", () => {
  const many = new Map(Array.from({ length: maxToldLabels + 1 }, (_, i) => [i, i]));
  assert.equal(encodeTraits({ ...untainted, labels: many }), undefined);
});

const good = encodeTraits({ ...untainted, isNotReady: true, labels: new Map([[7, 8]]) }) ?? new Uint8Array();
for (const [name, value] of [
  ["of another version", good.with(0, 2)],
  ["cut short", good.slice(0, -1)],
  ["of one octet", good.slice(0, 1)],
  ["that is empty", new Uint8Array()],
] as const)
  test(`decodeTraits refuses a value ${name}`, () => assert.equal(decodeTraits(value), undefined));
