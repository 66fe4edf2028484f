import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { CoreRunner } from "#pkg/core";
import { centralName, encodeOffer, type GossipState, GossipStore } from "#pkg/gossip";
import { GossipNode } from "#pkg/gossip/testing";
import { ApiError, type Handlers, type Informer, type Pod, type PodRow } from "#pkg/k8s";
import { pod } from "#pkg/k8s/testing";
import type { InterfaceState } from "#pkg/layer2";
import { silentLog } from "#pkg/log/testing";
import {
  encodeMetadata,
  GossipDelegate,
  type JoinResult,
  type MemberView,
  type MetadataFields,
  MetadataKey,
  type RingEvent,
} from "#pkg/memberlist";
import { address } from "#pkg/net/testing";
import type { SpeakerEffect } from "../core/effects.ts";
import type { MemberEvents } from "../core/events.ts";
import { speakerCore } from "../core/replay.ts";
import { createState } from "../core/state.ts";
import { RingMembers, takePortion } from "./ring-members.ts";

function member(name: string, address: string, { self = false, incarnation = 1 } = {}): MemberView {
  return { name, address, port: 7946, status: "alive", incarnation, meta: undefined, self };
}

function podOf(node: string, address: string | undefined): Pod {
  const podIPs = address === undefined ? [] : [address];
  return pod(`metallb-system/speaker-${node}`, { nodeName: node, podIPs, ready: false });
}

