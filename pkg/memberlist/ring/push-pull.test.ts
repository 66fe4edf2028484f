import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeDigest, encodeDigest } from "../codec/heartbeat.ts";
import type { MemberState } from "../codec/messages.ts";
import { alive, at, dead, endpointOf, LoneRing, pushPull, state, suspect } from "../testing/lone-ring.ts";

test("the first push/pull comes a random part of the interval after one interval, or soon after a join, then one each interval", () => {
  const lone = new LoneRing({ random: () => 0.5 });
  assert.equal(lone.ring.pushPullAt, 45_000);
  lone.meet(alive("a", 1));
  lone.quieten();
  lone.ring.probeAt = Infinity;
  lone.advanceTo(4499);
  assert.deepEqual(lone.effects, []);
  lone.advanceTo(4500);
  const [exchange] = lone.take("exchange");
  assert.deepEqual([exchange?.to, exchange?.deadline], [at(97), 14_500]);
  assert.equal(lone.ring.pushPullAt, 34_500);
});

test("push/pull carries all that is known: self, suspect, dead and left", () => {
  const lone = LoneRing.among("abcd");
  lone.packet(suspect("a", 1, "z"));
  lone.packet(dead("b", 1, "z"));
  lone.packet(dead("c", 1, "c"));
  lone.effects = [];
  lone.pushPull([]);
  const [reply] = lone.take("reply");
  assert.ok(reply?.message.type === "pushPull");
  const views = reply.message.states.map(({ node, status, versions }) => `${node} ${status} ${versions.length}`);
  assert.deepEqual(views.toSorted(), ["a suspect 6", "b dead 6", "c left 6", "d alive 6", "self alive 6"]);
});

test("a request for push/pull is answered with the view before merging, and its join flag", () => {
  const lone = new LoneRing();
  lone.step({ type: "request", stream: 4, from: at(97), message: pushPull([state("a", 1)], true) });
  const [reply] = lone.take("reply");
  assert.ok(reply?.message.type === "pushPull");
  assert.equal(reply.stream, 4);
  assert.equal(reply.message.join, true);
  assert.deepEqual(
    reply.message.states.map(({ node }) => node),
    ["self"],
  );
  assert.equal(lone.view("a"), "unknown");
  lone.answerAs("a");
  assert.equal(lone.view("a"), "alive 1");
});

test("only those alive are chosen: not the suspect, the dead and the left", () => {
  const lone = LoneRing.among("abcd");
  lone.ring.probeAt = Infinity;
  for (const message of [suspect("a", 1, "z"), dead("b", 1, "z"), dead("c", 1, "c")]) lone.packet(message);
  lone.effects = [];
  const tried = new Set<number | undefined>();
  for (let round = 0; round < 10; round++) {
    lone.ring.pushPullAt = lone.now;
    lone.step({ type: "timer" });
    for (const { to } of lone.take("exchange")) tried.add(to.address[3]);
  }
  assert.deepEqual([...tried], [endpointOf("d").address[3]]);
});

for (const [name, message, answer] of [
  ["a ping for us", { type: "ping", sequence: 3, node: "self", source: undefined }, "reply"],
  ["a ping for anybody", { type: "ping", sequence: 3, node: "", source: undefined }, "reply"],
  ["a ping for another", { type: "ping", sequence: 3, node: "other", source: undefined }, "close"],
  ["an ack", { type: "ack", sequence: 3, payload: undefined }, "close"],
  ["an error", { type: "error", message: "EOF" }, "close"],
] as const) {
  test(`a stream with ${name} gets one ${answer}`, () => {
    const lone = new LoneRing();
    lone.effects = [];
    lone.step({ type: "request", stream: 8, from: at(97), message });
    const ack = { type: "ack", sequence: 3, payload: undefined };
    assert.deepEqual(lone.effects, [
      answer === "reply" ? { type: "reply", stream: 8, message: ack } : { type: "close", stream: 8 },
    ]);
  });
}

