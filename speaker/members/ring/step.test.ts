import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MemberView } from "#pkg/memberlist";
import {
  type LargeRing,
  largeRing,
  type Moment,
  newRingState,
  type RingEffect,
  type RingEvent,
  type RingState,
  type SpeakerPods,
} from "./state.ts";
import { nextDeadline, problemOf, step } from "./step.ts";

const names = ["node2", "node3", "node4"];

function moment(now: number, participating: readonly string[] = []): Moment {
  return { now, random: () => 0.5, isParticipating: (node) => participating.includes(node) };
}

function memberOf(name: string, status: MemberView["status"] = "alive"): MemberView {
  return {
    name,
    address: `192.0.2.${name.slice(4)}`,
    port: 7946,
    status,
    incarnation: 1,
    meta: undefined,
    self: name === "node1",
  };
}

function podsOf(nodes: readonly string[], isReady: boolean): SpeakerPods {
  return new Map(nodes.map((node) => [`192.0.2.${node.slice(4)}`, { node, isReady }]));
}

function membersOf(others: readonly string[], withoutGossip: readonly string[] = []): RingEvent {
  return { type: "members", members: ["node1", ...others].map((name) => memberOf(name)), withoutGossip, starting: [] };
}

const event: fc.Arbitrary<RingEvent> = fc.oneof(
  fc.constantFrom<RingEvent>(
    { type: "bound" },
    { type: "gossip" },
    { type: "start", isLarge: false },
    { type: "start", isLarge: true },
  ),
  fc
    .option(fc.subarray(names), { nil: undefined })
    .map((nodes): RingEvent => ({ type: "podsAsked", pods: nodes && podsOf(nodes, true) })),
  fc.record({
    type: fc.constant("bindFailed" as const),
    problem: fc.constantFrom("in use", undefined),
    error: fc.constant("in use"),
  }),
  fc.tuple(fc.subarray(names), fc.boolean(), fc.boolean()).map(([nodes, isReady, areComplete]): RingEvent => {
    return { type: "pods", pods: podsOf(nodes, isReady), areComplete };
  }),
  fc.tuple(fc.subarray(names), fc.subarray(names)).map(([others, withoutGossip]) => membersOf(others, withoutGossip)),
  fc.tuple(fc.subarray(names), fc.boolean()).map(([nodes, hasFailed]): RingEvent => {
    const wanted = podsOf(nodes, true);
    const failures = hasFailed ? [...wanted.keys()].map((address) => ({ address, reason: "refused" })) : [];
    return { type: "joined", wanted, failures };
  }),
  fc.subarray(["192.0.2.1/24", "192.0.2.9/24", "192.0.2.7/32"]).map((addresses): RingEvent => {
    const eth0 = { index: 2, name: "eth0", mac: "02:00:00:00:00:09", status: "answering", running: true, addresses } as const;
    return { type: "interfaces", interfaces: [eth0], address: "192.0.2.1" };
  }),
);

/** Counts as large from two members on. */
const ofTwo: LargeRing = {
  gatherMs: () => 0,
  fromMembers: 2,
  followMs: 2_000,
  restMs: 10_000,
  aloneMs: 1_000,
  meetMs: 5_000,
  mostMeetMs: 9_000,
};

test("whatever comes in whatever order, a timer that ran has nothing left to do at that time, and a deadline is never behind", () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.array(fc.tuple(event, fc.nat(20_000), fc.subarray(names)), { maxLength: 40 }),
      (isLarge, events) => {
        const state = newRingState("node1", isLarge ? ofTwo : largeRing);
        let now = 0;
        const run = (next: RingEvent, participating: readonly string[]) => step(state, next, moment(now, participating));
        for (const [next, passing, participating] of events) {
          run(next, participating);
          const end = now + passing;
          for (let at = nextDeadline(state); at <= end; at = nextDeadline(state)) {
            assert.ok(at >= now, `${at} is before ${now}`);
            now = at;
            run({ type: "timer" }, participating);
            assert.ok(nextDeadline(state) > now, `something is due again at ${now}`);
          }
          now = end;
        }
      },
    ),
  );
});

