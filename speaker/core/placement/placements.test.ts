import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "#pkg/config";
import { service } from "#pkg/k8s/testing";
import { Bench, pools } from "../../testing/speaker-bench.ts";
import { holderKeys, noServices, setService } from "../services/services.ts";

const x = "192.0.2.1";

/** A speaker that counts the lists of endpoints that it reads, each of one Service. */
function counting(): { readonly bench: Bench; readonly read: () => number } {
  const bench = new Bench("node1");
  bench.setConfig(pools());
  const { slices } = bench.state.services;
  const get = slices.get.bind(slices);
  let reads = 0;
  slices.get = (key) => {
    reads++;
    return get(key);
  };
  return { bench, read: () => reads };
}

/** The most that a turn reads until nothing is left to do. */
function mostOfTurns({ bench, read }: ReturnType<typeof counting>): number {
  let most = 0;
  for (bench.wakes = 1; bench.wakes > 0; ) {
    const before = read();
    bench.wakes = 0;
    bench.proceed();
    most = Math.max(most, read() - before);
  }
  return most;
}

// Reports on a hundred Services look at their endpoints too.
const maxReads = limits.holdersOfAddress + 200;

test("a turn looks at 500 of 10,000 Services on one address, and at no more on many such addresses", () => {
  const one = counting();
  for (let i = 0; i < 10_000; i++) one.bench.setService(`default/s${i}`, service(`default/s${i}`, { ingress: [x] }));
  one.bench.endpoints("default/s0", { node1: true });
  one.bench.start();
  assert.ok(mostOfTurns(one) <= maxReads);
  one.bench.endpoints("default/s0", { node2: true });
  assert.ok(mostOfTurns(one) <= maxReads);
  const several = counting();
  for (let i = 0; i < 10_000; i++)
    several.bench.setService(`default/s${i}`, service(`default/s${i}`, { ingress: [`192.0.2.${i % 15}`] }));
  several.bench.start();
  assert.ok(mostOfTurns(several) <= maxReads);
});

test("of more Services on an address than may share it the oldest count, whatever their names, and the others are told", () => {
  const { bench } = counting();
  const name = (index: number) => `default/s${String(index).padStart(3, "0")}`;
  const count = limits.holdersOfAddress + 1;
  // The last by name is the oldest.
  for (let i = 0; i < count; i++) bench.serve(name(i), [x], { created: count - i });
  bench.start();
  bench.settle();
  const verdictOf = (index: number) => bench.state.placements.get(x)?.[0]?.verdicts.get(name(index));
  assert.deepEqual(verdictOf(1), { announced: true });
  assert.deepEqual(verdictOf(0), { announced: false, reason: "sharedByTooMany" });
  bench.setService(name(3), undefined);
  bench.settle();
  assert.deepEqual(verdictOf(0), { announced: true }, "there is room");
});

test("property: Services on an address are in the order of their age, however they come, go, and are made again", () => {
  const steps = fc.array(fc.tuple(fc.nat(20), fc.nat(3)), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (all) => {
      const services = noServices();
      const there = new Map<string, number>(); // key -> when it was made, and 0 is never
      for (const [index, created] of all) {
        const key = `default/s${index}`;
        setService(services, key, created > 0 ? service(key, { ingress: [x], created }) : undefined);
        if (created > 0) there.set(key, created);
        else there.delete(key);
      }
      const byAge = [...there].sort(([a, at], [b, other]) => at - other || (a < b ? -1 : 1)).map(([key]) => key);
      assert.deepEqual(holderKeys(services, x), byAge);
      assert.equal(services.holders.has(x), there.size > 0);
    }),
  );
});
