import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeHeartbeat, encodeHeartbeat } from "../codec/heartbeat.ts";
import { alive, dead, LoneRing, suspect } from "../testing/lone-ring.ts";
import { placeOf } from "./choice.ts";
import { heartbeatInterval } from "./heartbeat.ts";

/** At the fast pace, among these; `before` is the one whose neighbor it is. */
function among(nodes: string, node = "self"): { lone: LoneRing; before: string } {
  const lone = LoneRing.among(nodes, { timing: "fast", node });
  return { lone, before: lone.ring.heartbeats.awaited?.node ?? assert.fail("it awaits nobody") };
}

function beat(lone: LoneRing, node: string, count: number, life = 1, digest = 0): void {
  lone.packet(encodeHeartbeat({ node, life, count, digest }));
}

/** Nodes that are pinged until then. */
function pinged(lone: LoneRing, until: number): string[] {
  lone.effects = [];
  lone.advanceTo(until);
  return lone.sends().flatMap(({ messages }) => messages.flatMap((one) => (one.type === "ping" ? [one.node] : [])));
}

test("in each interval the neighbor gets one heartbeat, each with a greater number, and is not pinged", () => {
  const { lone } = among("ab");
  lone.ring.othersIn = Infinity;
  lone.ring.heartbeats.awaited = undefined;
  lone.advanceTo(10 * heartbeatInterval(lone.ring));
  const beats = lone.sends().map(({ to, messages: [first] }) => ({ to, beat: first?.type === "ack" && decodeHeartbeat(first) }));
  assert.deepEqual(
    beats.map(({ beat }) => beat),
    Array.from({ length: 10 }, (_, i) => ({ node: "self", life: 1, count: i + 1, digest: lone.ring.places.digest })),
  );
  assert.equal(new Set(beats.map(({ to }) => to)).size, 1);
});

test("one whose heartbeats come is not pinged; one whose heartbeat is 20 ms late is, and again in each interval", () => {
  const { lone, before } = among("abc");
  lone.ring.othersIn = Infinity;
  for (let count = 1; count <= 10; count++) {
    assert.deepEqual(pinged(lone, count * 70), []);
    beat(lone, before, count);
  }
  assert.deepEqual(pinged(lone, 700 + 89), []);
  assert.deepEqual(pinged(lone, 700 + 90), [before]);
  lone.packet({ type: "ack", sequence: lone.ring.sequence, payload: undefined });
  assert.deepEqual(pinged(lone, 700 + 179), []);
  assert.deepEqual(pinged(lone, 700 + 180), [before]);
});

test("one that receives a heartbeat when its own is due within 14 ms sends it at once, and the next one an interval later", () => {
  const { lone, before } = among("bce", "a");
  const { probeAt } = lone.ring;
  lone.advanceTo(probeAt - 15);
  lone.effects = [];
  beat(lone, before, 1);
  assert.deepEqual([lone.sends(), lone.ring.probeAt], [[], probeAt]);
  lone.advanceTo(probeAt - 14);
  beat(lone, before, 2);
  assert.equal(lone.sends().length, 1);
  assert.equal(lone.ring.probeAt, lone.now + heartbeatInterval(lone.ring));
  beat(lone, before, 3);
  assert.deepEqual(lone.sends(), []);
});

test("the first of all members keeps its pace, whatever it receives, so that the others come to follow it", () => {
  const { lone, before } = among("abc");
  const { probeAt } = lone.ring;
  lone.advanceTo(probeAt - 10);
  lone.effects = [];
  beat(lone, before, 1);
  assert.deepEqual([lone.sends(), lone.ring.probeAt], [[], probeAt]);
});

test("of all members the first by place alone does not wait for those of the one before", () => {
  const names = ["a", "b", "c", "d"];
  const intervals = names.map((node) => {
    const lone = LoneRing.among(names.filter((other) => other !== node).join(""), { timing: "fast", node });
    return heartbeatInterval(lone.ring);
  });
  const places = names.map(placeOf);
  const first = places.indexOf(Math.min(...places));
  assert.deepEqual(
    intervals,
    names.map((_, index) => (index === first ? 70 : 76)),
  );
});

test("whose heartbeat is overdue has the rest of a probe's time, 70 ms, before it is suspected", () => {
  const { lone, before } = among("abc");
  lone.advanceTo(90 + 69);
  assert.equal(lone.view(before), "alive 1");
  lone.advanceTo(90 + 70);
  assert.equal(lone.view(before), "suspect 1");
});

for (const [name, life, count] of [
  ["that came before", 5, 7],
  ["from before the last one", 5, 6],
  ["of an earlier life", 4, 9],
] as const)
  test(`a heartbeat ${name} tells nothing: it was captured`, () => {
    const { lone, before } = among("ab");
    lone.now = 10;
    beat(lone, before, 7, 5);
    assert.equal(lone.ring.heartbeats.awaited?.dueAt, 100);
    lone.now = 50;
    beat(lone, before, count, life);
    assert.equal(lone.ring.heartbeats.awaited?.dueAt, 100);
    beat(lone, before, 1, 6); // Its next life.
    assert.equal(lone.ring.heartbeats.awaited?.dueAt, 140);
  });

