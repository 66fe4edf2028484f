import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { nonceLength } from "../../../pkg/aes-gcm/index.ts";
import { decodeEntries, decodeOffer, encodeEntries } from "../../../pkg/gossip/codec/entry-codec.ts";
import {
  decodeDeliveries,
  decodePage,
  decodeSubnets,
  decodeSummary,
  interfaceOf,
  setOf,
} from "../../../pkg/gossip/codec/value-codec.ts";
import { decodeDigest, decodeHeartbeat } from "../../../pkg/memberlist/codec/heartbeat.ts";
import { Keyring, sealedLength } from "../../../pkg/memberlist/codec/keyring.ts";
import { MemberlistError } from "../../../pkg/memberlist/codec/memberlist-error.ts";
import { MessageType, type PacketMessage, type StreamMessage } from "../../../pkg/memberlist/codec/messages.ts";
import { decodeMetadata, encodeMetadata } from "../../../pkg/memberlist/codec/metadata.ts";
import { decodePacket, encodePacket } from "../../../pkg/memberlist/codec/packet.ts";
import { encodeStream, maxStreamLength, StreamDecoder } from "../../../pkg/memberlist/codec/stream.ts";
import { decodeCompressed } from "../../../pkg/memberlist/codec/wrappers.ts";
import { encodeCompressed } from "../../../pkg/memberlist/testing/compress.ts";
import { octets, vectors } from "../../../pkg/memberlist/testing/vectors.ts";
import { fromHex, latin1, type Target } from "../target.ts";
import { wordsIn } from "../words.ts";

const keyring = new Keyring([Buffer.from("0123456789abcdef")]);
const nonce = new Uint8Array(nonceLength);

const words = [
  ...[
    "SeqNo",
    "Node",
    "SourceAddr",
    "SourcePort",
    "SourceNode",
    "Target",
    "Port",
    "Nack",
    "Payload",
    "Incarnation",
    "From",
    "Addr",
    "Meta",
  ],
  ...["Vsn", "Algo", "Buf", "Nodes", "UserStateLen", "Join", "Name", "State", "Error", "ingot\x01", "ingot\x02", "label"],
].map((name) => latin1(String.fromCharCode(0xa0 + name.length) + name));
const marks = [
  "07ff",
  "0780",
  "0c",
  "f405",
  "0a",
  "82",
  "83",
  "de0002",
  "df00000002",
  "c0",
  "c5ffff",
  "d9ff",
  "dc0010",
  "cf",
  "ce",
  "90",
].map(fromHex);

/** The octets behind a first octet that says whether they arrive as they are, or sealed. */
function withMode(mode: "plain" | "sealed", packet: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([Uint8Array.of(mode === "sealed" ? 1 : 2), packet]));
}

function isSealed(input: Uint8Array): boolean {
  return ((input[0] ?? 0) & 3) !== 2;
}

/** One datagram. Mostly the content is fuzzed: nobody gets further without the key. */
export const packet: Target = {
  name: "memberlist-packet",
  maxLength: 2_000,
  seeds: vectors(
    "ping",
    "indirect",
    "ack",
    "nack",
    "suspect",
    "dead",
    "alive",
    "user/packet",
    "compound",
    "compress",
    "crc",
    "label/packet",
    "malformed",
  ).flatMap((one) => [withMode("sealed", octets(one.hex)), withMode("plain", octets(one.hex))]),
  words: [...words, ...marks, ...wordsIn("pkg/memberlist/codec/*.ts")],
  isText: false,
  // A compressed packet of 64 KiB may stand for 256 KiB, of up to 1,024 parts.
  bounds: { work: 300_000, workPerOctet: 100, memory: 24, time: 80 },
  repair: (input, random) => {
    if (random() < 0.5 || input.length < 7 || input[1] !== 12) return input;
    const copy = input.slice();
    new DataView(copy.buffer).setUint32(2, crc32(copy.subarray(6)));
    return copy;
  },
  run: (input) => {
    const body = input.subarray(1);
    for (const message of decodePacket(isSealed(input) ? keyring.seal(body, nonce) : body, keyring).messages) {
      readContent(message);
      const again = decodePacket(encodePacket([message], keyring, { nonce, checksum: true }), keyring);
      assert.deepEqual(again, { messages: [message], problems: [] });
    }
  },
};

/** The body as one frame. */
function frame(body: Uint8Array): Uint8Array {
  const header = new Uint8Array(5);
  header[0] = MessageType.encrypt;
  new DataView(header.buffer).setUint32(1, sealedLength(body.length));
  return new Uint8Array(Buffer.concat([header, keyring.seal(body, nonce, header)]));
}

/** Compressed octets may stand for 40 MiB, of which each octet costs less than one of the stream. */
function sizeOf(input: Uint8Array): number {
  const body = input.subarray(1);
  const at = body[0] === MessageType.label ? 2 + (body[1] ?? 0) : 0;
  return body[at] === MessageType.compress ? input.length + decompressedLength(body.subarray(at)) / 3 : input.length;
}

