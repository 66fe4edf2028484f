import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "#pkg/clock/testing";
import { anyPacketMessage } from "../testing/arbitraries.ts";
import { encodeCompressed } from "../testing/compress.ts";
import { anyKeyring, keyring, nonce, sealed } from "../testing/keyrings.ts";
import { hex, octets, vector } from "../testing/vectors.ts";
import { writeMap } from "../testing/write-map.ts";
import { Keyring } from "./keyring.ts";
import { MemberlistError, Writer } from "./memberlist-error.ts";
import { encodeMessage } from "./message-codec.ts";
import type { Nack, PacketMessage, User } from "./messages.ts";
import {
  broadcastBudget,
  broadcastOverhead,
  decodePacket,
  encodePacket,
  maxPacketDepth,
  maxPacketExpansion,
  maxPacketParts,
  packetSize,
} from "./packet.ts";
import { encodeChecksum, encodeCompound, maxMessagesPerPacket } from "./wrappers.ts";

const options = { nonce, checksum: false };
const otherKeyring = new Keyring([Buffer.alloc(16, 9)]);
const ack = octets(vector("ack/nil-payload").hex);
const nack: Nack = { type: "nack", sequence: 42 };
const nackOctets = encodeMessage(nack);

/** Types of the messages, and reasons of the problems. */
function outcomeOf(datagram: Uint8Array): string {
  const { messages, problems } = decodePacket(datagram, keyring);
  return [...messages.map(({ type }) => type), ...problems.map(({ reason }) => reason)].join(" ");
}

/** The same of a packet that is sealed first. */
function outcome(inside: Uint8Array): string {
  return outcomeOf(sealed(inside));
}

const batch = fc.array(anyPacketMessage, { minLength: 1, maxLength: 12 });

test("property: decoding undoes encoding", () => {
  fc.assert(
    fc.property(batch, anyKeyring, fc.boolean(), (messages, keyring, checksum) => {
      assert.deepEqual(decodePacket(encodePacket(messages, keyring, { nonce, checksum }), keyring), { messages, problems: [] });
    }),
  );
});

/** The sealed octets of these messages. */
function unsealed(messages: readonly PacketMessage[]): Uint8Array {
  return keyring.open(encodePacket(messages, keyring, options));
}

/** A packet with some octets replaced, or cut short. */
const damaged = fc
  .tuple(batch, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
  .map(([messages, changes, cut]) => {
    const packet = Uint8Array.from(cut % 2 === 0 ? unsealed(messages) : encodeCompound(messages.map(encodeMessage)));
    for (const [at, octet] of changes) packet[at % packet.length] = octet;
    return cut % 3 === 0 ? packet.subarray(0, cut % packet.length) : packet;
  });

test("property: arbitrary and damaged octets are messages or problems, sealed and not, and never thrown", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100, size: "max" }), damaged), anyKeyring, (packet, keyring) => {
      for (const datagram of [packet, sealed(packet, keyring)]) {
        const { messages, problems } = decodePacket(datagram, keyring);
        for (const message of messages) assert.ok(encodeMessage(message).length > 0);
        for (const problem of problems) assert.ok(problem instanceof MemberlistError);
      }
    }),
    { numRuns: 2000 },
  );
});

test("the first message stays first", () => {
  const messages: PacketMessage[] = [nack, { type: "suspect", incarnation: 1, node: "b", from: "a" }, nack];
  assert.deepEqual(decodePacket(encodePacket(messages, keyring, options), keyring).messages, messages);
});

test("a long packet is not compressed", () => {
  assert.equal(unsealed([{ type: "user", payload: new Uint8Array(1000) }])[0], 8);
});

test("property: messages that a peer compressed are the same messages", () => {
  fc.assert(
    fc.property(batch, (messages) => {
      const packet = sealed(encodeCompressed(unsealed(messages)));
      assert.deepEqual(decodePacket(packet, keyring), { messages, problems: [] });
    }),
  );
});

test("encodePacket refuses no message and more than peers can read", () => {
  assert.throws(() => encodePacket([], keyring, options), RangeError);
  assert.throws(() => encodePacket(Array(maxMessagesPerPacket + 1).fill(nack), keyring, options), RangeError);
  assert.equal(outcome(unsealed(Array(maxMessagesPerPacket).fill(nack))).split(" ").length, 127);
});