/** Views that `self`, speaking 2 of 1 to 5 and delegate 0 of 0, receives. */
const views: readonly { name: string; states: readonly MemberState[]; refused: boolean }[] = [
  { name: "the same versions", states: [state("n", 1)], refused: false },
  { name: "a narrower range around what all speak", states: [state("n", 1, { versions: [2, 2, 2, 0, 0, 0] })], refused: false },
  {
    name: "a living node that understands only newer ones",
    states: [state("n", 1, { versions: [3, 5, 3, 0, 0, 0] })],
    refused: true,
  },
  {
    name: "a living node that understands only older ones",
    states: [state("n", 1, { versions: [1, 1, 1, 0, 0, 0] })],
    refused: true,
  },
  {
    name: "a dead node that spoke another",
    states: [state("n", 1, { status: "dead", versions: [1, 9, 9, 0, 0, 0] })],
    refused: true,
  },
  {
    name: "a dead node with a narrow range",
    states: [state("n", 1, { status: "dead", versions: [2, 2, 2, 0, 0, 0] })],
    refused: false,
  },
  { name: "a delegate above ours", states: [state("n", 1, { versions: [1, 5, 2, 1, 1, 1] })], refused: true },
  { name: "no versions", states: [state("n", 1, { versions: [0, 0, 0, 0, 0, 0] })], refused: true },
  { name: "one misfit among many", states: [state("n", 1), state("m", 1, { versions: [3, 5, 3, 0, 0, 0] })], refused: true },
];
for (const { name, states, refused } of views) {
  test(`a view with ${name} is ${refused ? "refused whole" : "merged"}`, () => {
    const lone = new LoneRing();
    lone.pull(states);
    assert.equal(lone.take("exchangeProblem").length, refused ? 1 : 0);
    assert.equal(lone.view("n"), refused ? "unknown" : states[0]?.status === "dead" ? "unknown" : "alive 1");
    assert.deepEqual([lone.ring.counters.pushPulls, lone.ring.counters.pushPullsRefused], refused ? [0, 1] : [1, 0]);
  });
}

test("a join goes to four at once, and not to those that were learned of meanwhile", () => {
  const lone = new LoneRing();
  lone.effects = [];
  lone.step({ type: "join", join: 5, endpoints: [..."abcdef"].map((node) => at(node.charCodeAt(0))) });
  const opened = lone.take("exchange");
  assert.deepEqual(
    opened.map(({ to }) => to.address[3]),
    [97, 98, 99, 100],
  );
  assert.ok(opened.every(({ message }) => message.type === "pushPull" && message.join));
  const [first, ...others] = opened;
  assert.ok(first);
  lone.step({ type: "exchanged", exchange: first.exchange, message: pushPull([..."abcdef"].map((node) => state(node, 1))) });
  for (const { exchange } of others) lone.step({ type: "exchangeFailed", exchange, reason: "refused" });
  assert.deepEqual(lone.take("joinFinished"), [
    {
      type: "joinFinished",
      join: 5,
      joined: 3,
      failures: [98, 99, 100].map((last) => ({ endpoint: at(last), reason: "refused" })),
    },
  ]);
});

test("a join of many goes to one, to a further one for each second without an answer, and to four at once", () => {
  const lone = new LoneRing();
  lone.effects = [];
  lone.step({ type: "join", join: 5, endpoints: Array.from({ length: 100 }, (_, i) => at(100 + i)) });
  const opened = [...lone.take("exchange")];
  const look = () => opened.push(...lone.take("exchange")) && opened.length;
  assert.equal(look(), 1);
  for (const [until, want] of [
    [999, 1],
    [1_000, 2],
    [2_000, 3],
    [9_000, 4],
  ] as const) {
    lone.advanceTo(until);
    assert.equal(look(), want);
  }
  for (const { exchange } of opened.slice(1, 3)) lone.step({ type: "exchangeFailed", exchange, reason: "refused" });
  assert.equal(look(), 5);
  lone.advanceTo(10_000);
  assert.equal(look(), 6, "a second after the last one");
});

for (const [name, message, reason] of [
  ["an error", { type: "error", message: "EOF" }, /EOF/],
  ["something else", { type: "ack", sequence: 1, payload: undefined }, /ack/],
  [
    "a view that cannot be merged",
    pushPull([state("a", 1, { versions: [3, 5, 3, 0, 0, 0] })]),
    /protocol version outside 3 to 5: self speaks 2/,
  ],
] as const) {
  test(`a join that is answered with ${name} fails and says so`, () => {
    const lone = new LoneRing();
    lone.step({ type: "join", join: 1, endpoints: [at(97)] });
    const [{ exchange } = { exchange: -1 }] = lone.take("exchange");
    lone.step({ type: "exchanged", exchange, message });
    const [finished] = lone.take("joinFinished");
    assert.equal(finished?.joined, 0);
    assert.match(finished?.failures[0]?.reason ?? "", reason);
  });
}

