/**
 * Measures what a speaker's main thread takes of a processor as its ring grows: the core with its recorder and the driver of the ring, at 10,000
 * Services, beside members that are simulated. Each tells its labels and its interfaces, as speakers do. The bound, measured in the same run, is the
 * bare SHA-256 of each address with the name of each node, which a whole election hashes. Run it with `node e2e/bench/growth.bench.ts [NODES…]`.
 */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SimulatedClock } from "#pkg/clock/testing";
import { PoolIndex, parseConfig } from "#pkg/config";
import { CoreRunner, hideByKey, Recorder, recordLine } from "#pkg/core";
import { encodeOffer, type GossipEntry, GossipState, labelHash } from "#pkg/gossip";
import type { Handlers, Pod } from "#pkg/k8s";
import { endpointSlice, pod, service } from "#pkg/k8s/testing";
import type { InterfaceState } from "#pkg/layer2";
import { silentLog } from "#pkg/log/testing";
import { encodeMetadata, type MemberView, MetadataKey, type RingEvent } from "#pkg/memberlist";
import { parsePrefix } from "#pkg/net";
import { fnv1a } from "#pkg/text";
import type { SpeakerEffect } from "../../speaker/core/index.ts";
import { speakerCore } from "../../speaker/core/replay.ts";
import { createState } from "../../speaker/core/state.ts";
import { RingMembers } from "../../speaker/members/ring-members.ts";

const services = 10_000;
const labelsOfNode = 20;
const boundHashes = 500_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const nameOf = (node: number) => `ip-10-${node >> 14}-${(node >> 7) & 127}-${node & 127}.eu-central-1.compute.internal`;
const addressOf = (node: number) => `172.16.${node >> 8}.${node & 255}`;
const serviceAddress = (index: number) => `10.0.${index >> 8}.${index & 255}`;

