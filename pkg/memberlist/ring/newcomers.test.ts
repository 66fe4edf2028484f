import assert from "node:assert/strict";
import { test } from "node:test";
import type { PacketMessage } from "../codec/messages.ts";
import { alive, at, dead, LoneRing, pushPull, state, versions } from "../testing/lone-ring.ts";

/** A node that knows `a`, `b` and `c`, and whose own timers are far away. */
function quiet(): LoneRing {
  const lone = LoneRing.among("abc");
  Object.assign(lone.ring, { probeAt: Infinity, pushPullAt: Infinity });
  return lone;
}

/** Messages sent since the last look, as `ping n` or, through others, `indirectPing n`. */
function asked(lone: LoneRing): string[] {
  const about = (message: PacketMessage | undefined) => (message !== undefined && "node" in message ? ` ${message.node}` : "");
  return lone.sends().map(({ messages: [message] }) => `${message?.type}${about(message)}`);
}

const direct = ["ping n"];
const everyWay = ["ping n", "indirectPing n", "indirectPing n", "indirectPing n"];

test("an unknown node joins by its answer to a ping, and is not passed on before", () => {
  const lone = quiet();
  lone.packet(alive("n", 7, { endpoint: at(9, 0) }));
  const [ping] = lone.take("send");
  assert.deepEqual([ping?.to, ping?.messages.length, lone.view("n"), lone.queued()], [at(9), 1, "unknown", []]);
  lone.answerAs("n");
  assert.deepEqual([lone.view("n"), lone.changes()], ["alive 7", ["joined n"]]);
  assert.deepEqual(lone.queued(), [alive("n", 7, { endpoint: at(9) })]);
  lone.quieten();
  lone.advanceTo(5000);
  assert.deepEqual(asked(lone), []);
});

test("who is unknown and sends its view joins in the same way, and is answered at once", () => {
  const lone = quiet();
  lone.step({ type: "request", stream: 1, from: at(9), message: pushPull([state("n", 7)], true) });
  assert.deepEqual([lone.take("reply").length, lone.view("n")], [1, "unknown"]);
  lone.answerAs("n");
  assert.equal(lone.view("n"), "alive 7");
});

test("one that does not answer is pinged four times, ever less often, from the second on through others too, and on a stream once", () => {
  const lone = quiet();
  lone.packet(alive("n", 7));
  assert.deepEqual(asked(lone), direct);
  for (const until of [500, 1500, 3500]) {
    lone.advanceTo(until - 1);
    assert.deepEqual(lone.effects, []);
    lone.advanceTo(until);
    const exchanges = lone.effects.filter(({ type }) => type === "exchange");
    assert.equal(exchanges.length, until === 500 ? 1 : 0);
    assert.deepEqual(asked(lone), everyWay);
  }
  lone.advanceTo(10_000);
  assert.deepEqual([lone.effects, lone.ring.newcomers.size, lone.view("n")], [[], 0, "unknown"]);
  lone.packet(alive("n", 7));
  assert.deepEqual(asked(lone), direct);
});

test("it does not matter which ping it answers, nor how", () => {
  const late = quiet();
  late.packet(alive("n", 7));
  const { sequence } = late.ring;
  late.advanceTo(2000);
  late.packet({ type: "ack", sequence, payload: undefined });
  assert.equal(late.view("n"), "alive 7");

  const onStream = quiet();
  onStream.packet(alive("n", 7));
  onStream.advanceTo(600);
  const [{ exchange, message } = { exchange: -1, message: undefined }] = onStream.take("exchange");
  assert.ok(message?.type === "ping");
  onStream.step({ type: "exchanged", exchange, message: { type: "ack", sequence: message.sequence + 1, payload: undefined } });
  assert.equal(onStream.view("n"), "unknown");
  onStream.advanceTo(8000);
  onStream.packet(alive("n", 7));
  onStream.advanceTo(8600);
  const [again = { exchange: -1, message: undefined }] = onStream.take("exchange");
  assert.ok(again.message?.type === "ping");
  const ack = { type: "ack", sequence: again.message.sequence, payload: undefined } as const;
  onStream.step({ type: "exchanged", exchange: again.exchange, message: ack });
  assert.equal(onStream.view("n"), "alive 7");
});