test("a join of nobody is finished at once", () => {
  const lone = new LoneRing();
  lone.step({ type: "join", join: 1, endpoints: [] });
  assert.deepEqual(lone.take("joinFinished"), [{ type: "joinFinished", join: 1, joined: 0, failures: [] }]);
});

test("the end of an exchange that is unknown or ended already changes nothing", () => {
  const lone = LoneRing.among("a");
  lone.step({ type: "exchanged", exchange: 99, message: pushPull([state("n", 1)]) });
  assert.deepEqual([lone.view("n"), lone.effects], ["unknown", []]);
});

test("a periodic exchange that fails says with whom and why", () => {
  const lone = LoneRing.among("a");
  lone.ring.probeAt = Infinity;
  lone.advanceTo(60_000);
  const [{ exchange } = { exchange: -1 }] = lone.take("exchange");
  lone.step({ type: "exchangeFailed", exchange, reason: "no answer" });
  assert.deepEqual(lone.take("exchangeProblem"), [{ type: "exchangeProblem", with: at(97), reason: "no answer" }]);
});

test("an unknown node in a view that was asked for arrives with what it says of itself", () => {
  const lone = new LoneRing();
  lone.quieten();
  const meta = "\x01";
  lone.pull([state("n", 3, { meta, endpoint: at(9, 0) })]);
  assert.deepEqual(lone.queued(), [alive("n", 3, { meta, endpoint: at(9) })]);
});

const viewOf = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    state(`n${i}`, 1, { endpoint: { address: Uint8Array.of(10, 0, i >> 8, i & 255), port: 7946 } }),
  );

test("the view of a large ring is nobody's news to one that knows few of it: one that joins passes on its own, and what another view has besides", () => {
  const lone = new LoneRing();
  lone.quieten();
  lone.step({ type: "join", join: 1, endpoints: [at(97)] });
  const [{ exchange } = { exchange: -1 }] = lone.take("exchange");
  lone.meet(alive("a", 1)); // It has heard of this node before the answer has arrived.
  lone.ring.broadcasts.take(1e6, 0);
  lone.step({ type: "exchanged", exchange, message: { ...pushPull(viewOf(2_000)), userState: Uint8Array.of(9) } });
  assert.deepEqual(
    lone.effects.filter(({ type }) => type === "user"),
    [{ type: "user", payload: Uint8Array.of(9), isNews: false }],
  );
  assert.equal(lone.view("n1999"), "alive 1");
  lone.effects = [];
  lone.step({ type: "broadcast", topic: "own", text: "news" });
  lone.advanceTo(1_000);
  const sent = lone.sends().flatMap(({ messages }) => messages);
  assert.ok(
    sent.some(({ type }) => type === "user"),
    "in its first packets",
  );
  assert.ok(!sent.some(({ type }) => type === "alive"));
  lone.pull(viewOf(2_001));
  assert.deepEqual(
    lone
      .queued()
      .filter(({ type }) => type === "alive")
      .map((message) => message.type === "alive" && message.node),
    ["n2000"],
  );
});

test("the first view of a small ring is passed on: of several that start together each may know another part", () => {
  const lone = new LoneRing();
  lone.quieten();
  lone.pull(viewOf(99));
  assert.equal(lone.queued().length, 99);
});

test("user state goes with each view as it is then, and what comes with one is emitted", () => {
  let own = 1;
  const lone = new LoneRing({ userState: () => Uint8Array.of(own++) });
  lone.meet(alive("a", 1));
  lone.effects = [];
  const message = { ...pushPull([state("a", 2, { meta: "\x01" })]), userState: Uint8Array.of(9) };
  lone.step({ type: "request", stream: 1, from: at(97), message });
  const types = lone.effects.map(({ type }) => type);
  assert.deepEqual(types, ["reply", "member", "user"], "members are emitted before their user state");
  assert.deepEqual(lone.effects.at(-1), { type: "user", payload: Uint8Array.of(9), isNews: true });
  lone.effects = lone.effects.slice(0, 1);
  assert.deepEqual(
    lone.take("reply").map(({ message }) => message.type === "pushPull" && message.userState),
    [Uint8Array.of(1)],
  );
  lone.step({ type: "join", join: 1, endpoints: [at(98)] });
  assert.deepEqual(
    lone.take("exchange").map(({ message }) => message.type === "pushPull" && message.userState),
    [Uint8Array.of(2)],
  );
});