test("nobody counts on a node that reached none of those that are Ready, and that has met nobody", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(fc.tuple(event, fc.nat(20_000)), { maxLength: 40 }), (isLarge, events) => {
      const state = newRingState("node1");
      const all = podsOf(names, true);
      const pods: RingEvent = isLarge ? { type: "podsAsked", pods: all } : { type: "pods", pods: all, areComplete: true };
      let now = 0;
      const effects: RingEffect[] = [];
      const begin: readonly RingEvent[] = [{ type: "start", isLarge }, pods, { type: "bound" }, membersOf([])];
      for (const next of begin) effects.push(...step(state, next, moment(now)));
      for (const [next, passing] of events) {
        if (next.type === "start" || next.type === "podsAsked" || next.type === "members") continue;
        if (next.type === "pods" && next.areComplete) continue;
        effects.push(...step(state, next, moment(now)));
        now += passing;
        effects.push(...step(state, { type: "timer" }, moment(now)));
      }
      assert.equal(state.isSynced, false);
    }),
  );
});

/** A node that was in a ring with node2, and has just lost it. */
function lost(large = largeRing): RingState {
  const state = newRingState("node1", large);
  const pods: RingEvent = { type: "pods", pods: podsOf(["node2"], true), areComplete: true };
  const begin: readonly RingEvent[] = [{ type: "start", isLarge: false }, pods, { type: "bound" }, membersOf(["node2"])];
  for (const next of begin) step(state, next, moment(0, ["node2"]));
  step(state, { type: "timer" }, moment(500, ["node2"]));
  step(state, membersOf([]), moment(1_000));
  return state;
}

test("a node that was alone is so no more when gossip says that a member participates", () => {
  const state = lost();
  step(state, membersOf(["node2"]), moment(2_000));
  step(state, membersOf([]), moment(2_000));
  assert.match(problemOf(state, moment(12_000)) ?? "", /alone in its ring/);
  step(
    state,
    { type: "members", members: [memberOf("node1"), memberOf("node2")], withoutGossip: [], starting: [] },
    moment(12_000),
  );
  step(state, { type: "gossip" }, moment(12_001, ["node2"]));
  assert.equal(problemOf(state, moment(20_000, ["node2"])), undefined);
});

test("a Pod that is gone is forgotten, also why it could not be joined", () => {
  const state = lost();
  const wanted = podsOf(["node2"], true);
  step(state, { type: "joined", wanted, failures: [{ address: "192.0.2.2", reason: "refused" }] }, moment(1_000));
  assert.equal(state.unreachable.size, 1);
  step(state, { type: "pods", pods: new Map(), areComplete: true }, moment(1_000));
  assert.equal(state.unreachable.size, 0);
});

test("a node that has stopped answers nothing, and has nothing to do", () => {
  const state = lost();
  step(state, { type: "stop" }, moment(1_000));
  assert.equal(nextDeadline(state), Infinity);
  for (const next of [{ type: "timer" } as const, { type: "bound" } as const, membersOf(["node3"])])
    assert.deepEqual(step(state, next, moment(100_000)), []);
});

test("a central speaker announces no address that nodes own: it is no ring to be in, and the speaker of its node is joined", () => {
  const state = newRingState("node1");
  const central: MemberView = { ...memberOf("node2"), name: "central/node2", port: 7947 };
  const pods: RingEvent = { type: "pods", pods: podsOf(["node2"], true), areComplete: true };
  const members: RingEvent = { type: "members", members: [memberOf("node1"), central], withoutGossip: [], starting: [] };
  for (const next of [pods, { type: "bound" } as const, members]) step(state, next, moment(0, [central.name]));
  const effects = step(state, { type: "timer" }, moment(1_000, [central.name]));
  assert.deepEqual(effects, [{ type: "join", wanted: podsOf(["node2"], true) }]);
  assert.deepEqual([state.isSynced, state.active], [false, ["central/node2", "node1"]]);
});

