import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { slow } from "#pkg/clock/testing";
import { anyStreamMessage } from "../testing/arbitraries.ts";
import { compressLzw, encodeCompressed } from "../testing/compress.ts";
import { anyKeyring, framed, keyring, nonce } from "../testing/keyrings.ts";
import { octets, vector } from "../testing/vectors.ts";
import { writeMap } from "../testing/write-map.ts";
import { Keyring } from "./keyring.ts";
import { Writer } from "./memberlist-error.ts";
import { encodeStream, maxFrameLength, maxStreamLength, StreamDecoder, type StreamResult } from "./stream.ts";
import { encodePushPullHeader, encodeStreamMessage } from "./stream-message.ts";

const otherKeyring = new Keyring([Buffer.alloc(16, 9)]);
const ack = octets(vector("ack/nil-payload").hex);

/** Feeds a decoder with a stream in pieces, and then ends it. */
function feed(stream: Uint8Array, by = keyring, piece = stream.length || 1): StreamResult | undefined {
  const decoder = new StreamDecoder(by);
  for (let at = 0; at < stream.length; at += piece) {
    const result = decoder.push(stream.subarray(at, at + piece));
    if (result !== undefined) {
      assert.equal(decoder.push(ack), undefined, "what follows a result is ignored");
      assert.equal(decoder.end(), undefined);
      return result;
    }
  }
  return decoder.end();
}

/** The message's type, or the problem's reason and whether a listener answers. */
function outcome(stream: Uint8Array, by = keyring): string {
  const result = feed(stream, by);
  assert.ok(result);
  if (result.type === "message") return [result.message.type, ...result.problems.map(({ reason }) => reason)].join(" ");
  return `${result.error.reason}, ${result.answer ? "answered" : "closed"}`;
}

test("property: decoding undoes encoding, in pieces of any size", () => {
  fc.assert(
    fc.property(anyStreamMessage, anyKeyring, fc.integer({ min: 1, max: 3000 }), (message, keyring, piece) => {
      assert.deepEqual(feed(encodeStream(message, keyring, nonce), keyring, piece), {
        type: "message",
        message,
        problems: [],
      });
    }),
  );
});

test("property: octets behind the message are ignored", () => {
  fc.assert(
    fc.property(anyStreamMessage, anyKeyring, fc.uint8Array({ maxLength: 50, size: "max" }), (message, keyring, more) => {
      const stream = Buffer.concat([encodeStream(message, keyring, nonce), more]);
      assert.deepEqual(feed(stream, keyring), { type: "message", message, problems: [] });
    }),
  );
});

test("property: a message that is cut short anywhere is an error at the end, not before", () => {
  fc.assert(
    fc.property(anyStreamMessage, anyKeyring, fc.nat(), (message, keyring, cut) => {
      const stream = encodeStream(message, keyring, nonce);
      const decoder = new StreamDecoder(keyring);
      assert.equal(decoder.push(stream.subarray(0, cut % stream.length)), undefined);
      assert.equal(decoder.end()?.type, "error");
    }),
  );
});

const damaged = fc
  .tuple(anyStreamMessage, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([message, changes, compress]) => {
    const plain = encodeStreamMessage(message);
    const stream = compress ? encodeCompressed(plain) : plain;
    for (const [at, octet] of changes) stream[at % stream.length] = octet;
    return stream;
  });

