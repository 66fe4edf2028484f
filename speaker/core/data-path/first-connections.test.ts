import assert from "node:assert/strict";
import { test } from "node:test";
import { answeredBits, type PathSign, seenWithoutBits } from "#pkg/gossip";
import type { Service } from "#pkg/k8s";
import { Bench, eth0, gossipTo, loser, owner, pools } from "../../testing/speaker-bench.ts";
import type { SpeakerEffect } from "../effects.ts";
import type { ConnectionResult } from "./data-path-state.ts";

type TryFirst = Extract<SpeakerEffect, { type: "tryFirst" }>;

const lan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";

/** A speaker that knows the cluster and its ring, and is about to begin. Services have answered the others. */
class Starting {
  readonly bench = new Bench(owner, { hasRing: true, isSynced: true });
  asked: TryFirst | undefined;

  constructor(
    keys: readonly string[],
    {
      others = ["noConnection"] as readonly PathSign[],
      othersAnswer = false,
      fields = {} as Partial<Service>,
      on = owner,
      text = lan,
    } = {},
  ) {
    const { bench } = this;
    const ring = gossipTo(bench);
    const bits = seenWithoutBits({ IPv4: others, IPv6: [] }) | (othersAnswer ? answeredBits.IPv4 : 0);
    for (const { state } of ring.others) state.setSeenWithout(bits);
    ring.hear();
    bench.setInterfaces(eth0);
    const { config } = pools(text);
    bench.runner.dispatch({ type: "configRead", config });
    for (const [index, key] of keys.entries())
      bench.serve(key, [`192.0.2.${index + 1}`], { clusterIPs: [`10.96.0.${index}`], ...fields }, { [on]: true });
    bench.onTryFirst = (effect) => {
      this.asked = effect;
    };
    bench.onStartConfig = () => {
      bench.setConfig(pools(text));
      bench.start();
    };
    bench.runner.dispatch({ type: "nodesListed" });
    bench.runner.dispatch({ type: "clusterSynced" });
    bench.settle();
  }

  get hasBegun(): boolean {
    return this.bench.state.isStarted;
  }

  get isUnable(): boolean {
    return this.bench.gossip.undelivering([owner], "IPv4").length > 0;
  }

  answer(resultOf: (key: string) => ConnectionResult): void {
    assert.ok(this.asked);
    const { tests, areAll } = this.asked;
    const tried = tests.map((one) => ({ test: one, result: resultOf(typeof one.to === "object" ? one.to.key : "") }));
    this.bench.runner.dispatch({ type: "triedFirst", tried, areAll });
    this.bench.settle();
  }

  pass(ms: number): void {
    this.bench.clock.advanceBy(ms);
    this.bench.settle();
  }
}

const three = ["a/one", "b/one", "c/one"];
const many = Array.from({ length: 14 }, (_, index) => `${"abcd"[index % 4]}/s${index}`);

test("a node on which no Service answers when its speaker begins leaves its addresses to others from the start, until one answers for 30 s", () => {
  for (const [keys, othersAnswer, attempts] of [
    [three, false, 6],
    [many, false, 12],
    [["a/one"], true, 6],
  ] as const) {
    const one = new Starting(keys, { othersAnswer });
    assert.equal(one.hasBegun, false);
    assert.equal(one.asked?.tests.length, attempts);
    one.answer(() => "silent");
    assert.deepEqual([one.hasBegun, one.isUnable, one.bench.onWire], [true, true, []]);
    one.pass(60_000);
    assert.deepEqual(one.bench.onWire, []);
    const to = { key: keys[0] ?? "", address: "10.96.0.0", port: 80, isHere: false };
    const tried = { family: "IPv4" as const, to, scan: 0, isSuspect: false, isFresh: true };
    one.bench.runner.dispatch({ type: "connected", test: tried, result: "answered" });
    one.pass(29_999);
    assert.deepEqual([one.isUnable, one.bench.onWire], [true, []]);
    one.pass(1);
    assert.equal(one.isUnable, false);
    assert.ok(one.bench.onWire.length > 0);
  }
});

test("one that answers is enough, and what this node could not try says nothing", () => {
  for (const resultOf of [
    (key: string) => (key === "b/one" ? "answered" : "silent") as ConnectionResult,
    () => "untried" as const,
  ]) {
    const one = new Starting(three);
    one.answer(resultOf);
    assert.deepEqual([one.hasBegun, one.isUnable, one.bench.onWire.length > 0], [true, false, true]);
  }
});

test("where a node tells that Services answer it now, all that are silent are a sign for one that starts, and one of them is none", () => {
  for (const isSilent of [true, false]) {
    const one = new Starting(["a/one", "a/two"], { othersAnswer: true });
    one.answer((key) => (isSilent || key === "a/two" ? "silent" : "answered"));
    assert.equal(one.isUnable, isSilent);
  }
  const some = new Starting(
    Array.from({ length: 13 }, (_, index) => `a/s${index}`),
    { othersAnswer: true },
  );
  some.answer(() => "silent");
  assert.equal(some.isUnable, false, "one was not tried");
});

test("of several attempts to a Service one is enough, too: another of its Pods may hang, or a packet be lost", () => {
  const one = new Starting(["a/one"], { othersAnswer: true });
  let attempt = 0;
  one.answer(() => (++attempt === 5 ? "answered" : "silent"));
  assert.deepEqual([one.isUnable, one.bench.onWire], [false, ["192.0.2.1"]]);
});

test("it takes all: where one of few could not be tried, the others' silence says nothing", () => {
  const one = new Starting([...three, "a/two"]);
  one.answer((key) => (key === "a/two" ? "untried" : "silent"));
  assert.deepEqual([one.isUnable, one.bench.onWire.length > 0], [false, true]);
});

test("a speaker begins after a second in any case, and counts what is told later", () => {
  const one = new Starting(three);
  one.pass(999);
  assert.equal(one.hasBegun, false);
  one.pass(1);
  assert.deepEqual([one.hasBegun, one.isUnable], [true, false]);
  one.answer(() => "silent");
  assert.deepEqual([one.isUnable, one.bench.onWire], [true, []]);
});

test("where the ring is lost meanwhile the wait ends all the same, once", () => {
  const one = new Starting(three);
  one.bench.runner.dispatch({ type: "members", active: [owner], withoutGossip: [], isSynced: false });
  one.pass(5_000);
  assert.equal(one.bench.state.dataPath.first, "over");
  assert.equal(one.hasBegun, false);
});

test("nothing is tried where silence would say nothing: too few namespaces, nodes without answers, a Pod that has to be here, pools that do not ask", () => {
  for (const one of [
    new Starting(["a/one", "a/two", "b/one"]),
    new Starting(three, { others: [] }),
    new Starting(three, { fields: { isInternalLocal: true }, on: loser }),
    new Starting(three, { fields: { externalTrafficPolicy: "Local" }, on: loser }),
    new Starting(three, { text: lan.replace("{", "{announce-when: alive, ") }),
  ])
    assert.deepEqual([one.asked, one.hasBegun], [undefined, true]);
  assert.ok(new Starting(three, { fields: { isInternalLocal: true } }).asked, "it is here");
});