test("one below protocol 3 is not pinged on a stream", () => {
  const lone = quiet();
  lone.packet(alive("n", 7, { versions: [1, 2, 2, 0, 0, 0] }));
  lone.advanceTo(7000);
  assert.deepEqual(lone.take("exchange"), []);
});

test("what is captured again and again has it pinged no more often, and what is newer counts instead", () => {
  const lone = quiet();
  for (let times = 0; times < 100; times++) lone.packet(alive("n", 7 - (times % 3)));
  assert.deepEqual(asked(lone), direct);
  lone.packet(alive("n", 8, { endpoint: at(9) }));
  assert.deepEqual(
    lone.sends().map(({ to }) => to),
    [at(9)],
  );
  lone.answerAs("n");
  assert.deepEqual([lone.view("n"), lone.record("n").endpoint], ["alive 8", at(9)]);
});

test("one that leaves before it answers is asked no more, and that it left is passed on", () => {
  const lone = quiet();
  lone.packet(alive("n", 7));
  const { sequence } = lone.ring;
  lone.packet(dead("n", 7, "n"));
  lone.packet({ type: "ack", sequence, payload: undefined });
  assert.deepEqual([lone.view("n"), lone.queued()], ["unknown", [dead("n", 7, "n")]]);
  lone.quieten();
  lone.advanceTo(5000);
  lone.packet(dead("n", 7, "n"));
  assert.deepEqual([asked(lone), lone.queued()], [[], []]);
  lone.pull([state("n", 7)]); // That member does not know yet.
  assert.deepEqual([asked(lone), lone.view("n")], [direct, "unknown"]);
  lone.pull([state("n", 8)]);
  assert.equal(lone.view("n"), "alive 8");
});

for (const [what, message] of [
  ["an earlier life of it left", dead("n", 6, "n")],
  ["another takes it for dead", dead("n", 7, "a")],
] as const)
  test(`one that is being asked joins by its answer although ${what}`, () => {
    const lone = quiet();
    lone.packet(alive("n", 7));
    lone.packet(message);
    assert.deepEqual(lone.queued(), []);
    lone.answerAs("n");
    assert.equal(lone.view("n"), "alive 7");
  });

test("an answer that nobody asked for brings nobody", () => {
  const lone = quiet();
  lone.packet(alive("n", 7));
  lone.packet({ type: "ack", sequence: lone.ring.sequence + 1, payload: undefined });
  assert.equal(lone.view("n"), "unknown");
});

test("a view of a member that was asked for it is believed", () => {
  const lone = quiet();
  lone.packet(alive("n", 7));
  lone.pull([state("n", 7), state("m", 3)]);
  assert.deepEqual([lone.view("n"), lone.view("m"), lone.ring.newcomers.size], ["alive 7", "alive 3", 0]);
});

for (const [name, received] of [
  ["with incarnation 0", alive("n", 0)],
  ["of a protocol that there is not", alive("n", 1, { versions: [0, 5, 2, 0, 0, 0] })],
] as const)
  test(`one ${name} is not pinged`, () => {
    const lone = quiet();
    lone.packet(received);
    assert.deepEqual(asked(lone), []);
  });

test("the last 1024 of very many newcomers are pinged", () => {
  const lone = quiet();
  for (let i = 0; i < 3000; i++) lone.packet(alive(`n${i}`, 1, { versions, endpoint: at(9) }));
  assert.equal(lone.ring.newcomers.size, 1024);
  lone.effects = [];
  lone.advanceTo(600);
  const named = new Set(asked(lone).filter((text) => text.startsWith("ping ")));
  assert.deepEqual([named.size, named.has("ping n1975"), named.has("ping n1976")], [1024, false, true]);
});
