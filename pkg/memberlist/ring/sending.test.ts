import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { encodeMessage } from "../codec/message-codec.ts";
import { broadcastBudget, broadcastOverhead } from "../codec/packet.ts";
import { alive, at, dead, endpointOf, LoneRing } from "../testing/lone-ring.ts";
import { BroadcastQueue, type QueuedContent } from "./broadcast-queue.ts";
import { maxUserBytes } from "./sending.ts";

/** Encoded, its length is its text's and one. */
function message(length: number, mark = 0): QueuedContent {
  return { type: "user", text: String.fromCharCode(mark).repeat(length - 1) };
}

/** Lengths of the messages that it takes. */
function take(queue: BroadcastQueue, budget: number, limit = 4): number[] {
  return queue.take(budget, limit).map((taken) => (taken.type === "user" ? taken.payload.length + 1 : 0));
}

test("within one transmit count the longest that fits goes first", () => {
  const queue = new BroadcastQueue();
  for (const length of [10, 50, 30]) queue.add(`${length}`, message(length));
  assert.deepEqual(take(queue, 1000), [50, 30, 10]);
});

test("what was sent least often goes first, whatever its length", () => {
  const queue = new BroadcastQueue();
  queue.add("old", message(50));
  take(queue, 1000);
  queue.add("new", message(10));
  assert.deepEqual(take(queue, 1000), [10, 50]);
});

test("among equals the newest goes first", () => {
  const queue = new BroadcastQueue();
  queue.add("first", message(10, 1));
  queue.add("second", message(10, 2));
  assert.deepEqual(queue.take(12, 4), [{ type: "user", payload: new Uint8Array(9).fill(2) }]);
});

test("each message costs its length and 2; what does not fit waits for another packet", () => {
  const queue = new BroadcastQueue();
  for (const length of [50, 40, 8]) queue.add(`${length}`, message(length));
  assert.deepEqual(take(queue, 62), [50, 8]);
  assert.deepEqual(take(queue, 41), [8]);
  assert.deepEqual(take(queue, 42), [40]);
  assert.deepEqual(take(queue, -5), []);
});

test("a message is dropped once it has been sent as often as the limit says", () => {
  const queue = new BroadcastQueue();
  queue.add("a", message(10));
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => take(queue, 1000, 4).length),
    [1, 1, 1, 1, 0],
  );
  assert.equal(queue.size, 0);
  assert.equal(queue.has("a"), false);
});

test("a message replaces the one about the same node, and starts from the beginning", () => {
  const queue = new BroadcastQueue();
  queue.add("a", message(10));
  take(queue, 1000);
  queue.add("a", message(20));
  queue.add("b", message(15));
  assert.equal(queue.size, 2);
  assert.deepEqual(take(queue, 1000), [20, 15]);
});

test("accusations by several are all sent, each in its own right, until anything else about the accused is queued", () => {
  const accusation = (from: string, incarnation = 1) => ({ type: "suspect", node: "a", incarnation, from }) as const;
  const taken = (queue: BroadcastQueue) => queue.take(1000, 2).map((one) => (one.type === "suspect" ? one.from : one.type));
  const queue = new BroadcastQueue();
  for (const from of ["x", "y", "y", "z"]) queue.add("a", accusation(from));
  assert.deepEqual(taken(queue).toSorted(), ["x", "y", "z"]);
  queue.add("a", accusation("w"));
  assert.equal(taken(queue)[0], "w");
  assert.deepEqual(taken(queue), ["w"]);
  assert.equal(queue.has("a"), false);
  for (const later of [accusation("x", 2), { type: "dead", node: "a", incarnation: 1, from: "x" } as const]) {
    queue.add("a", accusation("x"));
    queue.add("a", accusation("y"));
    queue.add("a", later);
    assert.deepEqual(queue.take(1000, 1), [later]);
  }
});

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
  lone.packet(news);
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
    lone.packet(message);
    lone.quieten();
    lone.ring.reconnectAt = Infinity;
    lone.advanceTo(elapsed);
    lone.meet(alive("b", 2));
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
  lone.meet(alive("a", 1, { versions: [1, 4, 2, 0, 0, 0] }));
  lone.effects = [];
  lone.advanceTo(lone.ring.gossipAt);
  assert.deepEqual(
    lone.sends().map(({ checksum }) => checksum),
    [false],
  );
});

test("what is to be passed on rides along with a direct message, behind it, within the packet's 1400 octets", () => {
  const lone = unprobing("");
  for (let i = 0; i < 30; i++) lone.meet(alive(`node-${i}`, 1));
  lone.effects = [];
  lone.packet({ type: "ping", sequence: 7, node: "self", source: undefined }, at(50));
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
  for (let i = 0; i < 60; i++) lone.meet(alive(`node-${i}`, 1));
  lone.effects = [];
  lone.advanceTo(lone.ring.gossipAt);
  const sends = lone.sends();
  assert.equal(sends.length, 3);
  assert.ok(sends.every(({ messages }) => messages.length > 10));
});

test("a user message is gossiped as others are, in place of one on the same topic, and too long a one is refused", () => {
  const lone = unprobing("a");
  const payload = (octet: number, length = 1000) => new Uint8Array(length).fill(octet);
  const text = (octet: number, length = 1000) => String.fromCharCode(octet).repeat(length);
  lone.step({ type: "broadcast", topic: "self", text: text(1) }); // The topic is no node's name.
  lone.step({ type: "broadcast", topic: "self", text: text(2) });
  lone.step({ type: "broadcast", topic: "other", text: text(3, 1) });
  assert.throws(() => lone.step({ type: "broadcast", topic: "long", text: text(4, 1001) }), RangeError);
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

test("the longest user message fits into a packet with encryption", () => {
  assert.ok(maxUserBytes + 1 + broadcastOverhead <= broadcastBudget(0));
});
