import assert from "node:assert/strict";
import { test } from "node:test";
import { alive, dead, endpointOf, LoneRing } from "../testing/lone-ring.ts";

/** At the fast pace, `a` to `c` have failed, and nothing but asking them is ever due. */
function bereft(nodes = "abc"): LoneRing {
  const lone = LoneRing.among(nodes, { timing: "fast" });
  for (const node of nodes) lone.packet(dead(node, 1, "other"));
  lone.ring.probeAt = Infinity;
  lone.ring.pushPullAt = Infinity;
  lone.quieten();
  return lone;
}

/** Nodes that are pinged until then, and when. */
function pinged(lone: LoneRing, until: number): { node: string; at: number }[] {
  const all: { node: string; at: number }[] = [];
  lone.ring.heartbeats.awaited = undefined;
  while (lone.ring.reconnectAt <= until) {
    lone.advanceTo(lone.ring.reconnectAt);
    for (const { messages } of lone.sends())
      for (const message of messages) if (message.type === "ping") all.push({ node: message.node, at: lone.now });
  }
  lone.now = until;
  return all;
}

const nodesOf = (pings: readonly { node: string }[]) => pings.map(({ node }) => node).join("");

/** The one that was pinged last answers. */
function answer(lone: LoneRing): void {
  lone.packet({ type: "ack", sequence: lone.ring.sequence, payload: undefined });
}

test("those that failed are pinged in turn, four a second at first", () => {
  const pings = pinged(bereft(), 3000);
  assert.match(nodesOf(pings), /^(?!.*(.).?\1)[abc]+$/); // No one of the three comes again before both others.
  assert.ok(pings.length >= 9 && pings.length <= 16, `${pings.length}`);
  assert.ok(pings.every(({ at }, i) => at - (pings[i - 1]?.at ?? at - 250) <= 375));
});

test("they are pinged less often with time, and after ten minutes no more", () => {
  const lone = bereft("a");
  assert.ok(pinged(lone, 60_000).length > 200);
  pinged(lone, 540_000);
  const last = pinged(lone, 600_000);
  assert.ok(last.length > 15 && last.length < 40, `${last.length}`);
  assert.deepEqual(pinged(lone, 610_000), []);
  assert.equal(lone.ring.failed.size, 0);
});

test("where many members ping them, each does so less often", () => {
  const lone = bereft("a");
  for (let i = 0; i < 49; i++) lone.meet(alive(`m${i}`, 1, { endpoint: endpointOf("m") }));
  lone.quieten();
  const pings = pinged(lone, 60_000);
  assert.ok(pings.length >= 45 && pings.length <= 80, `${pings.length}`); // Every second, by chance.
});

test("those that left, or are members again, are not pinged", () => {
  const lone = bereft("ab");
  lone.packet(alive("a", 2));
  assert.match(nodesOf(pinged(lone, 2000)), /^b+$/);
  const left = LoneRing.among("a");
  left.packet(dead("a", 1, "a"));
  assert.equal(left.ring.reconnectAt, Infinity);
});

test("a node that leaves pings none of them", () => {
  const lone = bereft();
  lone.step({ type: "leave" });
  assert.deepEqual(pinged(lone, 3000), []);
});

test("an answer leads to a comparison of views at once, and only the first answer", () => {
  const lone = bereft("a");
  lone.advanceTo(lone.ring.reconnectAt);
  lone.effects = [];
  answer(lone);
  answer(lone);
  assert.deepEqual(
    lone.take("exchange").map(({ to, message }) => [to, message.type]),
    [[endpointOf("a"), "pushPull"]],
  );
  assert.deepEqual(pinged(lone, lone.now + 350), []); // Time for them to refute.
  assert.ok(pinged(lone, lone.now + 500).length > 0);
});

test("one that is forgotten as a node is pinged all the same, and joins by its answer", () => {
  const lone = bereft("a");
  lone.ring.probeAt = lone.now;
  lone.advanceTo(40_000);
  assert.equal(lone.view("a"), "unknown");
  lone.ring.probeAt = Infinity;
  lone.advanceTo(lone.ring.reconnectAt);
  lone.effects = [];
  answer(lone);
  const [exchange] = lone.take("exchange");
  assert.ok(exchange?.message.type === "pushPull");
  const { type, ...state } = alive("a", 1);
  const message = { ...exchange.message, states: [{ ...state, status: "alive" as const }] };
  lone.step({ type: "exchanged", exchange: exchange.exchange, message });
  assert.equal(lone.view("a"), "unknown"); // Until it answers once more: somebody may have captured that view.
  answer(lone);
  assert.deepEqual([lone.view("a"), lone.ring.failed.size], ["alive 1", 0]);
});

test("of very many that failed, the last hundred are pinged", () => {
  const lone = LoneRing.among("a", { timing: "fast" });
  for (let i = 0; i < 150; i++) {
    lone.meet(alive(`n${i}`, 1, { endpoint: endpointOf("n") }));
    lone.now += 1;
    lone.packet(dead(`n${i}`, 1, "a"));
  }
  lone.ring.probeAt = Infinity;
  lone.ring.pushPullAt = Infinity;
  lone.quieten();
  const nodes = new Set(pinged(lone, 60_000).map(({ node }) => node));
  assert.equal(nodes.size, 100);
  assert.ok(nodes.has("n149") && !nodes.has("n49"));
});

test("after one that failed came back, views are compared soon, also with others", () => {
  const lone = bereft("a");
  lone.packet(alive("a", 2));
  assert.ok(lone.ring.pushPullAt - lone.now >= 300 && lone.ring.pushPullAt - lone.now <= 600, `${lone.ring.pushPullAt}`);
});

test("the verdict of a node that receives nothing stays with it", () => {
  const lone = LoneRing.among("ab", { timing: "fast" });
  lone.advanceTo(2000);
  assert.deepEqual([lone.view("a"), lone.view("b")], ["dead 1", "dead 1"]);
  assert.ok(lone.sends().every(({ messages }) => messages.every(({ type }) => type !== "dead")));
});

test("one that is suspected while the node receives nothing has all of its time once it receives again", () => {
  const lone = LoneRing.among("ab", { timing: "fast" });
  lone.advanceTo(250);
  assert.equal(lone.view("b"), "suspect 1");
  lone.packet(alive("a", 2));
  lone.advanceTo(395);
  assert.equal(lone.view("b"), "suspect 1");
  lone.advanceTo(405);
  assert.equal(lone.view("b"), "dead 1");
});
