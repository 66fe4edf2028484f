import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyStreamMessage } from "../testing/arbitraries.ts";
import { octets, vector } from "../testing/vectors.ts";
import { anyWire, key, nonce } from "../testing/wires.ts";
import { Keyring } from "./keyring.ts";
import { compressLzw } from "./lzw.ts";
import { Writer } from "./memberlist-error.ts";
import type { StreamMessage } from "./messages.ts";
import { writeMap } from "./msgpack.ts";
import { encodeStream, maxFrameLength, maxStreamLength, StreamDecoder, type StreamEnd, type StreamResult } from "./stream.ts";
import { encodePushPullHeader, encodeStreamMessage } from "./stream-message.ts";
import { defaultWire, type Wire } from "./wire.ts";
import { encodeCompressed } from "./wrappers.ts";

const plain = { ...defaultWire, compress: false };
const keyring = new Keyring([key]);
const sealed = { ...defaultWire, keyring };
const otherKey = { ...defaultWire, keyring: new Keyring([Buffer.alloc(16, 9)]) };
const labelled = { ...plain, label: Buffer.from("blue") };
const ack = octets(vector("ack/nil-payload").hex);
const ackMessage: StreamMessage = { type: "ack", sequence: 42, payload: undefined };

/** Feeds a decoder with a stream in pieces, and then ends it. */
function feed(stream: Uint8Array, wire: Wire, from: StreamEnd, piece = stream.length || 1): StreamResult | undefined {
  const decoder = new StreamDecoder(wire, from);
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
function outcome(stream: Uint8Array, wire: Wire = defaultWire, from: StreamEnd = "dialler"): string {
  const result = feed(stream, wire, from);
  assert.ok(result);
  if (result.type === "message") return [result.message.type, ...result.problems.map(({ reason }) => reason)].join(" ");
  return `${result.error.reason}, ${result.answer ? "answered" : "closed"}`;
}

const anyEnd = fc.constantFrom<StreamEnd>("dialler", "listener");

test("property: decoding undoes encoding, whatever the ring's settings and in pieces of any size", () => {
  fc.assert(
    fc.property(anyStreamMessage, anyWire, anyEnd, fc.integer({ min: 1, max: 3000 }), (message, wire, from, piece) => {
      assert.deepEqual(feed(encodeStream(message, wire, { from, nonce }), wire, from, piece), {
        type: "message",
        message,
        problems: [],
      });
    }),
  );
});

test("property: octets behind the message are ignored", () => {
  fc.assert(
    fc.property(anyStreamMessage, anyWire, fc.uint8Array({ maxLength: 50, size: "max" }), (message, wire, more) => {
      const stream = Buffer.concat([encodeStream(message, wire, { from: "dialler", nonce }), more]);
      assert.deepEqual(feed(stream, wire, "dialler"), { type: "message", message, problems: [] });
    }),
  );
});

test("property: a message that is cut short anywhere is an error at the end, not before", () => {
  fc.assert(
    fc.property(anyStreamMessage, anyWire, fc.nat(), (message, wire, cut) => {
      const stream = encodeStream(message, wire, { from: "dialler", nonce });
      const decoder = new StreamDecoder(wire, "dialler");
      assert.equal(decoder.push(stream.subarray(0, cut % stream.length)), undefined);
      assert.equal(decoder.end()?.type, "error");
    }),
  );
});

const damaged = fc
  .tuple(anyStreamMessage, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([message, changes, compress]) => {
    const stream = encodeStream(message, { ...plain, compress }, { from: "listener", nonce });
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
        const whole = feed(stream, plain, "dialler");
        assert.ok(whole);
        assert.deepEqual(withoutText(feed(stream, plain, "dialler", piece)), withoutText(whole));
      },
    ),
    { numRuns: 2000 },
  );
});