/** The facts that a member tells of itself. */
function entriesOf(node: string, incarnation: number): GossipEntry[] {
  const told = new GossipState(node);
  const subnet = parsePrefix("172.16.0.0/16");
  assert.ok(subnet);
  told.setReachability({ answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", [subnet]]]) });
  const labels = Array.from({ length: labelsOfNode }, (_, i) => [`example.com/label-${i}`, `${node} ${i}`] as const);
  told.setTraits({
    exists: true,
    isOutOfService: false,
    isCordoned: false,
    isNotReady: false,
    isWithoutNetwork: false,
    labels: new Map(labels.map(([label, value]) => [labelHash(label), fnv1a(value)])),
  });
  told.setIncarnation(incarnation);
  told.participate();
  return told.takeEntries().map(({ key, value }) => ({ node, life: 1, key, version: incarnation, value }));
}

/** A member that joins, and what it tells. */
interface Met {
  readonly member: MemberView;
  readonly entries: readonly GossipEntry[];
}

const meet = (nodes: readonly number[], incarnation = 1): readonly Met[] =>
  nodes.map((node) => ({ member: viewOf(node, incarnation), entries: entriesOf(nameOf(node), incarnation) }));

const meta = encodeMetadata(
  new Map([
    [MetadataKey.gossip, encodeOffer(1)],
    [MetadataKey.macs, Uint8Array.of(2, 0, 0, 0, 0, 1)],
  ]),
);

const ownNode = 25; // Others come before it by name, and have the work that one speaker does for all.

function viewOf(node: number, incarnation = 1): MemberView {
  const [name, address] = [nameOf(node), addressOf(node)];
  return { name, address, port: 7946, status: "alive", incarnation, meta, self: node === ownNode };
}

const eth0: InterfaceState = {
  index: 2,
  name: "eth0",
  mac: "02:00:00:00:00:01",
  addresses: [`${addressOf(ownNode)}/16`],
  status: "answering",
  running: true,
};
const { config } = parseConfig("address-pools: [{name: lan, protocol: layer2, addresses: [10.0.0.0/16]}]");
assert.ok(config);
const inForce = { config, pools: new PoolIndex(config.pools) };
const hide = hideByKey(new Uint8Array(32));

/** The speaker of one node. */
class Speaker {
  readonly wire = new Set<string>();
  /** Milliseconds of the processor that the longest turn took. */
  longest = 0;
  readonly #clock = new SimulatedClock();
  readonly #state = createState({ node: nameOf(ownNode), ignoreExcludeLabel: false, hasRing: true });
  readonly #runner = new CoreRunner(speakerCore, this.#clock, () => 0.5);
  readonly #recorder = new Recorder();
  readonly #members = new Map([[nameOf(ownNode), viewOf(ownNode)]]);
  readonly #pods = new Map<string, Pod>();
  readonly #driver: RingMembers;
  #told: ((event: RingEvent) => void) | undefined;
  #podChanged: Handlers<Pod>["changed"] | undefined;
  #isAwake = false;
  #announcedAt = process.threadCpuUsage();

  constructor() {
    const pods = this.#pods;
    const informer = {
      start() {},
      relist() {},
      want() {},
      synced: true,
      lostSince: undefined,
      get: (key: string) => pods.get(key),
      values: () => pods.values(),
      size: 0,
      [Symbol.dispose]() {},
    };
    this.#driver = new RingMembers({
      memberlist: {
        start: async () => {},
        join: async () => ({ joined: 1, failures: [] }),
        leave: async () => true,
        members: () => [...this.#members.values()],
        timing: "fast",
        roundTrips: async () => new Map(),
        setEntries() {},
        forget() {},
        pull() {},
        running: true,
        problem: undefined,
        lossy: [],
        address: addressOf(ownNode),
        move() {},
        setMetadata() {},
        onEvent: (told) => {
          this.#told = told;
          return { [Symbol.dispose]() {} };
        },
        [Symbol.asyncDispose]: async () => {},
      },
      keys: undefined,
      metadata: new Map([[MetadataKey.gossip, encodeOffer(1)]]),
      gossip: this.#state.members.gossip,
      cluster: {
        podRows: () => Promise.resolve([]),
        informer: (_resource, _scope, handlers) => {
          this.#podChanged = (handlers as unknown as Handlers<Pod>).changed;
          return informer as never;
        },
      },
      namespace: "metallb-system",
      labels: "component=speaker",
      node: nameOf(ownNode),
      emit: this.#runner.dispatch,
      log: silentLog,
      clock: this.#clock,
      random: () => 0.5,
    });
    this.#runner.onStep = (input, effects) => this.#recorder.add(recordLine(speakerCore, input, effects, hide));
    this.#runner.start(this.#state, (effect) => this.#carryOut(effect));
    this.#runner.dispatch({ type: "interfaces", interfaces: [eth0] });
    this.#runner.dispatch({ type: "config", ...inForce });
    for (let i = 0; i < services; i++) {
      const key = `default/service-${i}`;
      this.#runner.dispatch({ type: "service", key, service: service(`service-${i}`, { ingress: [serviceAddress(i)] }) });
      const now = endpointSlice(`service-${i}`, { [nameOf(i % 7)]: true });
      this.#runner.dispatch({ type: "slice", key: `${key}-slice`, now, before: undefined });
    }
  }

  /** Opens the ring's port. */
  async begin(): Promise<void> {
    this.#driver.start(false);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }

  /** These join, and what they tell is there as well. */
  join(met: readonly Met[]): void {
    for (const { member, entries } of met) {
      const key = `metallb-system/speaker-${member.name}`;
      this.#pods.set(key, pod(key, { nodeName: member.name, hostIP: member.address }));
      this.#members.set(member.name, member);
      this.#turn(() => {
        this.#told?.({ type: "member", change: "joined", member });
        this.#told?.({ type: "gossip", entries });
      });
    }
    this.#settle();
  }

  fail(nodes: readonly number[]): void {
    for (const node of nodes) {
      const member = viewOf(node);
      this.#members.delete(member.name);
      this.#turn(() => this.#told?.({ type: "member", change: "failed", member }));
    }
    this.#settle();
  }

  /** Each Pod of a speaker changes once. */
  changePods(): void {
    for (const [key, one] of this.#pods) this.#turn(() => this.#podChanged?.(key, one, one));
    this.#settle();
  }

  /** @returns milliseconds of the processor until this node announces what it announces */
  start(): number {
    const before = process.threadCpuUsage();
    this.#turn(() => this.#runner.dispatch({ type: "start" }));
    this.#settle();
    const { user, system } = this.#announcedAt;
    return (user + system - before.user - before.system) / 1000;
  }

  /** Until nothing is left to do, and deadlines of the next second. */
  #settle(): void {
    const end = this.#clock.now() + 1_000;
    do {
      this.#turn(() => this.#clock.advanceBy(1));
      while (this.#isAwake) {
        this.#isAwake = false;
        this.#turn(() => this.#runner.dispatch({ type: "continue" }));
      }
    } while (this.#clock.now() < end);
  }

  #turn(act: () => void): void {
    const before = process.threadCpuUsage();
    act();
    const { user, system } = process.threadCpuUsage(before);
    this.longest = Math.max(this.longest, (user + system) / 1000);
  }

  #carryOut(effect: SpeakerEffect): void {
    if (effect.type === "announce") {
      this.wire.add(effect.address.toString());
      this.#announcedAt = process.threadCpuUsage();
    } else if (effect.type === "withdraw") this.wire.delete(effect.address.toString());
    else if (effect.type === "wake") this.#isAwake = true;
    else if (effect.type === "log" && effect.level !== "debug") JSON.stringify(effect.fields); // As the log does at least.
  }
}

