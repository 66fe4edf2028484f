import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import { eth0 } from "../testing/speaker-bench.ts";
import { countedInterfaces, nextCarrierAt, releaseCarriers } from "./carriers.ts";
import type { Carriers } from "./state.ts";

function held() {
  const clock = new SimulatedClock();
  const over: number[] = []; // When an interface counted again.
  const carriers: Carriers = { interfaces: [], lost: new Map(), heldUntil: new Map() };
  const see = (running: boolean, canOthersAnswer = true) => {
    carriers.interfaces = [{ ...eth0, running }];
    const [counted] = countedInterfaces(carriers, canOthersAnswer, clock.now());
    clock.schedule("carriers", nextCarrierAt(carriers), () => releaseCarriers(carriers, clock.now()) && over.push(clock.now()));
    return counted?.running;
  };
  return { clock, over, see };
}

test("a carrier that is there from the beginning counts at once, and one that comes back after 1.5 s", () => {
  const { clock, over, see } = held();
  assert.equal(see(true), true);
  assert.equal(see(false), false);
  clock.advanceBy(60_000);
  assert.equal(see(true), false);
  clock.advanceBy(1499);
  assert.deepEqual([see(true), over], [false, []]);
  clock.advanceBy(1);
  assert.deepEqual([see(true), over.length], [true, 1]);
});

test("one that goes again meanwhile is waited for anew", () => {
  const { clock, over, see } = held();
  see(false);
  see(true);
  clock.advanceBy(1000);
  see(false);
  see(true);
  clock.advanceBy(1000);
  assert.deepEqual([see(true), over], [false, []]);
  clock.advanceBy(500);
  assert.deepEqual([see(true), over.length], [true, 1]);
});

test("where no other node can answer it counts at once", () => {
  const { over, see } = held();
  see(false, false);
  assert.equal(see(true, false), true);
  assert.equal(see(true), true);
  assert.deepEqual(over, []);
});

test("another node that could answer when the carrier went has taken over, though it seems to be gone", () => {
  const { see } = held();
  see(false);
  see(false, false);
  assert.equal(see(true, false), false);
});
