import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyText } from "#pkg/text/testing";
import { decodeDigest, decodeHeartbeat, encodeDigest, encodeHeartbeat } from "./heartbeat.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";
import { nodeName } from "./messages.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

test("property: decoding undoes encoding, by way of the packet's message too", () => {
  fc.assert(
    fc.property(anyText({ minLength: 1 }).map(nodeName), u32, u32, u32, (node, life, count, digest) => {
      const message = decodeMessage(encodeMessage(encodeHeartbeat({ node, life, count, digest })));
      assert.ok(message.type === "ack");
      assert.deepEqual(decodeHeartbeat(message), { node, life, count, digest });
    }),
  );
});

test("property: arbitrary octets in an ack are a heartbeat or none, and raise nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 512, size: "max" }), (payload) => {
      const heartbeat = decodeHeartbeat({ type: "ack", sequence: 0, payload });
      assert.equal(heartbeat !== undefined, payload.length > 13 && payload[0] === 1);
    }),
  );
});

test("property: a digest is told by five octets, and arbitrary octets are one or none, and raise nothing", () => {
  fc.assert(fc.property(u32, (digest) => assert.equal(decodeDigest(encodeDigest(digest)), digest)));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 16, size: "max" }), (payload) => {
      assert.equal(decodeDigest(payload) !== undefined, payload.length === 5 && payload[0] === 1);
    }),
  );
});

const payload = Uint8Array.from(encodeHeartbeat({ node: "a", life: 1, count: 2, digest: 3 }).payload ?? []);
for (const [name, ack] of [
  ["the answer to a ping", { sequence: 1, payload }],
  ["without payload", { sequence: 0, payload: undefined }],
  ["without a name", { sequence: 0, payload: payload.subarray(0, 13) }],
  ["of another version", { sequence: 0, payload: Uint8Array.of(2, ...payload.subarray(1)) }],
] as const)
  test(`an ack ${name} is no heartbeat`, () => assert.equal(decodeHeartbeat({ type: "ack", ...ack }), undefined));