/** A member on node1 with a ring and an API that do what the test says. */
class Bench {
  readonly clock = new SimulatedClock();
  readonly did: string[] = [];
  /** The gossip of the ring's thread. */
  readonly delegate = new GossipDelegate({
    node: "node1",
    life: 1,
    clock: this.clock,
    canBroadcast: () => this.isBound,
    broadcast: (topic) => this.did.push(`broadcast ${topic}`),
    onEntries: (entries) => this.#listener?.({ type: "gossip", entries }),
    onExpired: (nodes) => this.#listener?.({ type: "gossipExpired", nodes }),
  });
  readonly state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: true });
  readonly runner = new CoreRunner(speakerCore, this.clock, () => 0.5);
  active: readonly string[] = [];
  withoutGossip: readonly string[] = [];
  ring: MemberView[] = [member("node1", "192.0.2.1", { self: true })];
  /** Joins that have not been answered. */
  readonly joins: PromiseWithResolvers<JoinResult>[] = [];
  address = "192.0.2.1";
  bindFailures = 0;
  isBound = false;
  bindProblem: string | undefined;
  readonly published: MetadataFields[] = [];
  leaves = true;
  #pods = new Map<string, Pod>();
  /** The API's answer to one question about the Pods. */
  rows: readonly PodRow[] | undefined = [];
  #handlers: Handlers<Pod> | undefined;
  #listener: ((event: RingEvent) => void) | undefined;
  readonly members: RingMembers;

  constructor(node = "node1") {
    const say = (level: string) => (message: string, fields?: object) => {
      this.did.push(`${level} ${message}${fields !== undefined && "address" in fields ? ` ${fields.address}` : ""}`);
    };
    const bench = this;
    this.members = new RingMembers({
      memberlist: {
        start: async () => {
          this.bindProblem = this.bindFailures-- > 0 ? "address in use" : undefined;
          if (this.bindProblem !== undefined) throw new Error(this.bindProblem);
          this.did.push("bound");
          this.isBound = true;
          this.delegate.flush();
        },
        join: (addresses) => {
          this.did.push(`join ${addresses}`);
          const join = Promise.withResolvers<JoinResult>();
          this.joins.push(join);
          return join.promise;
        },
        leave: async (timeout: Millis) => {
          this.did.push(`leave within ${timeout}`);
          return this.leaves;
        },
        members: () => this.ring,
        timing: "fast",
        roundTrips: async () => new Map([["node2", 1.23456]]),
        setEntries: (entries) => this.delegate.set(entries),
        forget: (node) => this.delegate.forget(node),
        pull: (node) => this.did.push(`pull ${node}`),
        get problem() {
          return bench.bindProblem;
        },
        lossy: [],
        get running() {
          return bench.isBound;
        },
        get address() {
          return bench.address;
        },
        move: (address) => {
          this.did.push(`move to ${address}`);
          this.address = address;
        },
        setMetadata: (fields) => {
          this.published.push(fields);
        },
        onEvent: (listener) => {
          this.#listener = listener;
          return { [Symbol.dispose]() {} };
        },
        [Symbol.asyncDispose]: async () => {
          this.did.push("off the network");
        },
      },
      keys: undefined,
      metadata: new Map([
        [MetadataKey.gossip, encodeOffer(1)],
        [MetadataKey.starting, new Uint8Array()],
      ]),
      gossip: this.state.members.gossip,
      cluster: {
        informer: (_resource, _scope, handlers) => this.#informer(handlers as unknown as Handlers<Pod>) as never,
        podRows: async () => this.rows ?? Promise.reject(new ApiError("Cannot list pods", 503, "")),
      },
      namespace: "metallb-system",
      labels: "component=speaker",
      node,
      emit: (event) => this.#receive(event),
      log: { ...silentLog, warn: say("warn"), error: say("error") },
      clock: this.clock,
      random: () => 0.5,
    });
    this.runner.start(this.state, (effect) => this.#carryOut(effect));
  }

  /** The members' events go to the core, whose gossip goes back. */
  #receive(event: MemberEvents): void {
    if (event.type === "members") {
      this.active = event.active;
      this.withoutGossip = event.withoutGossip;
      this.did.push(`active ${event.active}${event.isSynced ? "" : ", not synced"}`);
    }
    if (event.type === "speakerPods") this.did.push(`Pods on ${event.nodes}`);
    if (event.type === "gossip") this.did.push(`heard of ${[...new Set(event.entries.map(({ node }) => node))]}`);
    this.runner.dispatch(event);
  }

  #carryOut(effect: SpeakerEffect): void {
    if (effect.type === "setGossip") this.members.setGossip(effect.entries);
    if (effect.type === "forgetGossip") this.members.forgetGossip(effect.node);
    if (effect.type === "log" && effect.fields.event === "reclaimed") this.did.push("reclaim");
  }

  #informer(handlers: Handlers<Pod>): Informer<Pod> {
    this.#handlers = handlers;
    const pods = () => this.#pods;
    return {
      start: () => this.did.push("follow Pods"),
      relist: () => {},
      want: () => {},
      synced: true,
      lostSince: undefined,
      get: (key) => pods().get(key),
      values: () => pods().values(),
      get size() {
        return pods().size;
      },
      [Symbol.dispose]: () => {},
    };
  }

  get gossip(): GossipState {
    assert.ok(this.state.members.gossip);
    return this.state.members.gossip;
  }

  see(...pods: Pod[]): void {
    for (const pod of pods) {
      this.#pods.set(pod.key, pod);
      this.#handlers?.changed(pod.key, pod, undefined);
    }
  }

  /** These are the others in the ring now. */
  meet(...others: MemberView[]): void {
    this.ring = [member("node1", "192.0.2.1", { self: true })];
    for (const member of others) this.ring.push(member);
    for (const member of others) this.#joined(member);
  }

  meetAlso(other: MemberView): void {
    this.ring.push(other);
    this.#joined(other);
  }

  #joined(member: MemberView): void {
    this.#listener?.({ type: "member", change: "joined", member });
    this.delegate.memberChanged("joined", member);
  }

  hear(payload: Uint8Array): void {
    this.delegate.receive(payload);
  }

  lose(name: string, change: "failed" | "left" = "failed"): void {
    const [lost] = this.ring.filter((one) => one.name === name);
    assert.ok(lost);
    this.ring = this.ring.filter((one) => one !== lost);
    this.#listener?.({ type: "member", change, member: lost });
    this.delegate.memberChanged(change, lost);
  }

  /** The others accuse this node of being gone. */
  accuse(): void {
    this.#listener?.({ type: "member", change: "refuted", member: member("node1", "192.0.2.1", { self: true, incarnation: 2 }) });
  }

  async answer(failures: JoinResult["failures"] = []): Promise<void> {
    this.joins.shift()?.resolve({ joined: 1, failures });
    await settled();
  }

  async advance(by: Millis): Promise<void> {
    this.clock.advanceBy(by);
    await settled();
  }

  take(): string[] {
    return this.did.splice(0);
  }
}

/** Lets what was resolved run to its end. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

const two = podOf("node2", "192.0.2.2");
const three = podOf("node3", "192.0.2.3");

const failures = [{ address: "192.0.2.2", reason: "timed out" }];
const cannotJoin =
  "none of those that are Ready can be joined (node2 at 192.0.2.2: timed out); TCP and UDP port 7946 must be open between all nodes";

/** The metadata of a member that gossips. */
const meta = encodeMetadata(new Map([[MetadataKey.gossip, encodeOffer(1)]]));

/** A node that participates. */
function participant(name: string): GossipNode {
  const node = new GossipNode(name);
  node.state.setIncarnation(1);
  node.state.participate();
  return node;
}

async function started(...pods: Pod[]): Promise<Bench> {
  const bench = new Bench();
  bench.members.start(false);
  bench.see(podOf("node1", "192.0.2.1"), ...pods);
  await settled();
  await bench.advance(200);
  return bench;
}

test("members are described with how long they took to answer", async () => {
  const bench = await started(two);
  await bench.advance(200);
  bench.meet(member("node2", "192.0.2.2"));
  const { members } = await bench.members.describe();
  assert.deepEqual(
    members.map(({ node, roundTripMs }) => [node, roundTripMs]),
    [
      ["node1", undefined],
      ["node2", 1.23],
    ],
  );
});

