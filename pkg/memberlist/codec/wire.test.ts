import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyWire, key, nonce } from "../testing/wires.ts";
import { Keyring } from "./keyring.ts";
import { encodeMessage } from "./message-codec.ts";
import type { User } from "./messages.ts";
import { encodePacket } from "./packet.ts";
import { broadcastBudget, broadcastOverhead, defaultWire, packetSize } from "./wire.ts";

const encrypted = { ...defaultWire, keyring: new Keyring([key]), compress: false };
const cases = [
  { name: "gossip in plaintext has all but the compound's header", wire: defaultWire, want: 1398 },
  { name: "a direct message counts without an entry of its own", wire: defaultWire, direct: 21, want: 1377 },
  { name: "encryption takes 29", wire: encrypted, want: 1369 },
  { name: "encryption of version 0 takes 45", wire: { ...encrypted, encryptionVersion: 0 as const }, want: 1353 },
  { name: "keys that do not encrypt take nothing", wire: { ...encrypted, verifyOutgoing: false }, want: 1398 },
  { name: "a label takes its header too", wire: { ...encrypted, label: Buffer.from("blue") }, want: 1363 },
  { name: "a direct message that is too large leaves less than nothing", wire: defaultWire, direct: 1400, want: -2 },
];
for (const { name, wire, direct, want } of cases)
  test(`broadcastBudget: ${name}`, () => assert.equal(broadcastBudget(wire, direct), want));

/** A user message's type and its entry in the compound. */
const userMessageOverhead = 1 + broadcastOverhead;

/** User messages that use up a budget to the last octet. */
function filling(budget: number): User[] {
  const length = Math.floor(budget / 2) - userMessageOverhead;
  const rest = budget - (length + userMessageOverhead) - userMessageOverhead;
  return [length, rest].map((octets) => ({ type: "user", payload: new Uint8Array(octets) }));
}

const maxima = [
  { name: "gossip with checksum has 1405 octets", checksum: true, want: 1405 },
  { name: "direct has 1402", direct: 21, checksum: false, want: 1402 },
  { name: "direct with checksum has 1407", direct: 21, checksum: true, want: 1407 },
];
for (const { name, direct, checksum, want } of maxima)
  test(`the largest packet of a budget, ${name}, as measured on peers`, () => {
    const ping = { type: "ping", sequence: 42, node: "node-b", source: undefined } as const;
    const messages = direct === undefined ? [] : [ping];
    const packet = encodePacket([...messages, ...filling(broadcastBudget(encrypted, direct))], encrypted, { nonce, checksum });
    assert.equal(packet.length, want);
  });

test("a broadcast costs the length of its encoding and its entry", () => {
  const nack = { type: "nack", sequence: 42 } as const;
  const length = (count: number) => encodePacket(Array(count).fill(nack), encrypted, { nonce, checksum: false }).length;
  assert.equal(length(9) - length(8), encodeMessage(nack).length + broadcastOverhead);
});

test("property: a budget that is used up makes no packet larger than the packet size", () => {
  fc.assert(
    fc.property(anyWire, (wire) => {
      const packet = encodePacket(filling(broadcastBudget(wire)), wire, { nonce, checksum: false });
      assert.ok(packet.length <= packetSize, `${packet.length} octets`);
    }),
  );
});