const unsendable: { name: string; message: PacketMessage }[] = [
  { name: "a sequence number above 32 bits", message: { type: "nack", sequence: 2 ** 32 } },
  { name: "a negative incarnation", message: { type: "dead", incarnation: -1, node: "b", from: "a" } },
  { name: "a name that did not go through nodeName", message: { type: "dead", incarnation: 1, node: "ā", from: "a" } },
];
for (const { name, message } of unsendable)
  test(`encodePacket refuses ${name}`, () => assert.throws(() => encodePacket([message], keyring, options), RangeError));

/** A message whose body has some fields replaced. */
function withFields(type: number, fields: Record<string, Parameters<typeof writeMap>[1][string]>): Uint8Array {
  const writer = new Writer().u8(type);
  writeMap(writer, fields);
  return writer.finish();
}

const alive = {
  Addr: octets("c0000201"),
  Incarnation: 1,
  Node: "node-b",
  Port: 7946,
  Vsn: octets("010502000000"),
};
const indirect = { Nack: true, Node: "node-b", Port: 7946, SeqNo: 42, Target: octets("c0000201") };

const messages: { name: string; packet: Uint8Array; want: string }[] = [
  { name: "a port of 0", packet: withFields(4, { ...alive, Port: 0 }), want: "alive" },
  { name: "an address of 16 octets", packet: withFields(4, { ...alive, Addr: new Uint8Array(16) }), want: "alive" },
  { name: "more than six versions", packet: withFields(4, { ...alive, Vsn: octets("01050200000007") }), want: "alive" },
  { name: "an unknown field", packet: withFields(4, { ...alive, More: "?" }), want: "alive" },
  { name: "octets behind a message", packet: Buffer.concat([nackOctets, ack]), want: "nack" },
  { name: "an alive about nobody", packet: withFields(4, { ...alive, Node: "" }), want: "malformed" },
  { name: "an alive without address", packet: withFields(4, { ...alive, Addr: undefined }), want: "malformed" },
  {
    name: "an alive with an address of 5 octets",
    packet: withFields(4, { ...alive, Addr: new Uint8Array(5) }),
    want: "malformed",
  },
  ...[0, 1, 5].map((length) => ({
    name: `an alive with ${length} versions`,
    packet: withFields(4, { ...alive, Vsn: new Uint8Array(length) }),
    want: "malformed",
  })),
  { name: "an alive with a port above 16 bits", packet: withFields(4, { ...alive, Port: 65_536 }), want: "malformed" },
  { name: "an alive with a text as incarnation", packet: withFields(4, { ...alive, Incarnation: "1" }), want: "malformed" },
  { name: "a suspect about nobody", packet: withFields(3, { From: "a", Incarnation: 1, Node: "" }), want: "malformed" },
  { name: "an indirect ping", packet: withFields(1, indirect), want: "indirectPing" },
  { name: "an indirect ping without target", packet: withFields(1, { ...indirect, Target: undefined }), want: "malformed" },
  { name: "an empty packet", packet: octets(""), want: "malformed" },
  { name: "a type without body", packet: octets("00"), want: "malformed" },
  { name: "a push/pull", packet: octets(vector("pushpull/full").hex), want: "unsupported" },
  { name: "an error", packet: octets(vector("err").hex), want: "unsupported" },
  { name: "a stream's frame", packet: octets("0a00000000"), want: "unsupported" },
  { name: "a type to come", packet: octets("0e80"), want: "unsupported" },
];
for (const { name, packet, want } of messages)
  test(`decodePacket: ${name} is ${want}`, () => assert.equal(outcome(packet), want));

