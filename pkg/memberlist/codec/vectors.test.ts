import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { compressLzw, encodeCompressed } from "../testing/compress.ts";
import { framed, keyring, nonce } from "../testing/keyrings.ts";
import {
  type Decoded,
  hex,
  innermost,
  keyringOf,
  memberState,
  octets,
  packetMessage,
  packetOf,
  rawVectors,
  streamMessage,
  streamOf,
  type Vector,
  vector,
  vectorCount,
  vectors,
} from "../testing/vectors.ts";
import { type Keyring, metallbKey } from "./keyring.ts";
import { decompressLzw } from "./lzw.ts";
import { Writer } from "./memberlist-error.ts";
import { encodeMessage } from "./message-codec.ts";
import { decodePacket, encodePacket } from "./packet.ts";
import { encodeStream, StreamDecoder } from "./stream.ts";
import { encodePushPullHeader, encodeStreamMessage, writeMemberState } from "./stream-message.ts";
import { encodeChecksum, encodeCompound } from "./wrappers.ts";

// Octets that HashiCorp's own encoders made, both ways. Each group counts itself, so that none is forgotten.
let seen = 0;

const isStream = ({ type, header }: Decoded) => header !== undefined || type === "err" || type === "pushPull";

/** Rebuilds a message with its wrappers one by one, also where this code would not choose them. */
function wrap(decoded: Decoded, nonce: string | undefined, keyring?: Keyring): Uint8Array {
  const { type, parts, plain, inner, encryptionVersion } = decoded;
  if (encryptionVersion !== undefined && plain !== undefined) {
    assert.ok(keyring);
    return keyring.seal(wrap(plain, nonce, keyring), octets(nonce ?? ""));
  }
  if (type === "compound") return encodeCompound((parts ?? []).map((part) => wrap(part, nonce, keyring)));
  if (type === "compress" && plain !== undefined) return encodeCompressed(wrap(plain, nonce, keyring));
  if (type === "hasCrc" && inner !== undefined) return encodeChecksum(wrap(inner, nonce, keyring));
  return isStream(decoded) ? encodeStreamMessage(streamMessage(decoded)) : encodeMessage(packetMessage(decoded));
}

const messages = vectors(
  "ping/",
  "indirect-ping/",
  "ack/",
  "nack",
  "err",
  "suspect",
  "dead",
  "alive",
  "user/packet",
  "compound",
  "crc/",
);
/** Peers that speak protocol 1 send it, and we never do. */
const isOld = ({ decoded }: Vector) => decoded.encryptionVersion === 0;
const wrapped = vectors("compress/", "encrypt/packet", "metallb/");
const exchanges = vectors("pushpull/full", "pushpull/user-state");
for (const one of [...messages, ...wrapped, ...exchanges]) {
  seen += 1;
  const keyring = keyringOf(one);
  const contents = innermost(one.decoded);
  if (!isOld(one))
    test(`${one.name}: the values encode to the octets of peers`, () => {
      assert.equal(hex(wrap(one.decoded, one.nonce, keyring)), one.hex);
    });
  test(`${one.name}: the octets of peers decode to the values`, () => {
    if (contents.some(isStream)) {
      const want = contents.map((message) => ({ type: "message", message: streamMessage(message), problems: [] }));
      assert.deepEqual([new StreamDecoder(keyring).push(streamOf(one))], want);
    } else assert.deepEqual(decodePacket(packetOf(one), keyring), { messages: contents.map(packetMessage), problems: [] });
  });
}

// Where a peer's whole pipeline made the octets and did not compress, this one makes the same.
const pipeline: { name: string; checksum?: boolean }[] = [
  { name: "ping/with-source" },
  { name: "compound" },
  { name: "crc/compound", checksum: true },
  { name: "encrypt/packet-v1" },
  { name: "metallb/udp-ping" },
  { name: "metallb/udp-gossip-alive", checksum: true },
];
for (const { name, checksum = false } of pipeline)
  test(`encodePacket makes ${name} as peers do`, () => {
    const one = vector(name);
    const options = { nonce: one.nonce === undefined ? nonce : octets(one.nonce), checksum };
    const packet = encodePacket(innermost(one.decoded).map(packetMessage), keyringOf(one), options);
    assert.equal(hex(one.key === undefined ? keyringOf(one).open(packet) : packet), one.hex);
  });

for (const one of vectors("encrypt/stream")) {
  seen += 1;
  const keyring = keyringOf(one);
  const [message] = innermost(one.decoded).map(streamMessage);
  assert.ok(message);
  if (!isOld(one) && one.decoded.plain?.type !== "compress")
    test(`${one.name}: the values encode to the octets of peers`, () => {
      assert.equal(hex(encodeStream(message, keyring, octets(one.nonce ?? ""))), one.hex);
    });
  test(`${one.name}: the octets of peers decode to the values`, () => {
    assert.deepEqual(new StreamDecoder(keyring).push(octets(one.hex)), { type: "message", message, problems: [] });
  });
}