test("a user message in a packet is emitted", () => {
  const lone = LoneRing.among("a");
  lone.packet({ type: "user", payload: Uint8Array.of(7) });
  assert.deepEqual(lone.effects, [{ type: "user", payload: Uint8Array.of(7), isNews: true }]);
});

test("a view is exchanged at once with a member that is asked for, and with nobody else", () => {
  const lone = new LoneRing();
  lone.pull([state("a", 1), state("b", 1, { status: "dead" })]);
  lone.take("exchange");
  for (const node of ["b", "c", lone.ring.self.node]) lone.step({ type: "pull", node });
  assert.deepEqual(lone.take("exchange"), []);
  lone.step({ type: "pull", node: "a" });
  assert.deepEqual(
    lone.take("exchange").map(({ to, message }) => [to, message.type === "pushPull" && message.join]),
    [[at(97), false]],
  );
});

/** A node among many, at HashiCorp's pace, that probes as the test says. */
function amongMany(others: number): LoneRing {
  const lone = new LoneRing();
  for (let i = 0; i < others; i++) lone.meet(alive(`${i}`, 1, { endpoint: at(1 + i) }));
  lone.quieten();
  lone.ring.reconnectAt = Infinity;
  return lone;
}

/** The digest that it tells those who ping it. */
function toldDigest(lone: LoneRing): number | undefined {
  lone.effects = [];
  lone.packet({ type: "ping", sequence: 9, node: "self", source: undefined });
  const [ack] = lone.sends().flatMap(({ messages }) => messages);
  return ack?.type === "ack" ? decodeDigest(ack.payload) : assert.fail("no answer");
}

/** Pings some, which answer with this payload, until the periodic push/pull is due. @returns exchanges that it opens then */
function exchangesAfter(lone: LoneRing, answers: readonly (Uint8Array | undefined)[]): number {
  for (const payload of answers) {
    lone.ring.probeAt = lone.now;
    lone.ring.othersIn = 1;
    lone.step({ type: "timer" });
    lone.packet({ type: "ack", sequence: lone.probe?.sequence ?? 0, payload });
  }
  lone.ring.probeAt = Infinity;
  lone.effects = [];
  lone.ring.pushPullAt = lone.now;
  lone.step({ type: "timer" });
  return lone.take("exchange").length;
}

test("a ring of up to 32 tells no digests in answers to pings", () => {
  assert.equal(toldDigest(amongMany(31)), undefined);
  assert.notEqual(toldDigest(amongMany(32)), undefined);
});

for (const [name, others, payloads, exchanges] of [
  ["two members told the same digest", 40, ["same", "same"], 0],
  ["others told the same digest before and after another one", 40, ["same", "other", "none", "same"], 0],
  ["one told the same digest", 40, ["same"], 1],
  ["one told the same digest, and members that know of no digests answered", 40, ["same", "none", "none", "none"], 1],
  ["all told other digests", 40, ["other", "other", "other"], 1],
  ["the ring is small", 20, ["same", "same", "same"], 1],
] as const)
  test(`the periodic push/pull is ${exchanges === 0 ? "left out" : "made"} where ${name}`, () => {
    const lone = amongMany(others);
    const digest = lone.ring.places.digest;
    const payload = { same: encodeDigest(digest), other: encodeDigest(digest + 1), none: undefined };
    const answers = payloads.map((each) => payload[each]);
    assert.equal(exchangesAfter(lone, answers), exchanges);
    assert.equal(exchangesAfter(lone, []), 1, "digests hold for one interval");
  });

test("one member that tells whatever digest it wants, over and over, keeps no other from comparing views", () => {
  const lone = amongMany(40);
  const [liar] = lone.ring.order.filter(({ node }) => node !== "self");
  assert.ok(liar);
  for (let times = 0; times < 5; times++) {
    lone.ring.probeIndex = lone.ring.order.indexOf(liar);
    const answer = encodeDigest(toldDigest(lone) ?? 0);
    assert.equal(exchangesAfter(lone, [answer]), 1);
  }
});

test("after a join, digests count that were told since", () => {
  const lone = amongMany(40);
  for (const node of ["1", "2"]) lone.ring.agreeing.add(node);
  lone.meet(alive("new", 1, { endpoint: at(99) }));
  assert.equal(exchangesAfter(lone, [encodeDigest(lone.ring.places.digest)]), 1);
});