test("it joins the Pods of the others, and counts on nobody before", async () => {
  const bench = await started(two, three, podOf("node4", undefined));
  assert.deepEqual(bench.take(), ["follow Pods", "bound", "active node1, not synced", "join 192.0.2.2,192.0.2.3"]);
  bench.meet(member("node2", "192.0.2.2"), member("node3", "192.0.2.3"));
  await bench.answer();
  assert.deepEqual(bench.take(), ["active node1,node2,node3, not synced", "active node1,node2,node3"]);
});

test("those that start together each ask all others, and not the same ones first", async () => {
  const asked: string[][] = [];
  for (let node = 10; node < 30; node++) {
    const bench = new Bench(`node${node}`);
    bench.members.start(false);
    bench.see(...Array.from({ length: 8 }, (_, i) => podOf(`node${i}`, `192.0.2.${i}`)));
    await settled();
    await bench.advance(200);
    const join = bench.take().find((did) => did.startsWith("join ")) ?? "";
    asked.push(join.slice("join ".length).split(","));
  }
  for (const addresses of asked) assert.equal(new Set(addresses).size, 8);
  assert.ok(new Set(asked.map(([first]) => first)).size > 4);
});

test("a central speaker is told which nodes have a speaker's Pod, its own among them, whenever they are others", async () => {
  const bench = new Bench(centralName("node1"));
  bench.members.start(false);
  bench.see(podOf("node1", "192.0.2.1"), two);
  bench.see({ ...two, ready: true }, podOf("node2", "192.0.2.22"));
  bench.see(three);
  assert.deepEqual(
    bench.take().filter((line) => line.startsWith("Pods")),
    ["Pods on ", "Pods on node1", "Pods on node1,node2", "Pods on node1,node2,node3"],
  );
  const other = await started(two, three);
  assert.ok(!other.take().some((line) => line.startsWith("Pods")));
});

test("in a large cluster it joins the Pods that it asked for once, and follows them where it gets no answer", async () => {
  const bench = new Bench();
  bench.rows = [two, podOf("node1", "192.0.2.1")];
  bench.members.start(true);
  await bench.advance(0);
  await bench.advance(300);
  assert.deepEqual(bench.take(), ["bound", "active node1, not synced", "join 192.0.2.2"]);
  const another = new Bench();
  another.rows = undefined;
  another.members.start(true);
  await another.advance(300);
  assert.ok(another.take().includes("follow Pods"));
});

test("alone it is all there is", async () => {
  const bench = await started();
  assert.deepEqual(bench.take(), ["follow Pods", "bound", "active node1, not synced", "active node1"]);
});

test("having met one it does not wait for those that do not answer", async () => {
  const bench = await started(two, three);
  bench.meet(member("node2", "192.0.2.2"));
  assert.equal(bench.members.synced, false);
  await bench.advance(500);
  assert.equal(bench.members.synced, true);
});

test("a member that fails is inactive at once", async () => {
  const bench = await started(two);
  bench.meet(member("node2", "192.0.2.2"));
  await bench.answer();
  bench.take();
  bench.lose("node2");
  assert.deepEqual(bench.take(), ["active node1"]);
});

test("a node that was taken for gone reclaims its addresses, also after it has just done so, but not all the time", async () => {
  const bench = await started(two);
  bench.meet(member("node2", "192.0.2.2"));
  await bench.answer();
  bench.take();
  bench.accuse();
  await bench.advance(0);
  assert.deepEqual(bench.take(), ["reclaim"]);
  bench.accuse();
  bench.accuse();
  await bench.advance(4_999);
  assert.deepEqual(bench.take(), []);
  await bench.advance(1);
  assert.deepEqual(bench.take(), ["reclaim"]);
  bench.accuse();
  bench.runner[Symbol.dispose]();
  const ended = bench.members[Symbol.asyncDispose]();
  await settled();
  await bench.advance(5_000);
  await ended;
  assert.deepEqual(bench.take(), ["leave within 1000", "off the network"]);
});

test("alone it has nobody to hand over to", async () => {
  const bench = await started();
  bench.take();
  await bench.members[Symbol.asyncDispose]();
  assert.deepEqual(bench.take(), ["leave within 1000", "off the network"]);
});

test("a Pod that appears is joined, one that is a member already is not", async () => {
  const bench = await started(two);
  bench.meet(member("node2", "192.0.2.2"));
  await bench.answer();
  bench.take();
  bench.see(three);
  bench.see(podOf("node5", "192.0.2.5"));
  await bench.advance(200);
  assert.deepEqual(bench.take(), ["join 192.0.2.3,192.0.2.5"]);
});

