import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { createState, type NodeFacts, SpeakerView } from "./core/index.ts";
import { ObjectVerdicts } from "./object-verdicts.ts";
import { pools } from "./testing/speaker-bench.ts";

const lines = (count: number) =>
  Array.from({ length: count }, (_, i) => `{name: p${i}, protocol: bgp, addresses: [10.${i >> 8}.${i & 255}.0/24]}`).join(", ");

function looking() {
  const clock = new SimulatedClock();
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  const rounds: number[] = []; // When each ended.
  const bfdWarnings: string[] = [];
  const nodeFacts = (): NodeFacts => {
    rounds.push(clock.now());
    const none = { missing: [], findings: [], bfdWarnings, lossy: [], pathProblems: [], refusedWrites: [] };
    return { ...none, failed: undefined, viewAge: 0 };
  };
  return { clock, state, rounds, bfdWarnings, objects: new ObjectVerdicts({ view: new SpeakerView(state), clock, nodeFacts }) };
}

test("a turn looks at 100 pools, and the next round begins 10 s after the last", () => {
  const { clock, state, rounds, objects } = looking();
  state.config = pools(lines(1_000));
  objects.start();
  let turns = 1;
  for (; rounds.length === 0 && turns < 100; turns++) clock.advanceToNext();
  assert.equal(turns, 11);
  assert.equal(clock.now(), 0);
  clock.advanceBy(10_000);
  assert.deepEqual(rounds, [0, 10_000]);
});

test("a verdict has its date for as long as it is the same, and a pool that comes again has a new one", () => {
  const { clock, state, objects } = looking();
  const dates = () => Array.from(objects.pools(), ({ pool, since }) => [pool.name, since]);
  state.config = pools(lines(2));
  objects.start();
  clock.advanceBy(25_000);
  assert.deepEqual(dates(), [
    ["p0", 0],
    ["p1", 0],
  ]);
  state.config = pools(lines(1));
  clock.advanceBy(20_000);
  state.config = pools(lines(2));
  assert.deepEqual(dates(), [
    ["p0", 0],
    ["p1", 45_000],
  ]);
  assert.deepEqual(
    objects.node().map(({ since }) => since),
    [0],
  );
});

test("of several faults with one cause each has its date, whatever the numbers in its words are", () => {
  const { clock, bfdWarnings, objects } = looking();
  const dates = (...warnings: string[]) => {
    clock.advanceBy(10_000);
    bfdWarnings.splice(0, Infinity, ...warnings);
    return objects.node().map(({ verdict, since }) => `${verdict.message} ${since}`);
  };
  assert.deepEqual(dates("a, 1 time"), ["a, 1 time 10000"]);
  assert.deepEqual(dates("b", "a, 1 time"), ["b 20000", "a, 1 time 10000"]);
  assert.deepEqual(dates("a, 2 times", "b"), ["a, 2 times 10000", "b 20000"]);
  assert.deepEqual(dates("b"), ["b 20000"]);
});
