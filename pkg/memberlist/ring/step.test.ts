import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMetadata, encodeMetadata, MetadataKey } from "../codec/metadata.ts";
import { alive, at, dead, endpointOf, LoneRing, state, suspect } from "../testing/lone-ring.ts";
import { members, nextDeadline } from "./step.ts";

const offer = encodeMetadata(new Map([[MetadataKey.timing, Uint8Array.of(3)]]));

test("start: the node announces itself at incarnation 1 and joins its own ring", () => {
  const lone = new LoneRing();
  assert.deepEqual(lone.changes(), ["joined self"]);
  assert.equal(lone.view("self"), "alive 1");
  assert.deepEqual(lone.queued(), [alive("self", 1, { endpoint: at(1), meta: encodeMetadata(new Map()) })]);
  assert.deepEqual(
    members(lone.ring).map(({ node }) => node),
    ["self"],
  );
});

test("members are the alive and the suspect, self included", () => {
  const lone = LoneRing.among("abcd");
  lone.packet(suspect("a", 1, "z"));
  lone.packet(dead("b", 1, "z"));
  lone.packet(dead("c", 1, "c"));
  assert.deepEqual(
    members(lone.ring)
      .map(({ node }) => node)
      .toSorted(),
    ["a", "d", "self"],
  );
});

test("metadata: a change is announced with the next incarnation", () => {
  const lone = LoneRing.among("a");
  const fields = new Map([[9, Uint8Array.of(7)]]);
  lone.step({ type: "metadata", fields });
  assert.deepEqual(lone.changes(), ["updated self"]);
  const meta = encodeMetadata(fields);
  assert.deepEqual(lone.queued(), [alive("self", 2, { endpoint: at(1), meta })]);
});

test("metadata: the same again changes nothing", () => {
  const lone = LoneRing.among("a");
  lone.step({ type: "metadata", fields: new Map() });
  assert.deepEqual([lone.view("self"), lone.effects], ["alive 1", []]);
});

test("metadata: one that does not fit is refused and changes nothing, also when only what the ring adds is too much", () => {
  for (const [timing, last, fits] of [
    ["lan", 247, true],
    ["lan", 248, false],
    ["auto", 244, true],
    ["auto", 245, false],
  ] as const) {
    const own = timing === "lan" ? LoneRing.among("a") : slowly(10); // One that never offers, one that does not at the moment.
    const before = own.view("self");
    const step = () =>
      own.step({
        type: "metadata",
        fields: new Map([
          [2, new Uint8Array(255)],
          [3, new Uint8Array(last)],
        ]),
      });
    if (fits) step();
    else assert.throws(step, RangeError);
    assert.equal(own.view("self") === before, !fits, `${timing} ${last}`);
  }
});

test("leave: the leave is gossiped until it was sent often enough, and then finished", () => {
  const lone = LoneRing.among("ab");
  lone.ring.probeAt = Infinity;
  lone.step({ type: "leave" });
  assert.deepEqual(lone.take("leaveFinished"), []);
  lone.advanceTo(1000);
  const { effects } = lone;
  const sent = effects.filter((effect) => effect.type === "send");
  assert.equal(sent.length, 4);
  assert.ok(sent.every(({ messages }) => messages.length === 1 && messages[0]?.type === "dead" && messages[0].from === "self"));
  assert.equal(lone.take("leaveFinished").length, 1);
  assert.equal(lone.view("self"), "left 1");
});

test("leave: who pings a node that has left, and so has missed it, is told with the answer", () => {
  const lone = LoneRing.among("ab");
  lone.ring.probeAt = Infinity;
  lone.step({ type: "leave" });
  lone.advanceTo(1000);
  lone.effects = [];
  lone.packet({ type: "ping", sequence: 9, node: "self", source: undefined }, at(97));
  const sent = lone.sends().map(({ to, messages }) => [to, ...messages]);
  assert.deepEqual(sent, [
    [at(97), { type: "ack", sequence: 9, payload: undefined }],
    [at(97), dead("self", 1, "self")],
  ]);
});

