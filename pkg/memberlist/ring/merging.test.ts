import assert from "node:assert/strict";
import { test } from "node:test";
import type { MemberState, PacketMessage } from "../codec/messages.ts";
import { encodeMetadata } from "../codec/metadata.ts";
import { alive, at, dead, LoneRing, state, suspect, versions } from "../testing/lone-ring.ts";
import { maxU32, Ring } from "./ring.ts";

/** Words of the rules: `s` is the stored record, `inc` the message's incarnation. Each starts from `s` = alive 5, of four nodes. */
function knowing(before: readonly PacketMessage[] = []): LoneRing {
  const lone = LoneRing.among("bc");
  lone.meet(alive("a", 5));
  for (const message of before) lone.packet(message);
  lone.quieten();
  return lone;
}

interface Rule {
  readonly name: string;
  readonly before?: readonly PacketMessage[];
  readonly received: PacketMessage;
  /** Status and incarnation of `a` (or of the message's subject) afterwards. */
  readonly view: string;
  readonly changes?: readonly string[];
  /** Whether the message is passed on. */
  readonly passedOn?: boolean;
}

function check(section: string, rules: readonly Rule[]): void {
  for (const { name, before, received, view, changes = [], passedOn = false } of rules) {
    test(`${section}: ${name}`, () => {
      const lone = knowing(before);
      lone.packet(received);
      assert.equal(lone.view("node" in received ? received.node : "a"), view);
      assert.deepEqual(lone.changes(), changes);
      assert.deepEqual(lone.queued(), passedOn ? [received] : []);
    });
  }
}

const meta = "\x01\x02\x03";
const mapped = { port: 7946, address: Uint8Array.of(...new Array(10).fill(0), 255, 255, 192, 0, 2, 97) };

/** A ring of three nodes that has seen `a` go in incarnation 5 and has then forgotten `a` as a node. */
function forgetting(gone: PacketMessage): LoneRing {
  const lone = knowing([gone]);
  lone.ring.pushPullAt = Infinity;
  lone.ring.reconnectAt = Infinity;
  for (let tick = 1; lone.view("a") !== "unknown" && tick < 100; tick++) {
    lone.advanceTo(lone.now + 1000);
    for (const { messages } of lone.sends())
      for (const ping of messages)
        if (ping.type === "ping") lone.packet({ type: "ack", sequence: ping.sequence, payload: undefined });
  }
  lone.quieten();
  return lone;
}

for (const [status, gone] of [
  ["dead", dead("a", 5, "b")],
  ["left", dead("a", 5, "a")],
] as const) {
  for (const incarnation of [4, 5, 6])
    test(`alive: a node that was ${status} in incarnation 5 and forgotten comes back by its answer to a ping with ${incarnation}, also elsewhere`, () => {
      const lone = forgetting(gone);
      lone.packet(alive("a", incarnation, { endpoint: at(9) }));
      assert.deepEqual([lone.view("a"), lone.queued()], ["unknown", []]);
      lone.answerAs("a");
      assert.deepEqual([lone.view("a"), lone.changes()], [`alive ${incarnation}`, ["joined a"]]);
    });

  test(`alive: a node that was ${status} in incarnation 5 and forgotten comes back by a view that has it with 6`, () => {
    const lone = forgetting(gone);
    lone.pull([state("a", 6)]);
    assert.deepEqual([lone.view("a"), lone.changes()], ["alive 6", ["joined a"]]);
  });
}

test("alive: a view in which one that was forgotten lives brings nobody back", () => {
  const lone = forgetting(dead("a", 5, "b"));
  for (let times = 0; times < 3; times++) lone.pull([state("a", 5)]);
  assert.deepEqual([lone.view("a"), lone.changes()], ["unknown", []]);
});

test("pings of two lives of a node have other numbers, for a million probes at least", () => {
  const numberOf = (firstIncarnation: number) => new Ring({ ...new LoneRing().ring.options, firstIncarnation }, 0).sequence;
  const begun = 218_000_000; // Seconds since 2020.
  const numbers = Array.from({ length: 100 }, (_, life) => numberOf(begun + life)).toSorted((a, b) => a - b);
  const gaps = numbers.slice(1).map((number, i) => number - (numbers[i] ?? 0));
  assert.ok(Math.min(...gaps) > 1_000_000, `${Math.min(...gaps)}`);
});