test("property: arbitrary and damaged octets give one result, the same in pieces of any size", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 100, size: "max" }), damaged),
      fc.integer({ min: 1, max: 40 }),
      (stream, piece) => {
        const withoutText = (result: StreamResult | undefined) =>
          result?.type === "error" ? { answer: result.answer, reason: result.error.reason } : result;
        for (const octets of [stream, framed(stream)]) {
          const whole = feed(octets);
          assert.ok(whole);
          assert.deepEqual(withoutText(feed(octets, keyring, piece)), withoutText(whole));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test("property: a message that a peer compressed is the same message", () => {
  fc.assert(
    fc.property(anyStreamMessage, anyKeyring, fc.integer({ min: 1, max: 3000 }), (message, keyring, piece) => {
      const compressed = encodeCompressed(encodeStreamMessage(message));
      assert.deepEqual(feed(framed(compressed, keyring), keyring, piece), { type: "message", message, problems: [] });
    }),
  );
});

function header(nodes: number, userStateLength = 0): Uint8Array {
  return encodePushPullHeader({ join: true, nodes, userStateLength });
}

function withFields(type: number, fields: Parameters<typeof writeMap>[1]): Uint8Array {
  const writer = new Writer().u8(type);
  writeMap(writer, fields);
  return writer.finish();
}

const emptyCompressed = withFields(9, { Algo: 0, Buf: compressLzw(new Uint8Array()) });
const cutShort = octets(vector("pushpull/full").hex).subarray(0, 100);

// A listener that cannot read a stream answers while the wrapping is at fault, and just closes afterwards.
const cases: { name: string; stream: Uint8Array; by?: Keyring; want: string }[] = [
  { name: "no octet", stream: octets(""), want: "malformed, closed" },
  { name: "a label", stream: octets("f404626c7565"), want: "label, closed" },
  { name: "a label that is cut short", stream: octets("f404626c"), want: "malformed, closed" },
  { name: "an empty label", stream: octets("f400"), want: "malformed, closed" },
  { name: "plaintext", stream: ack, want: "plaintext, answered" },
  { name: "a compressed message in plaintext", stream: encodeCompressed(ack), want: "plaintext, answered" },
  { name: "a frame of another key", stream: framed(ack), by: otherKeyring, want: "wrongKey, answered" },
  { name: "a frame of a version to come", stream: octets("0a 00000001 02"), want: "unknownVersion, answered" },
  { name: "a frame too short to be sealed", stream: octets("0a 00000001 01"), want: "malformed, answered" },
  { name: "a frame of no octets", stream: octets("0a 00000000"), want: "malformed, answered" },
  { name: "a frame with nothing inside", stream: framed(octets("")), want: "malformed, answered" },
  { name: "a frame that is cut short", stream: framed(ack).subarray(0, 30), want: "malformed, answered" },
];
for (const { name, stream, by, want } of cases)
  test(`StreamDecoder: ${name} is ${want}`, () => assert.equal(outcome(stream, by), want));

const contents: { name: string; inside: Uint8Array; want: string }[] = [
  { name: "a frame", inside: framed(ack), want: "unsupported, closed" },
  { name: "a compressed frame", inside: encodeCompressed(framed(ack)), want: "unsupported, closed" },
  { name: "a compressed message", inside: encodeCompressed(ack), want: "ack" },
  { name: "compress of nothing", inside: emptyCompressed, want: "malformed, answered" },
  { name: "what is compressed twice", inside: encodeCompressed(encodeCompressed(ack)), want: "unsupported, closed" },
  { name: "another algorithm", inside: withFields(9, { Algo: 1, Buf: compressLzw(ack) }), want: "unsupported, answered" },
  { name: "a compressed message that is cut short", inside: encodeCompressed(cutShort), want: "malformed, closed" },
  { name: "a message that is cut short", inside: cutShort, want: "malformed, closed" },
  { name: "a packet's message", inside: octets(vector("suspect").hex), want: "unsupported, closed" },
  { name: "a compound", inside: octets(vector("compound").hex), want: "unsupported, closed" },
  { name: "a type to come", inside: octets("0e"), want: "unsupported, closed" },
  { name: "an array instead of a header", inside: octets("06 90"), want: "malformed, closed" },
  { name: "an octet that begins nothing", inside: octets("06 c1"), want: "malformed, closed" },
  { name: "more states than anybody has", inside: header(1_048_577), want: "malformed, closed" },
  { name: "a user state above 20 MiB", inside: header(0, 20_971_521), want: "malformed, closed" },
  { name: "a user state of negative length", inside: octets("06 81 ac5573657253746174654c656e ff"), want: "malformed, closed" },
  { name: "a user message", inside: octets(vector("user/stream").hex), want: "unsupported, closed" },
  { name: "an exchange of nothing", inside: header(0), want: "pushPull" },
  { name: "a text of 4 GiB", inside: octets("0d 81 a54572726f72 dbffffffff"), want: "malformed, closed" },
  { name: "a buffer of 4 GiB", inside: octets("09 81 a3427566 dbffffffff"), want: "malformed, answered" },
  { name: "a map of 4 billion fields, nested", inside: octets(`00 ${"dfffffffff".repeat(50)}`), want: "malformed, closed" },
];
for (const { name, inside, want } of contents)
  test(`StreamDecoder: ${name} in a frame is ${want}`, () => assert.equal(outcome(framed(inside)), want));

test("StreamDecoder: a bomb stops at the limit", slow, () => {
  assert.equal(outcome(framed(encodeCompressed(new Uint8Array(maxStreamLength + 1)))), "tooLarge, answered");
});

test("a frame may have 20 MiB, and is refused by its header above that", () => {
  const decoder = new StreamDecoder(keyring);
  assert.equal(decoder.push(new Writer().u8(10).u32(maxFrameLength).finish()), undefined);
  assert.equal(
    outcome(
      new Writer()
        .u8(10)
        .u32(maxFrameLength + 1)
        .finish(),
    ),
    "tooLarge, answered",
  );
});

const good = {
  Addr: octets("c0000201"),
  Incarnation: 1,
  Meta: undefined,
  Name: "a",
  Port: 7946,
  State: 0,
  Vsn: octets("010502000000"),
};
const states: { name: string; state: Parameters<typeof writeMap>[1]; want: string }[] = [
  { name: "without name", state: { ...good, Name: "" }, want: "pushPull malformed" },
  { name: "without address", state: { ...good, Addr: undefined }, want: "pushPull malformed" },
  { name: "with an address of 3 octets", state: { ...good, Addr: octets("c00002") }, want: "pushPull malformed" },
  { name: "in a state to come", state: { ...good, State: 4 }, want: "pushPull malformed" },
  { name: "with 5 versions", state: { ...good, Vsn: octets("0105020000") }, want: "malformed, closed" },
  { name: "without versions", state: { ...good, Vsn: undefined }, want: "malformed, closed" },
  { name: "with a port above 16 bits", state: { ...good, Port: 65_536 }, want: "malformed, closed" },
];
for (const { name, state, want } of states)
  test(`an exchange with a state ${name} is ${want}`, () => {
    const writer = new Writer().put(header(2));
    for (const one of [state, good]) writeMap(writer, one);
    const stream = framed(writer.finish());
    assert.equal(outcome(stream), want);
    const result = feed(stream);
    if (result?.type === "message" && result.message.type === "pushPull")
      assert.deepEqual(
        result.message.states.map(({ node }) => node),
        ["a"],
        "the other state is kept",
      );
  });

test("the text of an error is kept up to a length", () => {
  const stream = encodeStreamMessage({ type: "error", message: "x".repeat(5000) });
  const result = feed(framed(stream));
  assert.ok(result?.type === "message" && result.message.type === "error");
  assert.equal(result.message.message, "x".repeat(1024));
});

test("what was decoded does not keep the stream", () => {
  const stream = framed(octets(vector("pushpull/user-state").hex));
  const decoder = new StreamDecoder(keyring);
  const result = decoder.push(stream);
  assert.ok(result?.type === "message" && result.message.type === "pushPull");
  const [state] = result.message.states;
  assert.equal(state?.endpoint.address.buffer.byteLength, 4);
  assert.equal(result.message.userState.buffer.byteLength, 5);
});
