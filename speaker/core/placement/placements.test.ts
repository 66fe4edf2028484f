import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { slow } from "#pkg/clock/testing";
import { limits } from "#pkg/config";
import { service } from "#pkg/k8s/testing";
import { address } from "#pkg/net/testing";
import { elect, isElected, isOwner, ownerOf } from "#pkg/placement";
import { Bench, pools } from "../../testing/speaker-bench.ts";
import { ownNodeRule } from "../members/node-state.ts";
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

test("a turn looks at 500 of 10,000 Services on one address, and at no more on many such addresses", slow, () => {
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

test("in a large ring a node finds its own addresses within few turns, and knows of no other owner until somebody asks", () => {
  const active = Array.from({ length: 500 }, (_, i) => `node${i}`).sort();
  const ips = Array.from({ length: 3_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const own = (bench: Bench) => ips.filter((ip) => isElected(bench.state.node, active, address(ip))).sort();
  const bench = new Bench("node7", { active });
  bench.setConfig(pools("{name: lan, protocol: layer2, addresses: [10.0.0.0/16]}"));
  for (const ip of ips) bench.serve(`default/${ip}`, [ip]);
  bench.start();
  for (let turn = 0; turn < ips.length / 50; turn++) bench.proceed();
  assert.deepEqual(bench.onWire, own(bench));
  assert.ok(bench.onWire.length > 0);
  const elsewhere = [...bench.state.placements.values()].flat().filter(({ owner }) => owner !== "node7");
  assert.equal(elsewhere.length, ips.length - bench.onWire.length);
  assert.ok(elsewhere.every(({ owner, rival }) => owner === undefined && rival !== undefined));
  for (const placement of elsewhere.slice(0, 10)) assert.equal(ownerOf(placement), elect(active, placement.address));
  bench.endpoints(`default/${bench.onWire[0]}`, { node1: false });
  bench.proceed();
  assert.deepEqual(bench.onWire, own(bench).slice(1));
});

test("property: in a large ring each address is announced as if all owners were known, whoever comes and goes, and an owner that went is named", () => {
  const names = Array.from({ length: 12 }, (_, i) => `node${i}`).sort();
  const ips = Array.from({ length: 40 }, (_, i) => `192.0.2.${i}`);
  const others = names.filter((name) => name !== "node7");
  fc.assert(
    fc.property(fc.array(fc.subarray(others), { minLength: 1, maxLength: 6 }), (rings) => {
      const of = (fromMembers: number) => {
        const bench = new Bench("node7", { active: ["node7"], ownNode: { ...ownNodeRule, fromMembers } });
        bench.setConfig(pools("{name: lan, protocol: layer2, addresses: [192.0.2.0/24]}"));
        for (const ip of ips) bench.serve(`default/${ip}`, [ip], {}, { elsewhere: true });
        bench.start();
        bench.settle();
        return bench;
      };
      const [large, small] = [of(2), of(Infinity)];
      for (const ring of rings) {
        for (const bench of [large, small]) {
          bench.membersChanged([...ring, "node7"].sort());
          bench.settle();
        }
        assert.deepEqual(large.onWire, small.onWire);
        assert.deepEqual(large.measured, small.measured);
        const owners = (bench: Bench) =>
          ips.map((ip) => bench.state.placements.get(ip)?.map((one) => [ownerOf(one), isOwner("node3", one)]));
        if (ring.length % 2 === 0) assert.deepEqual(owners(large), owners(small)); // Some are asked for, and stay known.
      }
    }),
  );
});