test("one that cannot be joined is said once, and tried every minute", async () => {
  const bench = await started({ ...two, ready: true }, three);
  bench.meet(member("node3", "192.0.2.3"));
  const failures = [{ address: "192.0.2.2", reason: "refused" }];
  await bench.answer(failures);
  await bench.advance(500);
  bench.take();
  await bench.advance(60_000);
  await bench.answer(failures);
  assert.deepEqual(bench.take(), ["join 192.0.2.2"]);
  await bench.advance(60_000);
  await bench.answer();
  await bench.advance(60_000);
  await bench.answer(failures);
  assert.deepEqual(bench.take(), ["join 192.0.2.2", "join 192.0.2.2", "warn cannot join a speaker 192.0.2.2"]);
});

test("one that sees Ready speakers and can join none does not count as synced, says which port has to be open, and tries again soon", async () => {
  const ready = { ...two, ready: true };
  const bench = await started(ready, three);
  const failures = [
    { address: "192.0.2.2", reason: "timed out" },
    { address: "192.0.2.3", reason: "refused" },
  ];
  await bench.answer(failures);
  assert.equal(bench.state.members.isSynced, false);
  assert.equal(bench.members.problem, cannotJoin);
  assert.deepEqual(
    bench.take().filter((line) => line.startsWith("warn")),
    ["warn cannot join a speaker 192.0.2.2"],
    "a Pod that is starting or being replaced is no reason to warn",
  );
  await bench.advance(1_000);
  await bench.answer(failures);
  await bench.advance(2_000);
  bench.meet(member("node2", "192.0.2.2"));
  await bench.answer(failures.slice(1));
  await bench.advance(500);
  assert.deepEqual([bench.state.members.isSynced, bench.members.problem], [true, undefined]);
});

test("a node is Ready while any of its Pods is: one that has ended, or goes, may be listed last", async () => {
  const ended = pod("metallb-system/speaker-node2-before", { nodeName: "node2", podIPs: ["192.0.2.2"], ready: false });
  const bench = await started({ ...two, ready: true }, ended);
  await bench.answer(failures);
  assert.deepEqual([bench.members.synced, bench.members.problem], [false, cannotJoin]);
});

test("one that can join none counts as the only one when their Pods are not Ready any more", async () => {
  const ready = { ...two, ready: true };
  const bench = await started(ready);
  await bench.answer([{ address: "192.0.2.2", reason: "refused" }]);
  assert.equal(bench.state.members.isSynced, false);
  bench.see(two);
  await bench.advance(200);
  await bench.answer([{ address: "192.0.2.2", reason: "refused" }]);
  assert.equal(bench.state.members.isSynced, true);
});

/** Beside node2, which is Ready and cannot be reached, node3 is met, whose gossip is not there yet. */
async function startedBesideWaiting(): Promise<Bench> {
  const bench = await started({ ...two, ready: true }, { ...three, ready: true });
  bench.meet({ ...member("node3", "192.0.2.3"), meta });
  return bench;
}

test("those that start together and reach only one another wait while others are Ready, and say which port has to be open", async () => {
  const bench = await startedBesideWaiting();
  await bench.advance(10_000);
  assert.equal(bench.members.synced, false, "also while node2 is still being tried");
  await bench.answer(failures);
  assert.deepEqual([bench.state.members.isSynced, bench.members.problem], [false, cannotJoin]);
  await bench.advance(1_000);
  await bench.answer(failures);
  assert.equal(bench.members.synced, false);
});

test("those that start together count when the others are not Ready any more, whether these can be joined or not", async () => {
  const bench = await startedBesideWaiting();
  await bench.advance(600);
  bench.see(two);
  await bench.advance(499);
  assert.equal(bench.members.synced, false);
  await bench.advance(1);
  assert.equal(bench.members.synced, true);
});

test("all that were Ready and have started again count together, although their Pods are still Ready", async () => {
  const bench = await startedBesideWaiting();
  bench.meet({ ...member("node2", "192.0.2.2"), meta }, { ...member("node3", "192.0.2.3"), meta });
  await bench.advance(500);
  assert.equal(bench.members.synced, true);
});

test("one that announces is counted on from half a second after it says so, also where another one has joined it", async () => {
  const bench = await startedBesideWaiting();
  await bench.answer(failures);
  await bench.advance(400);
  bench.hear(participant("node3").payload());
  await bench.advance(499);
  assert.equal(bench.members.synced, false);
  await bench.advance(1);
  assert.deepEqual([bench.members.synced, bench.members.problem], [true, undefined]);
});

test("one that announced, and starts again before it was counted on, is not", async () => {
  const bench = await startedBesideWaiting();
  bench.hear(participant("node3").payload());
  await bench.advance(400);
  bench.meet({ ...member("node3", "192.0.2.3"), meta: encodeMetadata(new Map([[MetadataKey.gossip, encodeOffer(2)]])) });
  await bench.advance(1_000);
  assert.equal(bench.members.synced, false);
});