test("leave: without another member it is finished at once", () => {
  const lone = LoneRing.among("a");
  lone.packet(dead("a", 1, "a"));
  lone.step({ type: "leave" });
  assert.equal(lone.take("leaveFinished").length, 1);
});

test("leave: a second one is finished too, once the first is", () => {
  const lone = new LoneRing();
  lone.step({ type: "leave" });
  lone.step({ type: "leave" });
  assert.equal(lone.take("leaveFinished").length, 2);
});

test("leave: a node that left refutes nothing, ignores messages about it, and keeps its metadata", () => {
  const lone = LoneRing.among("a");
  lone.step({ type: "leave" });
  lone.packet(suspect("self", 5, "a"));
  lone.packet(dead("self", 5, "a"));
  lone.packet(alive("self", 9, { endpoint: at(1) }));
  lone.step({ type: "metadata", fields: new Map([[9, Uint8Array.of(7)]]) });
  assert.equal(lone.view("self"), "left 1");
});

test("leave: a node that left answers pings, and lists itself as left", () => {
  const lone = LoneRing.among("a");
  lone.step({ type: "leave" });
  lone.quieten();
  lone.packet({ type: "ping", sequence: 3, node: "self", source: undefined });
  assert.equal(lone.sends()[0]?.messages[0]?.type, "ack");
  lone.pushPull([]);
  const [reply] = lone.take("reply");
  assert.ok(reply?.message.type === "pushPull");
  assert.equal(reply.message.states.find(({ node }) => node === "self")?.status, "left");
});

test("an accusation that was refuted already is answered with the refutation", () => {
  const lone = LoneRing.among("b");
  lone.meet(alive("a", 6));
  lone.quieten();
  for (const accusation of [suspect("a", 5, "b"), dead("a", 5, "b")]) {
    lone.packet(accusation, at(50));
    assert.deepEqual(lone.sends(), [{ type: "send", to: at(50), messages: [alive("a", 6)], checksum: false }]);
  }
  assert.equal(lone.view("a"), "alive 6");
});

for (const [name, gone] of [
  ["failed", dead("a", 5, "self")],
  ["left", dead("a", 5, "a")],
] as const) {
  test(`a suspicion of a node that ${name} already is answered with that`, () => {
    const lone = LoneRing.among("b");
    lone.meet(alive("a", 5));
    lone.packet(gone);
    lone.quieten();
    const from = endpointOf("b");
    lone.packet(suspect("a", 5, "b"), from);
    assert.deepEqual(lone.sends(), [{ type: "send", to: from, messages: [gone], checksum: false }]);
    lone.packet(suspect("a", 6, "b"), from); // It knows more than we do.
    lone.packet(dead("a", 5, "b"), from);
    assert.deepEqual(lone.sends(), []);
  });
}

for (const { name, meanwhile, from, sent } of [
  { name: "sent to one who was a member all the time", meanwhile: [100], from: "b", sent: true },
  { name: "not sent to one who joined since then", meanwhile: [100], from: "c", sent: false },
  { name: "sent as long as nobody forgets it", meanwhile: Array(5).fill(3000), from: "b", sent: true },
  { name: "not sent later", meanwhile: [...Array(5).fill(3000), 1], from: "b", sent: false },
  { name: "not sent when this node was cut off", meanwhile: [4001], from: "b", sent: false },
])
  test(`a death is ${name}: the accused may live behind a cut`, () => {
    const lone = LoneRing.among("ab");
    lone.packet(dead("a", 1, "b"));
    for (const pause of meanwhile) {
      lone.now += pause;
      lone.meet(alive("c", 1));
    }
    lone.quieten();
    lone.packet(suspect("a", 1, from), endpointOf(from));
    assert.deepEqual(
      lone.sends().map(({ messages: [first] }) => first),
      sent ? [dead("a", 1, "self")] : [],
    );
  });

test("an accusation of somebody who did not refute is not answered", () => {
  const lone = LoneRing.among("ab");
  lone.packet(suspect("a", 3, "b"));
  lone.quieten();
  lone.packet(suspect("a", 2, "b"), at(50));
  lone.packet(suspect("b", 1, "a"), at(50));
  assert.deepEqual(lone.sends(), []);
});

