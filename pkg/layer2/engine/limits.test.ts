import assert from "node:assert/strict";
import { test } from "node:test";
import { FloodWatch, SightingLimiter } from "./limits.ts";

/** Feeds this many frames a second for a while, a hundred times a second. @returns when it changed */
function feed(watch: FloodWatch, perSecond: number, from: number, to: number): string[] {
  const changes: string[] = [];
  for (let now = from; now < to; now += 10)
    if (watch.add(perSecond / 100, now)) changes.push(`${now} ${watch.flooded ? "flooded" : "calm"}`);
  return changes;
}

test("twenty thousand frames a second are no flood, and more are one as soon as they are there", () => {
  const watch = new FloodWatch();
  assert.deepEqual(feed(watch, 20_000, 0, 5000), []);
  assert.deepEqual(feed(watch, 200_000, 5000, 9000), ["5100 flooded"]);
});

test("a flood is over when a second has brought half as many", () => {
  const watch = new FloodWatch();
  feed(watch, 100_000, 0, 1000);
  assert.deepEqual(feed(watch, 15_000, 1000, 6000), []);
  assert.deepEqual(feed(watch, 10_000, 6000, 9000), ["7000 calm"]);
});

test("a flood that ended is over with the next frame", () => {
  const watch = new FloodWatch();
  assert.ok(watch.add(30_000, 0));
  assert.ok(watch.add(1, 2000));
  assert.equal(watch.flooded, false);
  assert.ok(watch.add(30_000, 60_000));
  assert.ok(watch.add(30_000, 120_000) === false && watch.flooded, "another one has come");
});

test("eight sightings of each address are reported in a second, whatever other addresses do", () => {
  const limiter = new SightingLimiter();
  const allowed = (address: number, now: number) =>
    Array.from({ length: 20 }, (_, mac) => limiter.allows(address, mac, now)).filter(Boolean);
  assert.equal(allowed(1, 0).length, 8);
  assert.equal(allowed(2, 500).length, 8);
  assert.equal(allowed(1, 999).length, 0);
  assert.equal(allowed(1, 1000).length, 8);
});

test("of all addresses together a thousand sightings a second are reported, and no more is remembered; one host leaves room for others", () => {
  const limiter = new SightingLimiter();
  const reported = (mac: number, now: number) =>
    Array.from({ length: 50_000 }, (_, address) => limiter.allows(address, mac, now)).filter(Boolean).length;
  for (const begin of [0, 60_000]) {
    assert.equal(reported(1, begin), 900);
    assert.equal(reported(2, begin + 1), 100);
    assert.equal(reported(3, begin + 2), 0);
  }
});

test("a host that sends without end leaves room for the answers of others", () => {
  const limiter = new SightingLimiter();
  const storm = Array.from({ length: 1000 }, () => limiter.allows(1, 0x42, 0)).filter(Boolean);
  assert.deepEqual([storm.length, limiter.allows(1, 0x43, 500), limiter.allows(1, 0x44, 500)], [4, true, true]);
});