test("a member that is met and lost again at once is not counted on", async () => {
  const bench = await started({ ...two, ready: true });
  bench.meet(member("node2", "192.0.2.2"));
  await bench.advance(310);
  bench.lose("node2");
  await bench.advance(10_000);
  assert.equal(bench.members.synced, false);
  await bench.answer(failures);
  assert.equal(bench.members.problem, cannotJoin);
  bench.meet(member("node2", "192.0.2.2"));
  await bench.advance(499);
  assert.equal(bench.members.synced, false, "it has to stay that long anew");
  await bench.advance(1);
  assert.equal(bench.members.synced, true);
});

test("nor is it where others have been tried without success meanwhile", async () => {
  const bench = await started({ ...two, ready: true }, three);
  bench.meet(member("node2", "192.0.2.2"));
  await bench.advance(100);
  await bench.answer([{ address: "192.0.2.3", reason: "refused" }]);
  await bench.advance(210);
  bench.lose("node2");
  await bench.advance(60_000);
  assert.equal(bench.members.synced, false);
});

test("an address that cannot be bound is tried again", async () => {
  const bench = new Bench();
  bench.bindFailures = 1;
  bench.members.start(false);
  await settled();
  assert.deepEqual(bench.take(), ["follow Pods", "error cannot open the port of the speakers' ring, retrying"]);
  await bench.advance(500);
  assert.ok(bench.take().includes("bound"));
});

test("at the end it leaves, stays a second while the others take over, and what was active stays so", async () => {
  const bench = await started(two);
  bench.meet(member("node2", "192.0.2.2"));
  await bench.answer();
  bench.take();
  const ended = bench.members[Symbol.asyncDispose]();
  bench.lose("node1");
  await settled();
  await bench.advance(999);
  assert.deepEqual(bench.take(), ["leave within 1000"]);
  await bench.advance(1);
  await ended;
  assert.deepEqual(bench.take(), ["off the network"]);
  assert.deepEqual(bench.active, ["node1", "node2"]);
  await bench.advance(120_000);
  assert.deepEqual(bench.take(), []);
});

test("what members tell is taken in, told, and passed on once", async () => {
  const bench = new Bench();
  bench.members.start(false);
  await settled();
  bench.take();
  bench.meet({ ...member("node2", "192.0.2.2"), meta });
  bench.take();
  const node2 = participant("node2");
  bench.hear(node2.payload());
  assert.deepEqual(bench.take(), ["broadcast node2 h", "heard of node2"]);
  bench.hear(node2.payload());
  bench.hear(Uint8Array.of(1, 2, 3));
  assert.deepEqual(bench.take(), []);
});

test("what was reported before the ring was there is told when it is, and again when others may have missed it", async () => {
  const bench = new Bench();
  bench.gossip.participate();
  bench.runner.dispatch({ type: "timer", chance: 0.5 });
  assert.deepEqual(bench.take(), []);
  bench.members.start(false);
  await settled();
  assert.ok(bench.take().includes("broadcast node1 h"));
  bench.accuse();
  assert.ok(bench.take().includes("broadcast node1 h"));
});

test("a member that failed does not take part until it says so as the one that is back; one that left is forgotten", async () => {
  const bench = new Bench();
  bench.members.start(false);
  await settled();
  const node2 = participant("node2");
  bench.meet({ ...member("node2", "192.0.2.2"), meta });
  bench.hear(node2.payload());
  bench.lose("node2");
  bench.hear(node2.payload());
  assert.equal(bench.gossip.isParticipating("node2"), false);
  assert.equal(bench.delegate.state().length > 0, true, "what it said is kept");
  bench.meet({ ...member("node2", "192.0.2.2", { incarnation: 2 }), meta });
  bench.hear(node2.payload());
  assert.equal(bench.gossip.isParticipating("node2"), false);
  node2.state.setIncarnation(2);
  bench.hear(node2.payload());
  assert.equal(bench.gossip.isParticipating("node2"), true);
  bench.lose("node2");
  node2.state.setIncarnation(3);
  bench.hear(node2.payload());
  assert.equal(bench.gossip.isParticipating("node2"), false, "its word is here before itself");
  bench.take();
  bench.meet({ ...member("node2", "192.0.2.2", { incarnation: 3 }), meta });
  assert.equal(bench.gossip.isParticipating("node2"), true);
  bench.runner.dispatch({ type: "node", name: "node2", node: undefined });
  assert.equal(bench.gossip.isParticipating("node2"), true, "the ring knows better than the API that it lives");
  bench.lose("node2", "left");
  assert.equal(bench.delegate.state().length, 0);
});

