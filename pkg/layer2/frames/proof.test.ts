import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { broadcastMac } from "#pkg/net";
import { decodeProof, encodeProof, ProofType, proofFrameLength } from "./proof.ts";

const octets = fc.uint8Array({ minLength: 16, maxLength: 16 });
const mac = fc.integer({ min: 0, max: broadcastMac });
const frames = fc.record(
  {
    destination: mac,
    source: mac,
    type: fc.constantFrom(ProofType.challenge, ProofType.proof, ProofType.proofAlone),
    nonce: octets,
    address: fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.bigInt({ min: 0n, max: (1n << 128n) - 1n })),
    tag: octets,
  },
  { noNullPrototype: true },
);

test("property: decoding undoes encoding, also where something follows", () => {
  fc.assert(
    fc.property(frames, fc.uint8Array(), (frame, rest) => {
      const bytes = encodeProof(frame);
      assert.equal(bytes.length, proofFrameLength);
      const whole = new Uint8Array([...bytes, ...rest]);
      const { nonce, tag, ...decoded } = decodeProof(whole) ?? assert.fail("not decoded");
      assert.deepEqual({ ...decoded, nonce: new Uint8Array(nonce), tag: new Uint8Array(tag) }, frame);
    }),
  );
});

const good = encodeProof({ destination: 1, source: 2, type: ProofType.challenge, nonce: new Uint8Array(16), address: 3 });
const refused: { name: string; offset: number; octets: number[] }[] = [
  { name: "another EtherType", offset: 12, octets: [0x08, 0x06] },
  { name: "a VLAN tag", offset: 12, octets: [0x81, 0x00] },
  { name: "another protocol of that EtherType", offset: 14, octets: [0x69] },
  { name: "another version", offset: 18, octets: [2] },
  { name: "another type", offset: 19, octets: [4] },
  { name: "another family", offset: 20, octets: [5] },
  { name: "reserved bits", offset: 21, octets: [1] },
  { name: "an IPv4 address of more than four octets", offset: 38, octets: [1] },
];
for (const { name, offset, octets } of refused)
  test(`decodeProof refuses ${name}`, () => {
    const bytes = good.slice();
    bytes.set(octets, offset);
    assert.equal(decodeProof(bytes), undefined);
  });

test("decodeProof refuses a frame cut short at any octet, and never throws", () => {
  for (let length = 0; length < proofFrameLength; length++) assert.equal(decodeProof(good.subarray(0, length)), undefined);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 128 }), (bytes) => void decodeProof(bytes)));
});
