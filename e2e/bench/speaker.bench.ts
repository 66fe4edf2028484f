/**
 * Measures a speaker's time for decisions, at 10,000 Services and 50 nodes, in milliseconds of its one thread. The bound, measured
 * in the same run, is the bare SHA-256 of every text that a whole election hashes: no speaker that decides everything again can be
 * faster. Run it with `node e2e/bench/speaker.bench.ts`.
 */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { PoolIndex, parseConfig } from "#pkg/config";
import { hideByKey, Recorder, recordLine } from "#pkg/core";
import type { EndpointSlice } from "#pkg/k8s";
import { endpointSlice, service } from "#pkg/k8s/testing";
import { createLog } from "#pkg/log";
import type { SpeakerEvent } from "../../speaker/core/events.ts";
import { speakerCore } from "../../speaker/core/replay.ts";
import { createState } from "../../speaker/core/state.ts";
import { step } from "../../speaker/core/step.ts";

const serviceCount = 10_000;
const sharing = 1_000;
const manyNodes = 100;
const rounds = 5;
const named = (count: number) => Array.from({ length: count }, (_, i) => `node-${String(i + 1).padStart(2, "0")}`);
const nodes = named(50);
const self = "node-25";

function slice(i: number, ready: boolean, on = nodes.slice(0, 3)): EndpointSlice {
  return endpointSlice(`service-${i}`, Object.fromEntries(on.map((name) => [name, ready])));
}

function ownAddress(i: number): string {
  return `10.0.${i >> 8}.${i & 255}`;
}

const hide = hideByKey(new Uint8Array(32));

interface BenchOptions {
  readonly recorder?: Recorder | undefined;
  readonly active?: readonly string[];
  /** The nodes with endpoints of each Service. */
  readonly on?: string[];
  readonly fields?: Parameters<typeof service>[1];
}

/** A speaker that has seen everything and has nothing to do. */
class Bench {
  /** The longest that the process was kept from anything else, in milliseconds. */
  longestTurn = 0;
  /** The same of all turns, those in which it sees something too, in milliseconds of the processor. */
  longestCpu = 0;
  #isAwake = false;
  readonly #state = createState({ node: self, ignoreExcludeLabel: false, hasRing: false });
  readonly #log = createLog("error");
  readonly #recorder: Recorder | undefined;
  readonly wire = new Set<string>();

  constructor(addressOf: (i: number) => string, count: number, { recorder, active = nodes, on, fields }: BenchOptions = {}) {
    this.#recorder = recorder;
    this.#dispatch({ type: "config", ...inForce });
    this.#dispatch({ type: "members", active, withoutGossip: [], isSynced: true });
    for (let i = 0; i < count; i++) {
      const key = `default/service-${i}`;
      this.#dispatch({ type: "service", key, service: service(`service-${i}`, { ...fields, ingress: [addressOf(i)] }) });
      this.#dispatch({ type: "slice", key: `${key}-slice`, now: slice(i, true, on), before: undefined });
    }
  }

  start(): void {
    this.#dispatch({ type: "start" });
    this.settle();
  }

  members(active: readonly string[]): void {
    this.#dispatch({ type: "members", active, withoutGossip: [], isSynced: true });
    this.settle();
  }

  endpoints(i: number, ready: boolean, on?: string[]): void {
    const [now, before] = [ready, !ready].map((each) => slice(i, each, on));
    this.#dispatch({ type: "slice", key: `default/service-${i}-slice`, now, before });
    this.settle();
  }

  settle(): void {
    while (this.#isAwake) {
      this.#isAwake = false;
      const start = performance.now();
      this.#dispatch({ type: "continue" });
      this.longestTurn = Math.max(this.longestTurn, performance.now() - start);
    }
  }

  #dispatch(event: SpeakerEvent): void {
    const now = performance.now();
    const before = process.threadCpuUsage();
    const effects = step(this.#state, event, now);
    const { user, system } = process.threadCpuUsage(before);
    this.longestCpu = Math.max(this.longestCpu, (user + system) / 1000);
    this.#recorder?.add(recordLine(speakerCore, { event, now }, effects, hide));
    for (const effect of effects) {
      if (effect.type === "announce") this.wire.add(effect.address.toString());
      else if (effect.type === "withdraw") this.wire.delete(effect.address.toString());
      else if (effect.type === "wake") this.#isAwake = true;
      else if (effect.type === "log") this.#log[effect.level](effect.message, effect.fields);
    }
  }
}

const { config } = parseConfig("address-pools: [{name: lan, protocol: layer2, addresses: [10.0.0.0/16]}]");
assert.ok(config);
const inForce = { config, pools: new PoolIndex(config.pools) };