test("in a large ring what follows is told together, a change after others were quiet at once, and nothing out of its order", async () => {
  const bench = new Bench();
  bench.members.start(false);
  await settled();
  bench.gossip.participate();
  const toldOf = () => bench.take().filter((line) => line.startsWith("active "));
  bench.meet(...Array.from({ length: 300 }, (_, i) => ({ ...member(`other${i}`, `198.51.${i >> 7}.${i & 127}`), meta })));
  await bench.advance(3);
  toldOf();
  await bench.advance(10);
  bench.lose("other7");
  assert.equal(toldOf().length, 1);
  for (const name of ["other8", "other9"]) bench.lose(name);
  assert.deepEqual(toldOf(), []);
  const other1 = participant("other1");
  bench.hear(other1.payload());
  assert.equal(bench.gossip.isParticipating("other1"), false);
  await bench.advance(3);
  assert.equal(toldOf().length, 1);
  assert.equal(bench.active.length, 298);
  assert.equal(bench.gossip.isParticipating("other1"), true);
  other1.state.setIncarnation(2);
  bench.lose("other10");
  bench.hear(other1.payload());
  bench.lose("other1", "left");
  await bench.advance(3);
  assert.equal(bench.gossip.isParticipating("other1"), false, "its last word does not follow its leave");
});

test("a speaker that starts beside 1,000 others, met one each millisecond, tells the core of them some ten times", async () => {
  const others = Array.from({ length: 1_000 }, (_, i) => ({ ...member(`other${i}`, `198.51.${i >> 7}.${i & 127}`), meta }));
  const bench = new Bench();
  bench.rows = others.map(({ name, address }) => podOf(name, address));
  bench.members.start(true);
  await bench.advance(200);
  bench.take();
  for (const other of others) {
    bench.meetAlso(other);
    await bench.advance(1);
  }
  await bench.advance(200);
  const told = bench.take().filter((line) => line.startsWith("active ")).length;
  assert.ok(told <= 14, `${told}`);
  assert.equal(bench.active.length, 1_001);
});

for (const isDeleted of [true, false])
  test(`gossip of a member that died is forgotten ${isDeleted ? "at once where its Node was deleted before" : "ten minutes later"}, and others do not bring it back`, async () => {
    const bench = await started(two);
    bench.meet({ ...member("node2", "192.0.2.2"), meta });
    await bench.answer();
    const payload = participant("node2").payload();
    bench.hear(payload);
    if (isDeleted) bench.runner.dispatch({ type: "node", name: "node2", node: undefined });
    assert.ok(bench.delegate.state().length > 0);
    bench.lose("node2");
    assert.equal(bench.delegate.state().length === 0, isDeleted);
    for (let minute = 0; minute < 11; minute++) {
      await bench.advance(60_000);
      await bench.answer();
    }
    bench.hear(payload);
    assert.equal(bench.delegate.state().length, 0);
  });

test("what a node told that is forgotten before that was passed on is not passed on", async () => {
  const bench = await started(two);
  bench.meet(...Array.from({ length: 300 }, (_, i) => ({ ...member(`other${i}`, `198.51.${i >> 7}.${i & 127}`), meta })));
  await bench.advance(10);
  bench.lose("other7"); // The members tell this together with the news of other1.
  bench.hear(participant("other1").payload());
  bench.take();
  bench.members.forgetGossip("other1");
  await bench.advance(1_000);
  assert.doesNotMatch(bench.take().join(), /heard of/);
});

test("members whose metadata offers no gossip are known for that", async () => {
  const bench = new Bench();
  bench.members.start(false);
  await settled();
  bench.meet(member("node2", "192.0.2.2"), { ...member("node3", "192.0.2.3"), meta });
  assert.deepEqual(bench.withoutGossip, ["node2"]);
  bench.take();
  bench.meet({ ...member("node2", "192.0.2.2"), meta }, { ...member("node3", "192.0.2.3"), meta });
  assert.deepEqual(bench.withoutGossip, []);
  assert.deepEqual(bench.take(), ["active node1,node2,node3, not synced"], "the same members, and they are of another kind");
});

test("MAC addresses of members reach the core, whatever these say of them", async () => {
  const bench = await started(two);
  const fields = (macs: number[]) => encodeMetadata(new Map([[MetadataKey.macs, Uint8Array.from(macs)]]));
  bench.meet({ ...member("node2", "192.0.2.2"), meta: fields([2, 0, 0, 0, 0, 2]) });
  bench.meet({ ...member("node2", "192.0.2.2"), meta: undefined }); // A member of another kind of the same name.
  bench.meet({ ...member("node3", "192.0.2.3"), meta: "\x01\x02\x03" });
  assert.deepEqual([...bench.state.members.macs.nodes], [["02:00:00:00:00:02", "node2"]]);
});