const sources: { name: string; fields: Record<string, string | number | Uint8Array>; node: string | undefined }[] = [
  { name: "all of it", fields: { SourceAddr: octets("c0000201"), SourceNode: "a", SourcePort: 1 }, node: "a" },
  { name: "no name", fields: { SourceAddr: octets("c0000201"), SourcePort: 1 }, node: "" },
  { name: "no address", fields: { SourceNode: "a", SourcePort: 1 }, node: undefined },
  { name: "an address of 3 octets", fields: { SourceAddr: octets("c00002"), SourcePort: 1 }, node: undefined },
  { name: "no port", fields: { SourceAddr: octets("c0000201"), SourceNode: "a" }, node: undefined },
];
for (const { name, fields, node } of sources)
  test(`a ping's source with ${name} ${node === undefined ? "does not count" : "counts"}`, () => {
    const [ping] = decodePacket(sealed(withFields(0, { Node: "b", SeqNo: 1, ...fields })), keyring).messages;
    assert.ok(ping?.type === "ping");
    assert.equal(ping.source?.node, node);
  });

const empties = (count: number) => octets(`07 ${count.toString(16).padStart(2, "0")} ${"0000".repeat(count)}`);
const wrappers: { name: string; packet: Uint8Array; want: string }[] = [
  { name: "a compound of a compound", packet: encodeCompound([encodeCompound([nackOctets, ack]), ack]), want: "nack ack ack" },
  { name: "a compound of compressed messages", packet: encodeCompound([encodeCompressed(ack), nackOctets]), want: "ack nack" },
  { name: "compressed twice", packet: encodeCompressed(encodeCompressed(ack)), want: "ack" },
  { name: "octets behind a compound", packet: Buffer.concat([encodeCompound([ack]), ack]), want: "ack" },
  { name: "a compound of none", packet: empties(0), want: "" },
  {
    name: "a bad part between good ones",
    packet: encodeCompound([ack, octets("0e80"), nackOctets]),
    want: "ack nack unsupported",
  },
  { name: "empty parts", packet: empties(2), want: "malformed malformed" },
  { name: "a compound without count", packet: octets("07"), want: "malformed" },
  { name: "lengths cut short", packet: octets("07 03 0002 00"), want: "malformed" },
  { name: "compress of nothing", packet: octets("09 82 a4416c676f 00 a3427566 a3008103"), want: "malformed" },
  { name: "compress without buffer", packet: octets("09 81 a4416c676f 00"), want: "malformed" },
  { name: "another algorithm", packet: withFields(9, { Algo: 1, Buf: octets("008103") }), want: "unsupported" },
  { name: "a buffer longer than the input", packet: octets("09 81 a3427566 dbffffffff"), want: "malformed" },
  { name: "a checksum", packet: encodeChecksum(ack), want: "ack" },
  { name: "a checksum of nothing", packet: octets("0c00000000"), want: "malformed" },
  { name: "a checksum cut short", packet: octets("0c000000"), want: "unsupported" },
  { name: "a checksum in a compound", packet: encodeCompound([encodeChecksum(ack), ack]), want: "ack unsupported" },
  { name: "a checksum in a compressed message", packet: encodeCompressed(encodeChecksum(ack)), want: "unsupported" },
  { name: "a checksum of a checksum", packet: encodeChecksum(encodeChecksum(ack)), want: "unsupported" },
];
for (const { name, packet, want } of wrappers)
  test(`decodePacket: ${name} is ${want || "nothing"}`, () => assert.equal(outcome(packet), want));

const securities: { name: string; packet: Uint8Array; want: string }[] = [
  { name: "plaintext", packet: ack, want: "plaintext" },
  ...["ping/with-source", "indirect-ping/nack", "alive", "compound", "user/packet", "crc/ack"].map((name) => ({
    name: `a plain ${name}`,
    packet: octets(vector(name).hex),
    want: "plaintext",
  })),
  { name: "another key", packet: encodePacket([nack], otherKeyring, options), want: "wrongKey" },
  { name: "noise", packet: octets("05fe").fill(0x99, 2), want: "unknownVersion" },
  { name: "encryption cut short", packet: octets("0199"), want: "malformed" },
  { name: "no octet", packet: octets(""), want: "malformed" },
  { name: "encryption of nothing", packet: sealed(new Uint8Array()), want: "malformed" },
  { name: "a label", packet: Buffer.concat([octets("f404626c7565"), nackOctets]), want: "label" },
  { name: "an empty label", packet: octets("f400 0b81a55365714e6f2a"), want: "malformed" },
  { name: "a label cut short", packet: octets("f404626c"), want: "malformed" },
];
for (const { name, packet, want } of securities)
  test(`decodePacket: ${name} is ${want}`, () => assert.equal(outcomeOf(packet), want));