check("alive", [
  { name: "protocol min 0 is ignored", received: alive("n", 1, { versions: [0, 5, 2, 0, 0, 0] }), view: "unknown" },
  { name: "protocol max 0 is ignored", received: alive("n", 1, { versions: [1, 0, 2, 0, 0, 0] }), view: "unknown" },
  { name: "protocol min above max is ignored", received: alive("n", 1, { versions: [3, 2, 2, 0, 0, 0] }), view: "unknown" },
  {
    name: "a current version outside min and max passes",
    received: alive("a", 6, { versions: [1, 2, 5, 0, 0, 0] }),
    view: "alive 6",
    passedOn: true,
  },
  { name: "an unknown node with incarnation 0 is ignored", received: alive("n", 0), view: "unknown" },
  { name: "another address is a conflict", received: alive("a", 9, { endpoint: at(9) }), view: "alive 5" },
  { name: "another port is a conflict", received: alive("a", 9, { endpoint: at(97, 1) }), view: "alive 5" },
  { name: "the same IPv4 address in 16 octets is a conflict", received: alive("a", 9, { endpoint: mapped }), view: "alive 5" },
  { name: "inc below s.inc is ignored", received: alive("a", 4, { meta }), view: "alive 5" },
  { name: "inc equal to s.inc is ignored", received: alive("a", 5, { meta }), view: "alive 5" },
  { name: "inc above s.inc is adopted", received: alive("a", 6), view: "alive 6", passedOn: true },
  {
    name: "other metadata is an update",
    received: alive("a", 6, { meta }),
    view: "alive 6",
    changes: ["updated a"],
    passedOn: true,
  },
  {
    name: "a suspect does not come back with the same incarnation",
    before: [suspect("a", 5, "b")],
    received: alive("a", 5),
    view: "suspect 5",
  },
  {
    name: "a suspect refutes with a higher incarnation",
    before: [suspect("a", 5, "b")],
    received: alive("a", 6),
    view: "alive 6",
    changes: ["refuted a"],
    passedOn: true,
  },
  {
    name: "a dead node does not come back with the same incarnation",
    before: [dead("a", 5, "b")],
    received: alive("a", 5),
    view: "dead 5",
  },
  {
    name: "a dead node joins again with a higher incarnation",
    before: [dead("a", 5, "b")],
    received: alive("a", 6, { meta }),
    view: "alive 6",
    changes: ["joined a"],
    passedOn: true,
  },
  {
    name: "a left node joins again with a higher incarnation",
    before: [dead("a", 5, "a")],
    received: alive("a", 6),
    view: "alive 6",
    changes: ["joined a"],
    passedOn: true,
  },
  {
    name: "a left node comes back at another address with any incarnation",
    before: [dead("a", 5, "a")],
    received: alive("a", 1, { endpoint: at(9) }),
    view: "alive 1",
    changes: ["joined a"],
    passedOn: true,
  },
  {
    name: "a dead node does not come back at another address",
    before: [dead("a", 5, "b")],
    received: alive("a", 9, { endpoint: at(9) }),
    view: "dead 5",
  },
]);

check("suspect", [
  { name: "an unknown node is ignored", received: suspect("n", 1, "b"), view: "unknown" },
  { name: "inc below s.inc is ignored", received: suspect("a", 4, "b"), view: "alive 5" },
  {
    name: "inc equal to s.inc makes it suspect",
    received: suspect("a", 5, "b"),
    view: "suspect 5",
    changes: ["suspected a"],
    passedOn: true,
  },
  {
    name: "the incarnation may rise",
    received: suspect("a", 7, "b"),
    view: "suspect 7",
    changes: ["suspected a"],
    passedOn: true,
  },
  {
    name: "a new accuser is passed on, and the incarnation does not change",
    before: [suspect("a", 5, "b")],
    received: suspect("a", 7, "c"),
    view: "suspect 5",
    passedOn: true,
  },
  {
    name: "the same accuser is not passed on",
    before: [suspect("a", 5, "b")],
    received: suspect("a", 5, "b"),
    view: "suspect 5",
  },
  { name: "a dead node is not suspected", before: [dead("a", 5, "b")], received: suspect("a", 5, "b"), view: "dead 5" },
  { name: "a left node is not suspected", before: [dead("a", 5, "a")], received: suspect("a", 6, "b"), view: "left 5" },
]);