test("in a large ring Pods are followed now and then, and what they say is not known in between; one that loses the ring follows them at once", () => {
  const state = lost(ofTwo);
  const inRing = (now: number) => moment(now, ["node2"]);
  const pods: RingEvent = { type: "pods", pods: podsOf(["node2", "node3"], true), areComplete: true };
  step(state, membersOf(["node2"]), inRing(10_000));
  const until = (end: number) => {
    const done: string[] = [];
    for (let at = nextDeadline(state); at <= end; at = nextDeadline(state))
      for (const effect of step(state, { type: "timer" }, inRing(at))) {
        if (effect.type === "followPods") done.push(`${at} ${effect.areFollowed}`);
        else if (effect.type === "join") done.push(`${at} join ${[...effect.wanted.keys()]}`);
      }
    return done;
  };
  assert.deepEqual(until(30_000), ["13000 false"], "it is in its ring for half as long again as the least");
  assert.deepEqual([state.pods.size, state.arePodsComplete], [0, false]);
  assert.deepEqual(until(33_000), ["33000 true"], "ten seconds for each member");
  step(state, pods, inRing(34_000));
  assert.deepEqual(until(35_000), ["34200 join 192.0.2.3"], "one that is in no ring of its own is met");
  step(state, { type: "joined", wanted: podsOf(["node3"], true), failures: [] }, inRing(35_000));
  assert.deepEqual(until(40_000), ["36000 false"]);
  assert.deepEqual(
    step(state, membersOf([]), moment(41_000)).filter(({ type }) => type === "followPods"),
    [{ type: "followPods", areFollowed: true }],
  );
  step(state, pods, moment(41_500));
  assert.match(problemOf(state, moment(52_000)) ?? "", /alone in its ring, while others are Ready/);
});

/** A speaker that starts in a large cluster in which these Pods are Ready. */
function starting(
  isAnswered = true,
  large = ofTwo,
): { state: RingState; until: (at: number, ...events: readonly RingEvent[]) => string[] } {
  const state = newRingState("node1", large);
  let now = 0;
  const inRing = (at: number) => moment(at, ["node2"]);
  const until = (end: number, ...events: readonly RingEvent[]) => {
    const effects = events.flatMap((next) => step(state, next, inRing(now)));
    for (let at = nextDeadline(state); at <= end; at = nextDeadline(state))
      effects.push(...step(state, { type: "timer" }, inRing(at)));
    now = end;
    return effects.map((effect) => (effect.type === "followPods" ? `follow ${effect.areFollowed}` : effect.type));
  };
  const pods = isAnswered ? podsOf(["node2", "node3"], true) : undefined;
  assert.deepEqual(until(0, { type: "interfaces", interfaces: [], address: "192.0.2.1" }), []);
  assert.deepEqual(until(0, { type: "start", isLarge: true }, { type: "bound" }), ["askPods", "bind"]);
  assert.deepEqual(until(10_000), [], "the answer is awaited");
  assert.deepEqual(until(10_000, { type: "podsAsked", pods }), isAnswered ? ["join"] : ["follow true"]);
  return { state, until };
}

test("a speaker that starts in a large cluster joins the Pods that it asked for, and follows none once it is in the ring", () => {
  const { state, until } = starting();
  assert.deepEqual(until(10_900, membersOf(["node2", "node3"])), ["members", "members"]);
  const suspected = ["node1", "node2", "node3"].map((name) => memberOf(name, name === "node1" ? "alive" : "suspect"));
  assert.deepEqual(
    until(10_900, { type: "members", members: suspected, withoutGossip: [], starting: [] }),
    [],
    "each of them is suspected",
  );
  assert.deepEqual(until(11_200, membersOf(["node2", "node3"])), []);
  assert.deepEqual([state.isSynced, state.arePodsComplete, state.pods.size], [true, false, 0]);
  assert.deepEqual(
    until(40_000, { type: "podsAsked", pods: podsOf(["node4"], true) }),
    [],
    "an answer that comes late is of no use",
  );
  assert.deepEqual(until(42_500), ["follow true"], "as one of those that look now and then");
});