/** An incomplete stream counts too, because it is decompressed up to the break; then up to twice the result. */
function decompressedLength(octets: Uint8Array): number {
  for (let limit = 0; limit < maxStreamLength; limit = Math.max(4_096, 2 * limit))
    try {
      return decodeCompressed(octets, limit).length;
    } catch (error) {
      if (!(error instanceof MemberlistError)) throw error;
      if (error.reason !== "tooLarge") return limit;
    }
  return maxStreamLength;
}

/** Arrays in one another, of which each costs a step, and noughts: short, and long once they are read. */
const expanding = [0x91, 0].map((octet) =>
  encodeCompressed(new Uint8Array(500_000).fill(octet).fill(MessageType.pushPull, 0, 1)),
);

/** The most items that fit, each of which arrives alone. */
const itemByItem = new Uint8Array(8_192).fill(0xc0);
itemByItem.set([0, MessageType.compress, 0xdc, 0x1f, 0xf8]);

/**
 * The whole stream from one end of a connection; the first octet also says in which pieces it arrives. Mostly the content is fuzzed, as with
 * datagrams.
 */
export const stream: Target = {
  name: "memberlist-stream",
  maxLength: 8_192,
  seeds: [
    ...vectors("label/stream", "encrypt/stream").map((one) => withMode("plain", octets(one.hex))),
    ...vectors("pushpull", "user/stream", "compress/pushpull", "err", "ping", "ack").map((one) =>
      withMode("sealed", octets(one.hex)),
    ),
    ...expanding.map((one) => withMode("sealed", one)),
    itemByItem,
  ],
  words: [...words, ...marks, ...wordsIn("pkg/memberlist/codec/*.ts")],
  isText: false,
  // Two to three times the cost of the costliest seeds.
  bounds: { work: 5_000, workPerOctet: 300, memory: 12, memoryPerOctet: 48, time: 25, timePerOctet: 0.006 },
  size: sizeOf,
  run: (input) => {
    const body = isSealed(input) ? frame(input.subarray(1)) : input.subarray(1);
    const piece = 1 + ((input[0] ?? 0) >> 2) * 7;
    const decoder = new StreamDecoder(keyring);
    let result = undefined as ReturnType<StreamDecoder["push"]>;
    for (let at = 0; at < body.length && result === undefined; at += piece) result = decoder.push(body.subarray(at, at + piece));
    result ??= decoder.end();
    if (result?.type !== "message") return;
    readContent(result.message);
    const again = new StreamDecoder(keyring).push(encodeStream(result.message, keyring, nonce));
    assert.ok(again?.type === "message");
    assert.deepEqual(again.message, result.message);
  },
};

/** Reports of other speakers about themselves, in the ring's messages. */
export const gossip: Target = {
  name: "gossip",
  maxLength: 2_000,
  seeds: [
    encodeEntries([
      { node: "node-1", life: 5, key: "h", version: 1, value: Uint8Array.of(1, 1, 0, 0, 0, 0, 0, 1, 0, 2) },
      { node: "node-1", life: 5, key: "ieth0", version: 2, value: Uint8Array.of(1, 4, 24, 192, 0, 2) },
      { node: "node-2", life: 6, key: "4\xc0\x00\x02", version: 3, value: Uint8Array.of(1, 2, 3) },
    ]),
    Buffer.from(encodeMetadata(new Map([[1, Uint8Array.of(1)]])), "latin1"),
  ],
  words: [
    ...["ingot\x02", "ingot\x01", "h", "ieth0", "4\xc0\x00\x02", "q4\xc0\x00\x02", "a4\xc0\x00\x02"].map(latin1),
    ...wordsIn("pkg/gossip/codec/*.ts"),
  ],
  isText: false,
  bounds: { work: 2_000, workPerOctet: 60, memory: 16, time: 50 },
  run: (input) => {
    readPayload(input);
    const metadata = decodeMetadata(Buffer.from(input).toString("latin1"));
    if (metadata !== undefined && input.length <= 512) assert.deepEqual(decodeMetadata(encodeMetadata(metadata)), metadata);
    for (const value of metadata?.values() ?? []) decodeOffer(value);
  },
};

function readContent(message: PacketMessage | StreamMessage): void {
  if (message.type === "user") readPayload(message.payload);
  if (message.type === "ack") decodeHeartbeat(message);
  if (message.type === "ack") decodeDigest(message.payload);
  if (message.type === "alive") decodeMetadata(message.meta);
  if (message.type !== "pushPull") return;
  readPayload(message.userState);
  for (const { meta } of message.states) decodeMetadata(meta);
}

function readPayload(payload: Uint8Array): void {
  const entries = decodeEntries(payload);
  if (entries === undefined) return;
  for (const { key, value } of entries) {
    decodeSummary(value);
    decodeSubnets(value);
    decodeDeliveries(value);
    interfaceOf(key);
    if (setOf(key) !== undefined) decodePage(key, value);
  }
  const lives = new Map(entries.map(({ node, life }) => [node, life]));
  if (entries.every(({ node, life }) => lives.get(node) === life)) {
    const ordered = [...Map.groupBy(entries, ({ node }) => node).values()].flat();
    assert.deepEqual(decodeEntries(encodeEntries(entries)), ordered);
  }
}
