import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { maxUserOctets } from "#pkg/memberlist";
import { decodeNotices, encodeNotices, type Notice } from "./notice-codec.ts";

const octets = (max: number, min = 0) => fc.uint8Array({ minLength: min, maxLength: max });
const notice: fc.Arbitrary<Notice> = fc.record(
  {
    writer: fc.stringMatching(/^[a-z0-9.-]{1,60}$/),
    key: octets(32, 1).map((key) => Buffer.from(key).toString("latin1")),
    version: fc.nat({ max: 0xffff_ffff }),
    value: octets(600),
  },
  { noNullPrototype: true },
);

test("notices: decoding undoes encoding, writer by writer", () => {
  fc.assert(
    fc.property(fc.array(notice, { maxLength: 20 }), (notices) => {
      const byWriter = [...Map.groupBy(notices, ({ writer }) => writer).values()].flat();
      assert.deepEqual(decodeNotices(encodeNotices(notices)), byWriter);
    }),
  );
});

test("notices: arbitrary octets, also behind the prefix, are notices or nothing", () => {
  const prefix = [...encodeNotices([])];
  fc.assert(
    fc.property(octets(200), (some) => {
      for (const input of [some, Uint8Array.from([...prefix, ...some])]) {
        const decoded = decodeNotices(input);
        if (decoded !== undefined) assert.doesNotThrow(() => encodeNotices(decoded));
      }
    }),
  );
});

test("notices: what is cut short, or is another's message, is nothing", () => {
  const whole = encodeNotices([{ writer: "node1", key: "k", version: 7, value: Uint8Array.of(1, 2, 3) }]);
  assert.equal(Buffer.from(whole).toString("hex"), "696e676f7401 056e6f646531 0001 016b 00000007 0003010203".replaceAll(" ", ""));
  for (let length = 0; length < whole.length; length++)
    assert.deepEqual(decodeNotices(whole.subarray(0, length)), length === 6 ? [] : undefined, `${length} octets`);
  assert.equal(decodeNotices(Buffer.from("serf")), undefined);
  const nobody = Uint8Array.from(whole);
  nobody[7] = 0xff;
  assert.equal(decodeNotices(nobody), undefined, "a name that is no UTF-8");
});

test("notices: the longest fits into a user message, and a longer one is refused", () => {
  const longest = { writer: "n".repeat(253), key: "k".repeat(32), version: 0xffff_ffff, value: new Uint8Array(600) };
  assert.ok(encodeNotices([longest]).length <= maxUserOctets);
  for (const change of [{ writer: "n".repeat(254) }, { key: "" }, { key: "k".repeat(33) }, { value: new Uint8Array(601) }])
    assert.throws(() => encodeNotices([{ ...longest, ...change }]), RangeError);
});