test("only the dialler says the label, and both authenticate it", () => {
  const wire = { ...sealed, label: Buffer.from("blue") };
  const reply = encodeStream(ackMessage, wire, { from: "listener", nonce });
  assert.equal(reply[0], 10);
  assert.equal(outcome(reply, wire, "listener"), "ack");
  assert.equal(outcome(reply, sealed, "listener"), "wrongKey, answered");
  assert.equal(outcome(reply, wire, "dialler"), "label, closed");
});

test("a stream is compressed even if that is longer", () => {
  assert.deepEqual(encodeStream(ackMessage, defaultWire, { from: "listener", nonce }), octets(vector("compress/ack").hex));
});

function header(nodes: number, userStateLength = 0): Uint8Array {
  return encodePushPullHeader({ join: true, nodes, userStateLength });
}

function framed(inside: Uint8Array): Uint8Array {
  const head = new Writer()
    .u8(10)
    .u32(inside.length + 29)
    .finish();
  return Buffer.concat([head, keyring.seal(inside, 1, nonce, head)]);
}

function withFields(type: number, fields: Parameters<typeof writeMap>[1]): Uint8Array {
  const writer = new Writer().u8(type);
  writeMap(writer, fields);
  return writer.finish();
}

const emptyCompressed = withFields(9, { Algo: 0, Buf: compressLzw(new Uint8Array()) });
const cutShort = octets(vector("pushpull/full").hex).subarray(0, 100);

// A listener that cannot read a stream answers while the wrapping is at fault, and just closes afterwards.
const cases: { name: string; stream: Uint8Array; wire?: Wire; want: string }[] = [
  { name: "no octet", stream: octets(""), want: "malformed, closed" },
  { name: "a label and no more", stream: octets("f404626c7565"), wire: labelled, want: "malformed, closed" },
  { name: "no label where one is expected", stream: ack, wire: labelled, want: "label, closed" },
  { name: "a label where none is expected", stream: octets("f404626c756502"), want: "label, closed" },
  { name: "another label", stream: octets("f403726564"), wire: labelled, want: "label, closed" },
  { name: "an empty label", stream: octets("f400"), wire: labelled, want: "malformed, closed" },
  { name: "plaintext where keys are wanted", stream: ack, wire: sealed, want: "plaintext, answered" },
  { name: "plaintext where keys are being introduced", stream: ack, wire: { ...sealed, verifyIncoming: false }, want: "ack" },
  { name: "a frame where there is no key", stream: framed(ack), want: "encrypted, answered" },
  { name: "a frame of another key", stream: framed(ack), wire: otherKey, want: "wrongKey, answered" },
  { name: "a frame of a version to come", stream: octets("0a 00000001 02"), wire: sealed, want: "unknownVersion, answered" },
  { name: "a frame too short to be sealed", stream: octets("0a 00000001 01"), wire: sealed, want: "malformed, answered" },
  { name: "a frame of no octets", stream: octets("0a 00000000"), wire: sealed, want: "malformed, answered" },
  { name: "a frame with nothing inside", stream: framed(octets("")), wire: sealed, want: "malformed, answered" },
  { name: "a frame that is cut short", stream: framed(ack).subarray(0, 30), wire: sealed, want: "malformed, answered" },
  { name: "a frame in a frame", stream: framed(framed(ack)), wire: sealed, want: "unsupported, closed" },
  { name: "a frame in a compressed message", stream: encodeCompressed(framed(ack)), want: "unsupported, closed" },
  { name: "a compressed message in a frame", stream: framed(encodeCompressed(ack)), wire: sealed, want: "ack" },
  { name: "compress of nothing", stream: emptyCompressed, want: "malformed, answered" },
  { name: "compress of nothing in a frame", stream: framed(emptyCompressed), wire: sealed, want: "malformed, answered" },
  { name: "compressed twice", stream: encodeCompressed(encodeCompressed(ack)), want: "unsupported, closed" },
  { name: "another algorithm", stream: withFields(9, { Algo: 1, Buf: compressLzw(ack) }), want: "unsupported, answered" },
  { name: "a compressed message that is cut short inside", stream: encodeCompressed(cutShort), want: "malformed, closed" },
  { name: "a message in a frame that is cut short", stream: framed(cutShort), wire: sealed, want: "malformed, closed" },
  { name: "a message that is cut short", stream: cutShort, want: "malformed, closed" },
  { name: "a packet's message", stream: octets(vector("suspect").hex), want: "unsupported, closed" },
  { name: "a compound", stream: octets(vector("compound").hex), want: "unsupported, closed" },
  { name: "a type to come", stream: octets("0e"), want: "unsupported, closed" },
  { name: "an array instead of a header", stream: octets("06 90"), want: "malformed, closed" },
  { name: "an octet that begins nothing", stream: octets("06 c1"), want: "malformed, closed" },
  { name: "more states than anybody has", stream: header(1_048_577), want: "malformed, closed" },
  { name: "a user state above 20 MiB", stream: header(0, 20_971_521), want: "malformed, closed" },
  { name: "a user state of negative length", stream: octets("06 81 ac5573657253746174654c656e ff"), want: "malformed, closed" },
  { name: "a user message above 20 MiB", stream: withFields(8, { UserMsgLen: 20_971_521 }), want: "malformed, closed" },
  { name: "a user message of negative length", stream: octets("08 81 aa557365724d73674c656e ff"), want: "malformed, closed" },
  { name: "a user message of no length", stream: withFields(8, { UserMsgLen: 0 }), want: "user" },
  { name: "an exchange of nothing", stream: header(0), want: "pushPull" },
  { name: "a text of 4 GiB", stream: octets("0d 81 a54572726f72 dbffffffff"), want: "tooLarge, closed" },
  { name: "a buffer of 4 GiB", stream: octets("09 81 a3427566 dbffffffff"), want: "tooLarge, answered" },
  { name: "a map of 4 billion fields, nested", stream: octets(`00 ${"dfffffffff".repeat(50)}`), want: "malformed, closed" },
];
for (const { name, stream, wire = plain, want } of cases)
  test(`StreamDecoder: ${name} is ${want}`, () => assert.equal(outcome(stream, wire), want));