test("timing: alone it is fast, and stays so among those that offer it", () => {
  const lone = new LoneRing({ timing: "auto" });
  lone.meet(alive("a", 1, { meta: offer }));
  assert.equal(lone.ring.timing.name, "fast");
  assert.deepEqual(lone.take("timingChanged"), []);
});

for (const [name, gone] of [
  ["leaves", dead("b", 1, "b")],
  ["dies", dead("b", 1, "a")],
] as const) {
  test(`timing: a member that does not offer it slows the ring down until it ${name}`, () => {
    const lone = new LoneRing({ timing: "auto" });
    lone.meet(alive("a", 1, { meta: offer }));
    lone.meet(alive("b", 1));
    assert.deepEqual(lone.take("timingChanged"), [{ type: "timingChanged", timing: "lan", because: "b" }]);
    lone.packet(suspect("b", 1, "a"));
    assert.equal(lone.ring.timing.name, "lan");
    lone.now = 5000;
    lone.packet(gone);
    assert.deepEqual(lone.take("timingChanged"), [{ type: "timingChanged", timing: "fast", because: undefined }]);
    assert.ok(lone.ring.probeAt <= 5050);
    assert.ok(lone.ring.pushPullAt <= 15_000);
  });
}

test("timing: it is chosen once for a whole view, not for each member in it", () => {
  const lone = new LoneRing({ timing: "auto" });
  lone.pull([state("a", 1), state("b", 1, { meta: offer }), state("c", 1)]);
  assert.equal(lone.take("timingChanged").length, 1);
});

test("timing: a member that withdraws or takes up the offer changes the pace", () => {
  const lone = new LoneRing({ timing: "auto" });
  lone.meet(alive("a", 1, { meta: offer }));
  lone.packet(alive("a", 2, { meta: undefined }));
  lone.packet(alive("a", 3, { meta: offer }));
  assert.deepEqual(
    lone.take("timingChanged").map(({ timing }) => timing),
    ["lan", "fast"],
  );
});

for (const timing of ["lan", "fast"] as const) {
  test(`timing: ${timing} can be forced, whatever the others offer`, () => {
    const lone = new LoneRing({ timing });
    lone.meet(alive("a", 1, { meta: timing === "lan" ? offer : undefined }));
    assert.equal(lone.ring.timing.name, timing);
    assert.equal(decodeMetadata(lone.record("self").meta)?.has(MetadataKey.timing), timing === "fast");
  });
}

/** Among members that offer the fast timing, at that pace, `a` answers this many probes after 26 ms. */
function slowly(answers: number, timing: "auto" | "fast" = "auto"): LoneRing {
  const lone = new LoneRing({ timing });
  lone.meet(alive("a", 1, { meta: offer }));
  for (let i = 0; i < answers; i++) answer(lone, 26);
  return lone;
}

/** Waits for a probe and answers it. */
function answer(lone: LoneRing, time: number): void {
  while (lone.probe === undefined) lone.advanceTo(Math.max(lone.now, nextDeadline(lone.ring)));
  const { sequence } = lone.probe;
  lone.now += time;
  lone.packet({ type: "ack", sequence, payload: undefined });
}

const offers = (lone: LoneRing) => decodeMetadata(lone.record("self").meta)?.has(MetadataKey.timing);

test("timing: a member that answers ten probes in a row slowly makes this node withdraw its offer until it answers three quickly", () => {
  const lone = slowly(9);
  assert.deepEqual([offers(lone), lone.ring.timing.name], [true, "fast"]);
  answer(lone, 26);
  assert.deepEqual([offers(lone), lone.ring.timing.name], [false, "lan"]);
  assert.deepEqual(
    lone.take("timingChanged").map(({ because }) => because),
    ["a"],
  );
  for (let i = 0; i < 15; i++) answer(lone, 26);
  answer(lone, 25);
  answer(lone, 25);
  assert.equal(lone.ring.timing.name, "lan");
  answer(lone, 25);
  assert.deepEqual([offers(lone), lone.ring.timing.name], [true, "fast"]);
});