test("members that say that they start are known for that until they say it no longer", async () => {
  const bench = await started(two);
  bench.state.isTold = true; // They start after this one.
  const gossip = [MetadataKey.gossip, encodeOffer(1)] as const;
  const starting = encodeMetadata(new Map([gossip, [MetadataKey.starting, new Uint8Array()]]));
  bench.meet({ ...member("node2", "192.0.2.2"), meta: starting }, { ...member("node3", "192.0.2.3"), meta });
  assert.deepEqual(bench.state.members.starting, ["node2"]);
  bench.meet({ ...member("node2", "192.0.2.2"), meta }, { ...member("node3", "192.0.2.3"), meta });
  assert.deepEqual(bench.state.members.starting, []);
});

test("that this node starts is said until it has started, and once it is on the network", async () => {
  const bench = new Bench();
  bench.members.started();
  assert.deepEqual(bench.published, []);
  bench.members.start(false);
  await settled();
  bench.members.started();
  assert.deepEqual(bench.published, [new Map([[MetadataKey.gossip, encodeOffer(1)]])]);
});

test("its own MAC addresses are published beside all else when they change, and what changed before it was on the network, then", async () => {
  const bench = new Bench();
  const eth0 = { index: 2, name: "eth0", mac: "02:00:00:00:00:09", status: "answering", running: true, addresses: [] } as const;
  bench.members.setInterfaces([]);
  bench.members.setInterfaces([eth0]);
  assert.deepEqual(bench.published, []);
  bench.members.start(false);
  await settled();
  bench.members.setInterfaces([eth0]);
  const gossip = [MetadataKey.gossip, encodeOffer(1)] as const;
  const starting = [MetadataKey.starting, new Uint8Array()] as const;
  assert.deepEqual(bench.published, [new Map([gossip, starting, [MetadataKey.macs, Uint8Array.of(2, 0, 0, 0, 0, 9)]])]);
});

test("where the node has the ring's address no more, the ring gets the one that came in its place on that interface", async () => {
  const bench = await started(two);
  bench.meet(member("node2", "192.0.2.2"));
  const lan = (...addresses: string[]) =>
    bench.members.setInterfaces([ethernet("eth1", "10.9.9.9/24"), ethernet("eth0", ...addresses)]);
  lan("192.0.2.1/24");
  await bench.advance(1_000);
  bench.take();
  lan("192.0.2.100/32", "2001:db8::1/64", "fe80::1/64");
  await bench.advance(10_000);
  assert.deepEqual(bench.take(), [], "nothing is in its place");
  lan("192.0.2.100/32", "2001:db8::1/64", "192.0.2.9/24");
  await bench.advance(499);
  lan("192.0.2.1/24", "192.0.2.9/24");
  await bench.advance(5_000);
  assert.deepEqual(bench.take(), [], "it came back at once");
  lan("192.0.2.100/32", "2001:db8::1/64", "192.0.2.9/24");
  await bench.advance(500);
  assert.deepEqual(bench.take(), [
    "warn this node's address has changed, and so does its address in the speakers' ring 192.0.2.9",
    "move to 192.0.2.9",
  ]);
  lan("192.0.2.9/24");
  await bench.advance(10_000);
  assert.deepEqual(bench.take(), []);
});

test("an address that was beside the ring's for long takes its place only when there is nothing else for 10 s", async () => {
  const bench = await started(two);
  bench.meet(member("node2", "192.0.2.2"));
  const lan = (...addresses: string[]) => bench.members.setInterfaces([ethernet("eth0", ...addresses)]);
  lan("192.0.2.1/24", "192.0.2.100/24");
  await bench.advance(10_000);
  bench.take();
  lan("192.0.2.100/24");
  await bench.advance(9_999);
  assert.deepEqual(bench.take(), []);
  lan("192.0.2.1/24", "192.0.2.100/24");
  await bench.advance(60_000);
  bench.take();
  lan("192.0.2.100/24");
  await bench.advance(400);
  lan("192.0.2.100/24", "192.0.2.9/24");
  await bench.advance(100);
  assert.equal(bench.take().at(-1), "move to 192.0.2.9");
  lan("192.0.2.100/24");
  await bench.advance(10_000);
  assert.equal(bench.take().at(-1), "move to 192.0.2.100");
});

test("interfaces that keep changing delay no move", async () => {
  const bench = await started(two);
  const lan = (...addresses: string[]) => bench.members.setInterfaces([ethernet("eth0", ...addresses)]);
  lan("192.0.2.1/24");
  await bench.advance(1_000);
  bench.take();
  for (let i = 0; i < 10; i++) {
    lan("192.0.2.9/24", `2001:db8::${i}/64`);
    await bench.advance(100);
  }
  assert.equal(bench.take().at(-1), "move to 192.0.2.9");
});

