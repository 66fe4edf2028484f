import assert from "node:assert/strict";
import { test } from "node:test";
import { SightingLimiter } from "./sighting-limiter.ts";

test("of each address eight sightings a second are told, whatever others do", () => {
  const limiter = new SightingLimiter();
  const allowed = (address: number, now: number) =>
    Array.from({ length: 20 }, () => limiter.allows(address, now)).filter(Boolean);
  assert.equal(allowed(1, 0).length, 8);
  assert.equal(allowed(2, 500).length, 8);
  assert.equal(allowed(1, 999).length, 0);
  assert.equal(allowed(1, 1000).length, 8);
});

test("of all addresses together a thousand sightings a second are told, and no more is remembered", () => {
  const limiter = new SightingLimiter();
  const told = (now: number) =>
    Array.from({ length: 50_000 }, (_, address) => limiter.allows(address, now)).filter(Boolean).length;
  assert.equal(told(0), 1000);
  assert.equal(told(1), 0);
  assert.equal(told(60_000), 1000);
});
