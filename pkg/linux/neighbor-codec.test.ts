import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeNeighbor, encodeNeighborRequest } from "./neighbor-codec.ts";

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));

test("a request names the interface and the address", () => {
  // What `ip neigh get 10.0.0.2 dev eth0` sends, as strace shows it, with another number.
  const want = "24000000 1e00 0100 07000000 00000000 02000000 03000000 0000 00 00 08000100 0a000002";
  assert.deepEqual(encodeNeighborRequest(3, Uint8Array.of(10, 0, 0, 2), 7), bytes(want));
});

const answer = "30000000 1c00 0000 07000000 00000000 02000000 03000000 0200 00 01 08000100 0a000002 0a000200 020000000002 0000";
const error = "24000000 0200 0000 07000000 00000000 feffffff 24000000 1e000100 07000000 00000000";
const cases = [
  { name: "the answer has the link-layer address", hex: answer, want: "020000000002" },
  { name: "the answer to another request is not the answer", hex: answer.replace("07000000", "08000000"), want: undefined },
  { name: "an entry that is not resolved has none", hex: answer.replace("0a000200", "0a000300"), want: undefined },
  { name: "an error is no answer", hex: error, want: undefined },
  { name: "an attribute longer than the message is refused", hex: answer.replace("0a000200", "ff000200"), want: undefined },
  { name: "an attribute shorter than its header is refused", hex: answer.replace("08000100", "00000100"), want: undefined },
  { name: "a message cut short is refused", hex: answer.slice(0, 40), want: undefined },
];
for (const { name, hex, want } of cases)
  test(`decodeNeighbor: ${name}`, () => {
    const decoded = decodeNeighbor(bytes(hex), 7);
    assert.equal(decoded && Buffer.from(decoded).toString("hex"), want);
  });

test("property: arbitrary bytes, and answers with arbitrary damage, raise nothing", () => {
  const damaged = fc.tuple(fc.nat(47), fc.nat(255)).map(([at, octet]) => bytes(answer).with(at, octet));
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), damaged), (any) => void decodeNeighbor(any, 7)));
});