/** The median of `rounds` runs of `work`, in milliseconds; `prepare` is not counted. */
function median<T>(prepare: (round: number) => T, work: (prepared: T) => void): number {
  const times = Array.from({ length: rounds }, (_, round) => {
    const prepared = prepare(round);
    const start = performance.now();
    work(prepared);
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[rounds >> 1] ?? Number.NaN;
}

function report(name: string, time: number): void {
  console.log(`${name.padEnd(52)} ${time.toFixed(3).padStart(9)} ms ${(time / bound).toFixed(4).padStart(8)} × bound`);
}

const texts = Array.from({ length: serviceCount }, (_, i) => nodes.map((node) => `${node}#${ownAddress(i)}`)).flat();
const bound = median(
  () => {},
  () => {
    for (const text of texts) hash("sha256", text, "hex");
  },
);
console.log(`${serviceCount} Services, ${nodes.length} nodes; bound: SHA-256 of ${texts.length} texts`);
report("bound", bound);

const whole = () => new Bench(ownAddress, serviceCount);
report(
  "start, everything seen",
  median(whole, (bench) => bench.start()),
);

const bench = whole();
bench.start();
report("the longest turn of a start", bench.longestTurn);
assert.ok(bench.wire.size > 100 && bench.wire.size < 300, `owns ${bench.wire.size}`);
const before = [...bench.wire].sort();
report(
  "the endpoints of one Service change",
  median(
    (round) => round,
    (round) => bench.endpoints(7, round % 2 === 1),
  ),
);
const another = nodes.filter((node) => node !== "node-07");
report(
  "another member leaves",
  median(
    () => bench.members(nodes),
    () => bench.members(another),
  ),
);
report(
  "another member joins",
  median(
    () => bench.members(another),
    () => bench.members(nodes),
  ),
);
bench.endpoints(7, true);
assert.deepEqual([...bench.wire].sort(), before);

const shared = new Bench(() => "10.0.0.1", sharing);
shared.start();
report(
  `one of ${sharing} Services on one address changes`,
  median(
    (round) => round,
    (round) => shared.endpoints(7, round % 2 === 1),
  ),
);

// More than may share an address: others put them there.
for (const policy of ["Cluster", "Local"] as const) {
  const active = named(manyNodes);
  const on = active.slice(0, 3);
  const crowd = new Bench(() => "10.0.0.1", serviceCount, { active, on, fields: { externalTrafficPolicy: policy } });
  const longest = (act: () => void): string => {
    crowd.longestCpu = 0;
    act();
    return `${crowd.longestCpu.toFixed(1)} ms`;
  };
  console.log(
    `the longest turn with ${serviceCount} Services on one address and ${manyNodes} nodes, ${policy}, of the processor:`,
  );
  console.log(`  as they are seen ${crowd.longestCpu.toFixed(1)} ms, first placement ${longest(() => crowd.start())}`);
  const change = longest(() => {
    for (let i = 0; i < 20; i++) crowd.endpoints(7, i % 2 === 1, on);
  });
  const fewer = active.filter((node) => node !== "node-07");
  const leave = longest(() => {
    crowd.members(fewer);
    crowd.members(active);
  });
  console.log(`  the endpoints of one change ${change}, a member leaves and joins ${leave}`);
}

for (const count of [500, 1_000]) {
  const many = named(count).sort(); // As members are.
  const big = new Bench(ownAddress, serviceCount, { active: many });
  const cpuOf = (act: () => void): string => {
    big.longestCpu = 0;
    const before = process.cpuUsage();
    act();
    const { user, system } = process.cpuUsage(before);
    return `${((user + system) / 1000).toFixed(0)} ms of the processor, longest turn ${big.longestCpu.toFixed(1)} ms`;
  };
  console.log(`${serviceCount} Services, ${count} nodes:`);
  console.log(`  start ${cpuOf(() => big.start())}`);
  console.log(`  another member leaves ${cpuOf(() => big.members(many.filter((node) => node !== "node-07")))}`);
  console.log(`  another member joins ${cpuOf(() => big.members(many))}`);
}

// The extra time of the flight recorder, which every speaker has: the same inputs without it and with it, in turn.
const seen = (recorder?: Recorder) => new Bench(ownAddress, serviceCount, { recorder });
report(
  "see everything",
  median(
    () => {},
    () => seen(),
  ),
);
const recorder = new Recorder();
report(
  "see everything, recorded",
  median(
    () => {},
    () => seen(recorder),
  ),
);
const recorded = seen(new Recorder());
recorded.start();
report("the longest turn of a start, recorded", recorded.longestTurn);
report(
  "the endpoints of one Service change, recorded",
  median(
    (round) => round,
    (round) => recorded.endpoints(7, round % 2 === 1),
  ),
);
console.log(`${recorder.size} inputs kept in ${recorder.octets().length} octets, ${recorder.dropped} dropped`);