test("heartbeats of others tell nothing", () => {
  const { lone, before } = among("ab");
  lone.now = 50;
  beat(lone, before === "a" ? "b" : "a", 1);
  assert.equal(lone.ring.heartbeats.awaited?.dueAt, 90);
});

test("when members come and go, heartbeats of the one before are awaited, within an interval, and of nobody when alone", () => {
  const { lone, before } = among("ab");
  const other = before === "a" ? "b" : "a";
  lone.now = 50;
  lone.packet(dead(before, 1, other));
  const awaited = () => lone.ring.heartbeats.awaited;
  assert.deepEqual(awaited(), { node: other, latest: undefined, dueAt: 140 });
  lone.packet(dead(other, 1, other));
  assert.equal(awaited(), undefined);
  lone.packet(alive(before, 2));
  assert.equal(awaited()?.node, before);
});

test("at HashiCorp's pace there are no heartbeats", () => {
  const lone = LoneRing.among("ab");
  assert.equal(lone.ring.heartbeats.awaited, undefined);
  lone.advanceTo(5000);
  assert.equal(lone.ring.heartbeats.sent, 0);
});

test("while somebody is suspected the neighbor is pinged too: who fails along with it may be the one to miss its heartbeats", () => {
  const { lone, before } = among("abc");
  lone.ring.othersIn = Infinity;
  lone.ring.heartbeats.awaited = undefined;
  lone.packet(suspect(before, 1, "z"));
  lone.ring.toCheck.clear();
  assert.equal(pinged(lone, 80).filter((node) => node !== before).length, 1);
});

test("a neighbor that accuses this node is probed at once: it may hear nobody, while others hear it; another accuser is not", () => {
  for (const accuser of "ab") {
    const { lone } = among("ab");
    lone.packet(suspect("self", 1, accuser));
    const neighbor = lone.ring.places.after(lone.ring.self);
    assert.equal(lone.probe?.node, accuser === neighbor?.node ? accuser : undefined);
  }
});

test("one whose last answer took long is probed in every fourth interval, until an answer is quick", () => {
  const { lone } = among("ab");
  lone.ring.othersIn = 8;
  lone.ring.heartbeats.awaited = undefined;
  lone.record("a").slowProbes = 1;
  lone.ring.places.update(lone.record("a"));
  const interval = heartbeatInterval(lone.ring);
  assert.deepEqual(pinged(lone, 4 * interval), ["a"]);
  lone.now += 26;
  lone.packet({ type: "ack", sequence: lone.ring.sequence, payload: undefined });
  lone.ring.othersIn = 8;
  assert.deepEqual(pinged(lone, 8 * interval), ["a"]);
  lone.packet({ type: "ack", sequence: lone.ring.sequence, payload: undefined });
  lone.ring.othersIn = 100;
  assert.deepEqual(pinged(lone, 20 * interval), []);
});

test("ten heartbeats in a row that show the same difference lead to one comparison of views; another difference to another", () => {
  const { lone, before } = among("ab");
  let count = 0;
  const pulls = (beats: number, digest: number) => {
    lone.effects = [];
    for (let i = 0; i < beats; i++) beat(lone, before, ++count, 1, digest);
    return lone.take("exchange").map(({ message }) => message.type);
  };
  const own = lone.ring.places.digest;
  assert.deepEqual(pulls(30, own), []);
  assert.deepEqual(pulls(9, 1), []);
  assert.deepEqual(pulls(9, 2), []);
  assert.deepEqual(pulls(1, 2), ["pushPull"]);
  assert.deepEqual(pulls(30, 2), []);
  assert.deepEqual(pulls(1, own), []);
  assert.deepEqual(pulls(10, 2), ["pushPull"]);
});

test("the digest is that of members and incarnations and of gossip, in whatever order they came, and not of suspicions", () => {
  const digests = [
    [alive("a", 1), alive("b", 2)],
    [alive("b", 2), alive("a", 1)],
    [alive("a", 1), alive("b", 2), suspect("b", 2, "a")],
    [alive("a", 1), alive("b", 2), alive("c", 1), dead("c", 1, "a")],
    [alive("a", 1), alive("b", 3)],
    [alive("a", 1)],
  ].map((messages) => {
    const lone = new LoneRing({ timing: "fast" });
    for (const message of messages) message.type === "alive" ? lone.meet(message) : lone.packet(message);
    return lone.ring.places.digest;
  });
  const [first] = digests;
  assert.deepEqual(
    digests.map((digest) => digest === first),
    [true, true, true, true, false, false],
  );
});

test("a heartbeat answers no ping, also when the numbers of pings begin anew", () => {
  const { lone, before } = among("abc");
  lone.ring.sequence = 0xffff_ffff;
  lone.packet(alive("n", 7));
  beat(lone, before, 1);
  assert.equal(lone.view("n"), "unknown");
});