test("wrappers may be nested up to a depth", () => {
  const nested = (depth: number): Uint8Array => (depth === 0 ? ack : encodeCompound([nested(depth - 1)]));
  assert.equal(outcome(nested(maxPacketDepth)), "ack");
  assert.equal(outcome(nested(maxPacketDepth + 1)), "tooLarge");
});

test("all compressed messages of a packet together may make only so much", () => {
  const half = encodeCompressed(encodeMessage({ type: "user", payload: new Uint8Array(maxPacketExpansion / 2 - 1) }));
  assert.equal(outcome(encodeCompound([half, half])), "user user");
  assert.equal(outcome(encodeCompound([half, half, encodeCompressed(ack), ack])), "user user ack tooLarge");
});

test("a packet may have only so many parts", () => {
  const packet = (parts: number) => encodeCompound([...Array(4).fill(empties(parts)), nackOctets]);
  const problems = (parts: number) => decodePacket(sealed(packet(parts)), keyring).problems.length;
  assert.equal(problems(254), 4 * 254);
  assert.ok(problems(255) <= maxPacketParts + maxPacketDepth);
  assert.equal(outcome(packet(255)).replaceAll("malformed ", ""), "tooLarge");
});

test("what was decoded does not keep the packet", () => {
  const packet = sealed(octets(vector("alive/ipv6-meta").hex));
  const { messages } = decodePacket(packet, keyring);
  const before = messages.map((message) => hex(encodeMessage(message)));
  packet.fill(0);
  assert.deepEqual(
    messages.map((message) => hex(encodeMessage(message))),
    before,
  );
});

const budgets = [
  { name: "gossip has all but the compound's header and 29 for encryption", direct: 0, want: 1369 },
  { name: "a direct message counts without an entry of its own", direct: 21, want: 1348 },
  { name: "a direct message that is too large leaves less than nothing", direct: 1400, want: -31 },
];
for (const { name, direct, want } of budgets) test(`broadcastBudget: ${name}`, () => assert.equal(broadcastBudget(direct), want));

const random = seededRandom(1);
const noise = Uint8Array.from({ length: 1400 }, () => 256 * random());

/** A user message's type and its entry in the compound. */
const userMessageOverhead = 1 + broadcastOverhead;

/** User messages that use up a budget to the last octet. */
function filling(budget: number): User[] {
  const length = Math.floor(budget / 2) - userMessageOverhead;
  const rest = budget - (length + userMessageOverhead) - userMessageOverhead;
  return [noise.subarray(0, length), noise.subarray(length, length + rest)].map((payload) => ({ type: "user", payload }));
}

const maxima = [
  { name: "gossip with checksum has 1405 octets", direct: 0, checksum: true, want: 1405 },
  { name: "direct has 1402", direct: 21, checksum: false, want: 1402 },
  { name: "direct with checksum has 1407", direct: 21, checksum: true, want: 1407 },
];
for (const { name, direct, checksum, want } of maxima)
  test(`the largest packet of a budget, ${name}, as measured on peers`, () => {
    const ping = { type: "ping", sequence: 42, node: "node-b", source: undefined } as const;
    const messages = direct === 0 ? [] : [ping];
    const packet = encodePacket([...messages, ...filling(broadcastBudget(direct))], keyring, { nonce, checksum });
    assert.equal(packet.length, want);
  });

test("a broadcast costs the length of its encoding and its entry", () => {
  const length = (count: number) => encodePacket(Array(count).fill(nack), keyring, options).length;
  assert.equal(length(9) - length(8), encodeMessage(nack).length + broadcastOverhead);
});

test("property: a budget that is used up makes no packet larger than the packet size", () => {
  fc.assert(
    fc.property(anyKeyring, (keyring) => {
      const packet = encodePacket(filling(broadcastBudget(0)), keyring, options);
      assert.ok(packet.length <= packetSize, `${packet.length} octets`);
    }),
  );
});