test("a speaker that starts in a large cluster follows the Pods soon where it meets nobody, later where it is in no ring, and at once without an answer", () => {
  const alone = starting();
  assert.deepEqual(alone.until(10_999), []);
  assert.deepEqual(alone.until(11_000), ["follow true"]);
  assert.deepEqual(alone.until(12_000, { type: "joined", wanted: podsOf(["node2"], true), failures: [] }), []);
  assert.equal(alone.state.isSynced, false, "not before the Pods are known again");
  const { state, until } = starting();
  assert.deepEqual(until(10_500), []);
  assert.deepEqual(until(15_499, membersOf(["node4"])), ["members"]);
  assert.deepEqual(until(15_500), ["follow true"]);
  assert.equal(state.isSynced, false);
  starting(false);
});

test("a speaker that starts in a large cluster, and counts before it knows all members of the ring, follows the Pods only where they stay few", () => {
  const grown = starting(true, { ...ofTwo, fromMembers: 4 });
  assert.deepEqual(grown.until(11_000, membersOf(["node2"])), ["members", "members"]);
  assert.equal(grown.state.isSynced, true);
  assert.deepEqual(grown.until(20_000, membersOf(["node2", "node3", "node4"])), ["members"]);
  const few = starting(true, { ...ofTwo, fromMembers: 4 });
  assert.deepEqual(few.until(14_999, membersOf(["node2"])), ["members", "members"]);
  assert.deepEqual(few.until(15_000), ["follow true"]);
  const slow = starting(true, { ...ofTwo, fromMembers: 5 });
  assert.deepEqual(slow.until(14_999, membersOf(["node2"])), ["members", "members"]);
  assert.deepEqual(slow.until(18_999, membersOf(["node2", "node3"])), ["members"], "more and more are met");
  assert.deepEqual(slow.until(19_000, membersOf(["node2", "node3", "node4"])), ["members", "follow true"], "which has an end");
});

const firstLists = [
  { name: "no other Pod", pods: podsOf([], true), joinAt: 1_000 },
  { name: "Pods that are all Ready", pods: podsOf(["node2", "node3"], true), joinAt: 1_000 },
  { name: "a Pod that is about to be Ready", pods: podsOf(["node2"], false), joinAt: 1_200 },
];
for (const { name, pods, joinAt } of firstLists) {
  test(`a speaker whose first list has ${name} joins after ${joinAt - 1_000} ms, and after any later change once the Pods have settled`, () => {
    const state = newRingState("node1");
    step(state, { type: "start", isLarge: false }, moment(0));
    step(state, { type: "bound" }, moment(0));
    step(state, { type: "timer" }, moment(0));
    step(state, { type: "pods", pods, areComplete: false }, moment(500)); // Half of a list.
    step(state, { type: "timer" }, moment(700));
    step(state, { type: "pods", pods, areComplete: true }, moment(1_000));
    assert.equal(state.joinAt, joinAt);
    step(state, { type: "timer" }, moment(joinAt));
    step(state, { type: "joined", wanted: pods, failures: [] }, moment(joinAt));
    step(state, { type: "pods", pods, areComplete: true }, moment(joinAt + 50));
    assert.equal(state.joinAt, joinAt + 250);
  });
}

test("a speaker that starts in a large cluster has its time to meet the ring from when its port is open", () => {
  const state = newRingState("node1", ofTwo);
  const events: readonly [number, RingEvent][] = [
    [0, { type: "start", isLarge: true }],
    [0, { type: "podsAsked", pods: podsOf(["node2"], true) }],
    [900, { type: "bound" }],
  ];
  for (const [at, next] of events) step(state, next, moment(at));
  assert.equal(state.podsAt, 1_900);
});