test("timing: slow probes do not count when a quick one is among them", () => {
  const lone = slowly(9);
  answer(lone, 25);
  for (let i = 0; i < 9; i++) answer(lone, 26);
  assert.equal(lone.ring.timing.name, "fast");
});

test("timing: a slow member is none while it is gone, and slow again when it comes back, after it failed or left, until it answers quickly", () => {
  for (const accuser of ["a", "b"]) {
    const lone = slowly(10);
    lone.packet(dead("a", 1, accuser));
    assert.equal(lone.ring.timing.name, "fast");
    lone.packet(alive("a", 2, { meta: offer }));
    assert.equal(lone.ring.timing.name, "lan");
  }
});

test("timing: where fast is forced it stays, however slowly others answer", () => {
  assert.deepEqual([slowly(15, "fast").ring.timing.name, offers(slowly(15, "fast"))], ["fast", true]);
});

test("timers: one that comes early changes nothing", () => {
  const lone = LoneRing.among("a");
  lone.now = 999;
  lone.step({ type: "timer" });
  assert.deepEqual([lone.effects, nextDeadline(lone.ring)], [[], 1000]);
});

test("timers: after a stall the packets that wait come first, and an answer among them spares the node", () => {
  const lone = LoneRing.among("a");
  lone.advanceTo(1000);
  assert.equal(lone.probe?.sequence, 1);
  lone.now = 9000; // The process did not run for 8 s.
  lone.step({ type: "timer" });
  assert.equal(lone.view("a"), "alive 1");
  lone.packet({ type: "ack", sequence: 1, payload: undefined });
  lone.advanceTo(9500);
  assert.equal(lone.view("a"), "alive 1");
  assert.equal(lone.ring.counters.stalls, 1);
});

test("timers: after a stall the others still get their time to probe for us", () => {
  const lone = LoneRing.among("ab");
  lone.advanceTo(1000);
  const { node = "" } = lone.probe ?? {};
  lone.now = 9000;
  lone.step({ type: "timer" });
  lone.advanceTo(9020 + 499);
  assert.equal(lone.view(node), "alive 1");
  lone.advanceTo(9020 + 500);
  assert.equal(lone.view(node), "suspect 1");
});

test("timers: one that is always late still comes to its verdict", () => {
  const lone = LoneRing.among("a");
  for (let late = 0; lone.view("a") !== "dead 1"; late++) {
    assert.ok(late < 100, "no verdict");
    lone.now = Math.max(lone.now, nextDeadline(lone.ring) + 300);
    lone.step({ type: "timer" });
  }
});

/** A node alone whose timers run 200 ms late, this many times. */
function stalling(timers: number, timing: "auto" | "fast" = "auto"): LoneRing {
  const lone = new LoneRing({ timing });
  for (let i = 0; i < timers; i++) {
    lone.now = nextDeadline(lone.ring) + 200;
    lone.step({ type: "timer" });
  }
  return lone;
}

test("timing: a node that stalls time and again withdraws its offer, and says that it is itself the reason", () => {
  assert.deepEqual(stalling(5).take("timingChanged"), []);
  const lone = stalling(15);
  assert.deepEqual(lone.take("timingChanged"), [{ type: "timingChanged", timing: "lan", because: "self" }]);
  assert.equal(offers(lone), false);
});

test("timing: it offers it again after three minutes without stalls, not before", () => {
  const lone = stalling(15);
  lone.effects = [];
  lone.advanceTo(lone.now + 175_000);
  assert.equal(offers(lone), false);
  lone.advanceTo(lone.now + 10_000);
  assert.equal(offers(lone), true);
  assert.deepEqual(lone.take("timingChanged"), [{ type: "timingChanged", timing: "fast", because: undefined }]);
});

test("timing: where fast is forced it stays, however often this node stalls", () => {
  const lone = stalling(50, "fast");
  assert.deepEqual([lone.ring.timing.name, offers(lone)], ["fast", true]);
});