check("dead", [
  { name: "an unknown node is ignored", received: dead("n", 1, "b"), view: "unknown" },
  { name: "inc below s.inc is ignored", received: dead("a", 4, "b"), view: "alive 5" },
  {
    name: "inc equal to s.inc makes it dead",
    received: dead("a", 5, "b"),
    view: "dead 5",
    changes: ["failed a"],
    passedOn: true,
  },
  { name: "from itself makes it left", received: dead("a", 6, "a"), view: "left 6", changes: ["left a"], passedOn: true },
  {
    name: "a suspect dies",
    before: [suspect("a", 5, "b")],
    received: dead("a", 5, "b"),
    view: "dead 5",
    changes: ["failed a"],
    passedOn: true,
  },
  { name: "a dead node stays as it is", before: [dead("a", 5, "b")], received: dead("a", 6, "b"), view: "dead 5" },
  {
    name: "one that was taken for failed while it left has left",
    before: [dead("a", 5, "b")],
    received: dead("a", 5, "a"),
    view: "left 5",
    changes: ["left a"],
    passedOn: true,
  },
  {
    name: "an earlier life's leave says nothing of one that failed",
    before: [dead("a", 5, "b")],
    received: dead("a", 4, "a"),
    view: "dead 5",
  },
  { name: "a left node stays left", before: [dead("a", 5, "a")], received: dead("a", 6, "b"), view: "left 5" },
]);

test("alive: a conflict says what is known and what is claimed", () => {
  const lone = knowing();
  lone.packet(alive("a", 9, { endpoint: at(9) }));
  assert.deepEqual(lone.take("conflict"), [{ type: "conflict", node: "a", known: at(97), claimed: at(9) }]);
  assert.equal(lone.ring.counters.conflicts, 1);
});

test("alive: port 0 means our own", () => {
  const lone = new LoneRing();
  lone.quieten();
  lone.meet(alive("a", 1, { endpoint: at(97, 0) }));
  assert.deepEqual(lone.record("a").endpoint, at(97));
  assert.deepEqual(lone.queued(), [alive("a", 1)]);
});

test("alive: other versions are taken over", () => {
  const lone = knowing();
  lone.packet(alive("a", 6, { versions: [1, 4, 1, 0, 0, 0] }));
  assert.deepEqual(lone.record("a").versions, [1, 4, 1, 0, 0, 0]);
});

test("alive: a suspect that refuted is not declared dead by the old suspicion", () => {
  const lone = knowing([suspect("a", 5, "b")]);
  lone.packet(alive("a", 6));
  assert.equal(lone.ring.suspicions.size, 0);
});

/** Effects on a node at incarnation 1 of messages about itself. */
const aboutSelf: readonly { name: string; received: PacketMessage; refutedWith: number | undefined }[] = [
  { name: "its own announcement", received: alive("self", 1, { endpoint: at(1) }), refutedWith: undefined },
  { name: "an older announcement", received: alive("self", 0, { endpoint: at(1), meta }), refutedWith: undefined },
  {
    name: "one of the same incarnation and other metadata",
    received: alive("self", 1, { endpoint: at(1), meta }),
    refutedWith: 2,
  },
  {
    name: "one of the same incarnation and other versions",
    received: alive("self", 1, { endpoint: at(1), versions: [1, 4, 2, 0, 0, 0] }),
    refutedWith: 2,
  },
  { name: "a newer announcement", received: alive("self", 7, { endpoint: at(1) }), refutedWith: 8 },
  { name: "an announcement from another address", received: alive("self", 7, { endpoint: at(9) }), refutedWith: undefined },
  { name: "a suspicion", received: suspect("self", 1, "a"), refutedWith: 2 },
  { name: "a suspicion from the future", received: suspect("self", 40, "a"), refutedWith: 41 },
  { name: "an old suspicion", received: suspect("self", 0, "a"), refutedWith: undefined },
  { name: "its death", received: dead("self", 1, "a"), refutedWith: 2 },
  { name: "the echo of a leave in an earlier life", received: dead("self", 6, "self"), refutedWith: 7 },
  { name: "the last accusation that leaves a number", received: dead("self", maxU32 - 1, "a"), refutedWith: maxU32 },
  { name: "an accusation that leaves no greater number", received: dead("self", maxU32, "a"), refutedWith: undefined },
];
for (const { name, received, refutedWith } of aboutSelf) {
  test(`about self: ${name} is ${refutedWith === undefined ? "not refuted" : `refuted with incarnation ${refutedWith}`}`, () => {
    const lone = new LoneRing({ metadata: new Map() });
    const own = lone.record("self").meta;
    const about = received.type === "alive" && received.meta === undefined ? { ...received, meta: own } : received;
    lone.quieten();
    lone.packet(about);
    const refuted = refutedWith !== undefined;
    assert.equal(lone.view("self"), `alive ${refutedWith ?? 1}`);
    assert.deepEqual(lone.changes(), refuted ? ["refuted self"] : []);
    assert.deepEqual(lone.queued(), refuted ? [alive("self", refutedWith, { endpoint: at(1), meta: own })] : []);
    assert.equal(lone.ring.localHealth, refuted ? 1 : 0);
  });
}