for (const one of vectors("user/stream", "label/")) {
  seen += 1;
  const want = { "user/stream": "unsupported", "label/stream-encrypted-body": "wrongKey" }[one.name] ?? "label";
  test(`${one.name}: it is refused, since no ring of MetalLB's has it`, () => {
    const isLabelled = one.name.startsWith("label/");
    const result = new StreamDecoder(keyringOf(one)).push(isLabelled ? octets(one.hex) : streamOf(one));
    assert.equal(result?.type === "error" && result.error.reason, want);
    if (!one.name.startsWith("label/packet")) return;
    assert.deepEqual(
      decodePacket(octets(one.hex), keyringOf(one)).problems.map(({ reason }) => reason),
      ["label"],
    );
  });
}

const aState = vector("pushpull/node-state-alive");
for (const { name, hex: octetsOfHeader, decoded } of vectors("pushpull/header")) {
  seen += 1;
  const { Join, Nodes, UserStateLen } = decoded.header ?? {};
  const header = { join: Join === true, nodes: Number(Nodes), userStateLength: Number(UserStateLen) };
  if (!name.endsWith("/v0.6.0"))
    test(`${name}: the header encodes to the octets of peers`, () => {
      assert.equal(hex(encodePushPullHeader(header)), octetsOfHeader);
    });
  test(`${name}: the header decodes`, () => {
    const exchange = octetsOfHeader + aState.hex.repeat(header.nodes) + "ab".repeat(header.userStateLength);
    const result = new StreamDecoder(keyring).push(framed(octets(exchange)));
    assert.ok(result?.type === "message" && result.message.type === "pushPull");
    const { join, states, userState } = result.message;
    assert.deepEqual({ join, nodes: states.length, userStateLength: userState.length }, header);
  });
}

for (const { name, hex: octetsOfState, decoded } of vectors("pushpull/node-state")) {
  seen += 1;
  const state = memberState(decoded.body ?? {});
  test(`${name}: the state encodes to the octets of peers`, () => {
    const writer = new Writer();
    writeMemberState(writer, state);
    assert.equal(hex(writer.finish()), octetsOfState);
  });
  test(`${name}: the octets of peers decode to the state`, () => {
    const header = hex(encodePushPullHeader({ join: false, nodes: 1, userStateLength: 0 }));
    const message = { type: "pushPull", join: false, states: [state], userState: new Uint8Array() };
    const result = new StreamDecoder(keyring).push(framed(octets(header + octetsOfState)));
    assert.deepEqual(result, { type: "message", message, problems: [] });
  });
}

/** The noise that the large vectors compress; they hold its hash, which is checked too. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) & 0xff;
  });
}

for (const { name, hex: compressed, decoded } of rawVectors("lzw/")) {
  seen += 1;
  test(`${name} compresses to the octets of peers and back`, () => {
    const plain = decoded.plain === undefined ? noise(decoded.plainLength ?? 0) : octets(decoded.plain);
    if (decoded.plainSha256 !== undefined) assert.equal(createHash("sha256").update(plain).digest("hex"), decoded.plainSha256);
    assert.equal(hex(compressLzw(plain)), compressed);
    assert.deepEqual(decompressLzw(octets(compressed), plain.length), plain);
  });
}

for (const { name, hex: key, decoded } of rawVectors("metallb-key/")) {
  seen += 1;
  test(`${name}: MetalLB derives this key`, () => {
    assert.equal(hex(metallbKey(decoded.secret ?? "")), key);
  });
}

const refusedPackets: Record<string, { messages: Uint8Array[]; reasons: string[] }> = {
  "malformed/compound-empty-part": { messages: [], reasons: ["malformed"] },
  "malformed/compound-truncated": { messages: [octets("01"), octets("02")], reasons: ["malformed"] },
  "malformed/alive-short-vsn": { messages: [], reasons: ["malformed"] },
  "malformed/crc-mismatch": { messages: [], reasons: ["checksum"] },
};
const refusedStreams: Record<string, { reason: string; answer: boolean }> = {
  "malformed/nodes-negative": { reason: "malformed", answer: false },
  "malformed/stream-length": { reason: "tooLarge", answer: true },
};
for (const one of vectors("malformed/")) {
  seen += 1;
  const { name } = one;
  test(`${name} is refused`, () => {
    const stream = refusedStreams[name];
    if (stream !== undefined) {
      const result = new StreamDecoder(keyring).push(one.decoded.type === "encrypt" ? octets(one.hex) : streamOf(one));
      assert.ok(result?.type === "error");
      assert.deepEqual({ reason: result.error.reason, answer: result.answer }, stream);
    } else {
      const { messages, problems } = decodePacket(packetOf(one), keyring);
      const payloads = messages.map((message) => (message.type === "user" ? message.payload : message));
      assert.deepEqual({ messages: payloads, reasons: problems.map(({ reason }) => reason) }, refusedPackets[name]);
    }
  });
}

test("every vector is used once", () => {
  assert.equal(seen, vectorCount);
  assert.equal(vectorCount, 81);
});