/** @returns milliseconds of the processor */
function cpuOf(act: () => void): number {
  const before = process.threadCpuUsage();
  act();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

const counts = process.argv.slice(2).map(Number);
const sizes = counts.length > 0 ? counts : [50, 500, 1_000, 5_000];
const texts = Array.from({ length: boundHashes }, (_, i) => `${nameOf(i % 5_000)}#${serviceAddress(i % services)}`);
const hashMs =
  cpuOf(() => {
    for (const text of texts) hash("sha256", text, "hex");
  }) / boundHashes;
console.log(
  `${services} Services; milliseconds of the processor, and how often the bare hashes of a whole election, ${(hashMs * 1e6).toFixed(0)} ns each`,
);
for (const size of sizes) {
  const speaker = new Speaker();
  const others = Array.from({ length: size }, (_, i) => i).filter((node) => node !== ownNode);
  const bound = hashMs * services * size;
  console.log(`${size} nodes, bound ${bound.toFixed(0)} ms`);
  const row = (what: string, act: () => void): void => {
    speaker.longest = 0;
    const ms = cpuOf(act);
    const turn = `longest turn ${speaker.longest.toFixed(1)} ms`;
    console.log(`  ${what.padEnd(40)} ${ms.toFixed(0).padStart(8)} ms ${(ms / bound).toFixed(4).padStart(10)} × bound, ${turn}`);
  };
  const first = others.filter((node) => nameOf(node) < nameOf(ownNode));
  const tenth = others.filter((node) => node % 10 === 9); // Not the first ones: this speaker would have the work that one does for all.
  const [all, one, some] = [meet(others), meet([size - 1], 2), meet(tenth, 2)];
  await speaker.begin();
  collect();
  const before = process.memoryUsage().heapUsed;
  row("all members are met", () => speaker.join(all));
  collect();
  const kilobytes = (process.memoryUsage().heapUsed - before) / 1000 / others.length;
  console.log(`  ${"memory of a member".padEnd(40)} ${kilobytes.toFixed(1).padStart(8)} kB`);
  let announced = Number.NaN;
  row("all addresses are placed", () => {
    announced = speaker.start();
  });
  console.log(`  ${"until its own are announced".padEnd(40)} ${announced.toFixed(0).padStart(8)} ms`);
  assert.ok(speaker.wire.size > 0, "it owns nothing");
  row("a member fails", () => speaker.fail([size - 1]));
  row("it is back", () => speaker.join(one));
  row("a tenth fails together", () => speaker.fail(tenth));
  row("and is back", () => speaker.join(some));
  row("the Pod of each speaker changes once", () => speaker.changePods());
  row("the first by name fail: it is reporter", () => speaker.fail(first));
}