test("about self: new metadata goes out also where an accusation has left no greater number", () => {
  const lone = LoneRing.among("a");
  lone.packet(suspect("self", maxU32 - 1, "a"));
  lone.quieten();
  lone.step({ type: "metadata", fields: new Map([[9, new Uint8Array()]]) });
  assert.equal(lone.view("self"), `alive ${maxU32}`);
  assert.deepEqual(lone.queued(), [alive("self", maxU32, { endpoint: at(1), meta: lone.record("self").meta })]);
});

const view: readonly { name: string; states: readonly MemberState[]; view: string; changes: readonly string[] }[] = [
  { name: "alive is as a message", states: [state("n", 3)], view: "alive 3", changes: ["joined n"] },
  { name: "left is final at once", states: [state("a", 5, { status: "left" })], view: "left 5", changes: ["left a"] },
  { name: "suspect is a suspicion", states: [state("a", 5, { status: "suspect" })], view: "suspect 5", changes: ["suspected a"] },
  {
    name: "dead is only a suspicion too",
    states: [state("a", 5, { status: "dead" })],
    view: "suspect 5",
    changes: ["suspected a"],
  },
  { name: "an unknown dead node is not added", states: [state("n", 5, { status: "dead" })], view: "unknown", changes: [] },
  { name: "an unknown suspect is not added", states: [state("n", 5, { status: "suspect" })], view: "unknown", changes: [] },
  { name: "an unknown left node is not added", states: [state("n", 5, { status: "left" })], view: "unknown", changes: [] },
];
for (const { name, states, view: wanted, changes } of view) {
  test(`push/pull states: ${name}`, () => {
    const lone = knowing();
    lone.pull(states);
    assert.deepEqual(lone.changes(), changes);
    assert.equal(lone.view(states[0]?.node ?? ""), wanted);
  });
}

test("push/pull states: the suspicion comes from the receiver", () => {
  const lone = knowing();
  lone.pushPull([state("a", 5, { status: "dead" })]);
  assert.deepEqual(lone.queued(), [suspect("a", 5, "self")]);
});

for (const status of ["suspect", "dead", "left"] as const) {
  test(`push/pull states: a restarted node refutes its own old record that says ${status}`, () => {
    const lone = new LoneRing();
    lone.pushPull([state("self", 9, { status, endpoint: at(1), versions })]);
    assert.equal(lone.view("self"), "alive 10");
  });
}

test("push/pull states: a restarted node refutes its own old record that says alive with a higher incarnation", () => {
  const lone = new LoneRing();
  lone.pushPull([state("self", 9, { endpoint: at(1) })]);
  assert.equal(lone.view("self"), "alive 10");
});

test("a suspicion that nobody refutes ends in death by this node's own word", () => {
  const lone = LoneRing.among("a"); // Two nodes: nobody to confirm, so the least time.
  lone.packet(suspect("a", 1, "z"));
  lone.quieten();
  lone.advanceTo(3999);
  assert.equal(lone.view("a"), "suspect 1");
  lone.advanceTo(4000);
  assert.equal(lone.view("a"), "dead 1");
  assert.deepEqual(lone.changes(), ["failed a"]);
  assert.deepEqual(lone.queued(), [dead("a", 1, "self")]);
});

test("a suspect is notified directly before it is declared dead, once", () => {
  const lone = LoneRing.among("a");
  lone.ring.probeAt = Infinity;
  lone.packet(suspect("a", 1, "z"));
  lone.quieten();
  lone.advanceTo(2999);
  assert.deepEqual(lone.sends(), []);
  lone.advanceTo(3999);
  assert.deepEqual(lone.sends(), [{ type: "send", to: at(97), messages: [suspect("a", 1, "self")], checksum: true }]);
});

const ours = encodeMetadata(new Map());

