import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Keyring } from "../keyring.ts";
import { encodeMessage } from "../message-codec.ts";
import { broadcastBudget, broadcastOverhead } from "../packet-budget.ts";
import { alive, at, dead, endpointOf, LoneRing } from "../testing/lone-ring.ts";
import { defaultWire } from "../wire.ts";
import { maxUserOctets } from "./sending.ts";

/** A node that does not probe by itself. */
function unprobing(nodes: string): LoneRing {
  const lone = LoneRing.among(nodes);
  lone.ring.probeAt = Infinity;
  return lone;
}

const news = alive("a", 2);

test("a ring with nothing to say has no gossip timer", () => {
  assert.equal(LoneRing.among("abc").ring.gossipAt, Infinity);
});

test("gossip begins within an interval, goes to three nodes at a time, and ends when each message was sent often enough", () => {
  const lone = unprobing("abcde");
  lone.hear(news);
  const first = lone.ring.gossipAt;
  assert.ok(first >= 0 && first < 200, `at ${first}`);
  lone.advanceTo(first);
  const sends = lone.sends();
  assert.equal(new Set(sends.map(({ to }) => to)).size, 3);
  assert.ok(sends.every(({ messages, checksum }) => checksum && isDeepStrictEqual(messages, [news])));
  lone.advanceTo(first + 200);
  assert.equal(lone.sends().length, 1); // The limit among six nodes is four.
  assert.equal(lone.ring.gossipAt, Infinity);
});

test("gossip goes to the recently dead, so that they can refute, but neither to the left nor to those long dead", () => {
  for (const [name, message, elapsed, reached] of [
    ["recently dead", dead("a", 1, "b"), 29_800, true],
    ["long dead", dead("a", 1, "b"), 30_001, false],
    ["left", dead("a", 1, "a"), 0, false],
  ] as const) {
    const lone = unprobing("ab");
    lone.ring.pushPullAt = Infinity;
    lone.hear(message);
    lone.quieten();
    lone.ring.askAt = Infinity;
    lone.advanceTo(elapsed);
    lone.hear(alive("b", 2));
    lone.advanceTo(lone.ring.gossipAt);
    assert.equal(
      lone.sends().some(({ to }) => to.address[3] === endpointOf("a").address[3]),
      reached,
      name,
    );
  }
});

test("a node that does not understand checksums gets none", () => {
  const lone = unprobing("");
  lone.hear(alive("a", 1, { versions: [1, 4, 2, 0, 0, 0] }));
  lone.effects = [];
  lone.advanceTo(lone.ring.gossipAt);
  assert.deepEqual(
    lone.sends().map(({ checksum }) => checksum),
    [false],
  );
});

test("what is to be passed on rides along with a direct message, behind it, within the packet's 1400 octets", () => {
  const lone = unprobing("");
  for (let i = 0; i < 40; i++) lone.hear(alive(`node-${i}`, 1));
  lone.effects = [];
  lone.hear({ type: "ping", sequence: 7, node: "self", source: undefined }, at(50));
  const [{ messages, checksum, to } = { messages: [] }] = lone.sends();
  const ack = { type: "ack", sequence: 7, payload: undefined } as const;
  assert.deepEqual([messages[0], to, checksum], [ack, at(50), false]);
  const octets = messages
    .slice(1)
    .reduce((sum, message) => sum + encodeMessage(message).length + 2, encodeMessage(ack).length + 2);
  assert.ok(octets <= 1400 && octets > 1300, `${octets} octets`);
});

test("gossip fills several packets when there is much to say", () => {
  const lone = unprobing("abc");
  for (let i = 0; i < 60; i++) lone.hear(alive(`node-${i}`, 1));
  lone.effects = [];
  lone.advanceTo(lone.ring.gossipAt);
  const sends = lone.sends();
  assert.equal(sends.length, 3);
  assert.ok(sends.every(({ messages }) => messages.length > 10));
});

test("a user message is gossiped as others are, in place of one on the same topic, and too long a one is refused", () => {
  const lone = unprobing("a");
  const payload = (octet: number, length = 1000) => new Uint8Array(length).fill(octet);
  lone.tell({ type: "broadcast", topic: "self", payload: payload(1) }); // The topic is no node's name.
  lone.tell({ type: "broadcast", topic: "self", payload: payload(2) });
  lone.tell({ type: "broadcast", topic: "other", payload: payload(3, 1) });
  assert.throws(() => lone.tell({ type: "broadcast", topic: "long", payload: payload(4, 1001) }), RangeError);
  lone.advanceTo(lone.ring.gossipAt);
  assert.deepEqual(
    lone.sends().map(({ messages }) => messages),
    [
      [
        { type: "user", payload: payload(2) },
        { type: "user", payload: payload(3, 1) },
      ],
    ],
  );
});

test("the longest user message fits into a packet with the longest label and encryption", () => {
  const wire = { ...defaultWire, label: new Uint8Array(255), keyring: new Keyring([new Uint8Array(32)]) };
  assert.ok(maxUserOctets + 1 + broadcastOverhead <= broadcastBudget(wire));
});
