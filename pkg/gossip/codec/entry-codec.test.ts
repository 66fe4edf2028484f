import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { maxUserBytes } from "#pkg/memberlist";
import { decodeEntries, decodeOffer, encodeEntries, encodeOffer, type GossipEntry } from "./entry-codec.ts";

const octets = (max: number, min = 0) => fc.uint8Array({ minLength: min, maxLength: max, size: "max" });
const entry: fc.Arbitrary<GossipEntry> = fc.record(
  {
    node: fc.stringMatching(/^[a-z0-9.-]{1,60}$/),
    life: fc.constant(1_700_000_000_000),
    key: octets(32, 1).map((key) => Buffer.from(key).toString("latin1")),
    version: fc.nat({ max: 0xffff_ffff }),
    value: octets(600),
  },
  { noNullPrototype: true },
);

test("entries: decoding undoes encoding, node by node", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
      const byNode = [...Map.groupBy(entries, ({ node }) => node).values()].flat();
      assert.deepEqual(decodeEntries(encodeEntries(entries)), byNode);
    }),
  );
});

test("entries of two lives of a node keep theirs", () => {
  const lives = [1, 2].map((life) => ({ node: "node1", life, key: "k", version: life, value: Uint8Array.of(life) }));
  assert.deepEqual(decodeEntries(encodeEntries(lives)), lives);
});

test("entries: arbitrary octets, also behind the prefix, are entries or nothing", () => {
  const prefix = [...encodeEntries([])];
  fc.assert(
    fc.property(octets(200), (some) => {
      for (const input of [some, Uint8Array.from([...prefix, ...some])]) {
        const decoded = decodeEntries(input);
        if (decoded !== undefined) assert.doesNotThrow(() => encodeEntries(decoded));
      }
    }),
  );
});

test("entries: what is cut short, or is another's message, is nothing", () => {
  const whole = encodeEntries([{ node: "node1", life: 0x0102_0304_0506, key: "k", version: 7, value: Uint8Array.of(1, 2, 3) }]);
  assert.equal(
    Buffer.from(whole).toString("hex"),
    "696e676f7402 056e6f646531 010203040506 0001 016b 00000007 0003010203".replaceAll(" ", ""),
  );
  for (let length = 0; length < whole.length; length++)
    assert.deepEqual(decodeEntries(whole.subarray(0, length)), length === 6 ? [] : undefined, `${length} octets`);
  assert.equal(decodeEntries(Buffer.from("serf")), undefined);
  const nobody = Uint8Array.from(whole);
  nobody[7] = 0xff;
  assert.equal(decodeEntries(nobody), undefined, "a name that is no UTF-8");
});

test("entries: the longest fits into a user message, and a longer one is refused", () => {
  const longest = {
    node: "n".repeat(253),
    life: 2 ** 48 - 1,
    key: "k".repeat(32),
    version: 0xffff_ffff,
    value: new Uint8Array(600),
  };
  assert.ok(encodeEntries([longest]).length <= maxUserBytes);
  for (const change of [
    { node: "n".repeat(254) },
    { life: 2 ** 48 },
    { key: "" },
    { key: "k".repeat(33) },
    { value: new Uint8Array(601) },
  ])
    assert.throws(() => encodeEntries([{ ...longest, ...change }]), RangeError);
});

test("an offer of gossip holds the life of a member, and is none of an older version", () => {
  assert.equal(Buffer.from(encodeOffer(0x0102_0304_0506)).toString("hex"), "02010203040506");
  assert.equal(decodeOffer(encodeOffer(1_700_000_000_000)), 1_700_000_000_000);
  for (const none of [
    undefined,
    Uint8Array.of(),
    Uint8Array.of(1),
    Uint8Array.of(2, 0, 0, 0, 0, 1),
    Uint8Array.of(1, 0, 0, 0, 0, 0, 1),
  ])
    assert.equal(decodeOffer(none), undefined);
});