test("one that lost all others while its address changed joins them at once, and again soon until it has met one", async () => {
  const bench = await started({ ...two, ready: true });
  bench.meet(member("node2", "192.0.2.2"));
  bench.members.setInterfaces([ethernet("eth0", "192.0.2.1/24")]);
  await bench.answer();
  await bench.advance(1_000);
  bench.members.setInterfaces([ethernet("eth0", "192.0.2.9/24")]);
  await bench.advance(400);
  bench.lose("node2");
  await bench.advance(100);
  bench.take();
  await bench.advance(500);
  assert.deepEqual(bench.take(), ["join 192.0.2.2"]);
  await bench.answer([{ address: "192.0.2.2", reason: "no answer" }]);
  assert.deepEqual(bench.take(), ["warn cannot join a speaker 192.0.2.2"]);
  await bench.advance(2_000);
  assert.deepEqual(bench.take(), ["join 192.0.2.2"]);
  bench.meet(member("node2", "192.0.2.2"));
  await bench.answer();
  bench.take();
  await bench.advance(59_000);
  assert.deepEqual(bench.take(), []);
});

test("an address for the ring that the node never had is not replaced", async () => {
  const bench = await started(two);
  bench.members.setInterfaces([ethernet("eth0", "192.0.2.9/24")]);
  bench.take();
  await bench.advance(10_000);
  assert.deepEqual(bench.take(), []);
});

test("a Pod with its node's network is joined at the address that the node has now", async () => {
  const bench = await started({ ...two, hostIP: "192.0.2.22" });
  assert.deepEqual(bench.take(), ["follow Pods", "bound", "active node1, not synced", "join 192.0.2.22"]);
});

function ethernet(name: string, ...addresses: string[]): InterfaceState {
  return { index: 1, name, mac: "02:00:00:00:00:01", status: "answering", running: true, addresses };
}

test("a node that has lost all others while they are Ready tries to join them soon, and says after 10 s that it is alone", async () => {
  const bench = await started({ ...two, ready: true });
  bench.meet(member("node2", "192.0.2.2"));
  await bench.answer();
  await bench.advance(500);
  assert.deepEqual([bench.members.synced, bench.members.problem], [true, undefined]);
  bench.take();
  bench.lose("node2");
  await bench.advance(1_000);
  assert.deepEqual(bench.take(), ["active node1", "join 192.0.2.2"]);
  await bench.answer(failures);
  await bench.advance(8_999);
  assert.equal(bench.members.problem, undefined, "the API may have it as it was");
  await bench.advance(1);
  assert.equal(bench.members.problem, cannotJoin);
  bench.meet(member("node2", "192.0.2.2"));
  assert.equal(bench.members.problem, undefined);
  bench.lose("node2");
  await bench.advance(5_000);
  bench.see({ ...two, ready: false });
  await bench.advance(20_000);
  assert.equal(bench.members.problem, undefined, "none is Ready");
});

test("a node whose port is not open is not in the ring, says why, and logs it once", async () => {
  const bench = new Bench();
  bench.bindFailures = 100;
  bench.members.start(false);
  await bench.advance(0);
  for (let second = 0; second < 120; second++) await bench.advance(1_000);
  assert.equal(bench.members.problem, "address in use");
  assert.deepEqual(
    bench.take().filter((line) => line.startsWith("error")),
    ["error cannot open the port of the speakers' ring, retrying"],
  );
  bench.bindFailures = 0;
  for (let second = 0; second < 20; second++) await bench.advance(1_000);
  assert.equal(bench.members.problem, undefined);
  bench.bindProblem = "its thread died and is being restarted";
  assert.equal(bench.members.problem, "its thread died and is being restarted");
});

test("of entries with thousands of addresses a turn takes in some hundred, of others two hundred", () => {
  const other = new GossipNode("node2");
  for (let i = 0; i < 7 * 256; i++) other.state.setServing(address(`10.0.${i >> 8}.${i & 255}`), true);
  const store = new GossipStore("node1", 1);
  store.joined("node2", 1);
  const heard = [...store.merge(other.payload(), 0)];
  const turns: number[] = [];
  while (heard.length > 0) turns.push(takePortion(heard).length);
  assert.deepEqual([turns.reduce((sum, size) => sum + size, 0) >= 7, Math.max(...turns) <= 4], [true, true], `${turns}`);
  const small = { node: "node2", life: 1, version: 1, key: "x", value: new Uint8Array(32) };
  assert.equal(takePortion(Array.from({ length: 250 }, () => small)).length, 200);
});

test("a turn takes in the candidates that a node tells of a page, however many", () => {
  const other = new GossipNode("node2");
  for (let i = 0; i < 99; i++) other.state.candidates.set(address(`192.0.2.${i}`), [`node${i}`]);
  const store = new GossipStore("node1", 1);
  store.joined("node2", 1);
  const heard = [...store.merge(other.payload(), 0)];
  assert.equal(takePortion(heard).length, 1);
});