/** A ring in which a speaker of ours died, or left, at incarnation 5. */
function without(gone: PacketMessage): LoneRing {
  const lone = new LoneRing();
  lone.meet(alive("a", 5, { meta: ours }));
  lone.packet(gone);
  lone.quieten();
  return lone;
}

for (const [name, gone] of [
  ["died", dead("a", 5, "b")],
  ["left", dead("a", 5, "a")],
] as const) {
  test(`a speaker that ${name} may come back at another address at once, with a greater incarnation`, () => {
    const lone = without(gone);
    lone.packet(alive("a", 6, { meta: ours, endpoint: at(9) }));
    assert.deepEqual([lone.view("a"), lone.record("a").endpoint], ["alive 6", at(9)]);
  });

  test(`what was captured of an earlier life of a speaker that ${name} does nothing`, () => {
    const lone = without(gone);
    for (const message of [
      alive("a", 4, { meta: ours, endpoint: at(9) }),
      alive("a", 5, { meta: ours, endpoint: at(9) }),
      alive("a", 5, { meta: ours }),
    ])
      lone.packet(message);
    assert.notEqual(lone.record("a").status, "alive");
    lone.packet(alive("a", 9, { meta: ours }));
    for (const message of [suspect("a", 8, "b"), dead("a", 8, "b"), dead("a", 8, "a")]) lone.packet(message);
    assert.equal(lone.view("a"), "alive 9");
  });
}

test("a speaker that comes back at another address before it is dead is pinged there once it is, and a member by its answer", () => {
  const lone = without(alive("a", 5, { meta: ours }));
  lone.packet(alive("a", 6, { meta: ours, endpoint: at(9) }));
  assert.deepEqual([lone.view("a"), lone.sends()], ["alive 5", []]);
  lone.packet(dead("a", 5, "b"));
  assert.equal(lone.view("a"), "dead 5");
  const [ping] = lone.sends();
  assert.deepEqual([ping?.to, ping?.messages[0]?.type], [at(9), "ping"]);
  lone.answerAs("a");
  assert.deepEqual([lone.view("a"), lone.record("a").endpoint, lone.ring.newcomers.size], ["alive 6", at(9), 0]);
});

for (const [what, claim] of [
  ["of an earlier life", alive("a", 4, { meta: ours, endpoint: at(9) })],
  ["of another kind", alive("a", 6, { endpoint: at(9) })],
] as const)
  test(`an announcement ${what} from another address is not looked into when the speaker dies`, () => {
    const lone = without(alive("a", 5, { meta: ours }));
    lone.packet(claim);
    lone.packet(dead("a", 5, "b"));
    assert.deepEqual([lone.sends(), lone.ring.newcomers.size], [[], 0]);
  });

test("a member of another kind that died does not come back at another address at once, as its incarnation proves nothing", () => {
  const lone = without(dead("a", 5, "b"));
  lone.packet(alive("a", 6, { endpoint: at(9) }));
  assert.equal(lone.view("a"), "dead 5");
});

test("a node begins with the incarnation that it is given, and its earlier life's leave and suspicions do not concern it", () => {
  const lone = new LoneRing({ firstIncarnation: 1000 });
  assert.equal(lone.view("self"), "alive 1000");
  lone.effects = [];
  for (const message of [dead("self", 999, "self"), suspect("self", 999, "b"), dead("self", 7, "b")]) lone.packet(message);
  assert.deepEqual([lone.view("self"), lone.changes()], ["alive 1000", []]);
});

for (const { name, hears } of [
  { name: "tells the others, if it hears some", hears: true },
  { name: "keeps that to itself while it hears nobody: it may be the one that is cut off", hears: false },
])
  test(`who takes one for dead ${name}`, () => {
    const lone = LoneRing.among("ab");
    lone.ring.probeAt = Infinity;
    const wait = (until: number) => {
      while (lone.now < until) {
        lone.advanceTo(lone.now + 1000);
        if (hears) lone.packet({ type: "ack", sequence: 99_999, payload: undefined });
      }
    };
    wait(30_000);
    lone.ring.probeAt = lone.now;
    wait(90_000);
    const sent = lone.effects.flatMap((effect) => (effect.type === "send" ? effect.messages : []));
    assert.equal(
      [...sent, ...lone.queued()].some(({ type }) => type === "dead"),
      hears,
    );
    assert.ok(lone.changes().includes("failed a"));
  });