const bombs: { name: string; stream: Uint8Array; wire: Wire }[] = [
  { name: "in plaintext", stream: encodeCompressed(new Uint8Array(maxStreamLength + 1)), wire: plain },
  { name: "in a frame", stream: framed(encodeCompressed(new Uint8Array(maxStreamLength + 1))), wire: sealed },
];
for (const { name, stream, wire } of bombs)
  test(`StreamDecoder: a bomb ${name} stops at the limit`, () => assert.equal(outcome(stream, wire), "tooLarge, answered"));

test("a frame may have 20 MiB, and is refused by its header above that", () => {
  const decoder = new StreamDecoder(sealed, "dialler");
  assert.equal(decoder.push(new Writer().u8(10).u32(maxFrameLength).finish()), undefined);
  assert.equal(
    outcome(
      new Writer()
        .u8(10)
        .u32(maxFrameLength + 1)
        .finish(),
      sealed,
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
    const stream = writer.finish();
    assert.equal(outcome(stream, plain), want);
    const result = feed(stream, plain, "dialler");
    if (result?.type === "message" && result.message.type === "pushPull")
      assert.deepEqual(
        result.message.states.map(({ node }) => node),
        ["a"],
        "the other state is kept",
      );
  });

test("the text of an error is kept up to a length", () => {
  const stream = encodeStreamMessage({ type: "error", message: "x".repeat(5000) });
  const result = feed(stream, plain, "listener");
  assert.ok(result?.type === "message" && result.message.type === "error");
  assert.equal(result.message.message, "x".repeat(1024));
});

test("what was decoded does not keep the stream", () => {
  const stream = octets(vector("pushpull/user-state").hex);
  const decoder = new StreamDecoder(plain, "dialler");
  const result = decoder.push(stream);
  assert.ok(result?.type === "message" && result.message.type === "pushPull");
  const [state] = result.message.states;
  assert.equal(state?.endpoint.address.buffer.byteLength, 4);
  assert.equal(result.message.userState.buffer.byteLength, 5);
});
