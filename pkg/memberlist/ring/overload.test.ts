import assert from "node:assert/strict";
import { test } from "node:test";
import { addStall, continueBackOff, noOverload, type Overload } from "./overload.ts";

/** Stalls of `late` ms, each `every` ms, until it rests or the time is over. */
function strained(late: number, every: number, duration: number, from: Overload = noOverload, start = 0): Overload {
  let overload = from;
  for (let now = start; now < start + duration && overload.backOffUntil === from.backOffUntil; now += every)
    overload = addStall(overload, late, now);
  return overload;
}

for (const [name, late, every, rests] of [
  ["12 ms ten times a second, as on a busy machine,", 12, 100, false],
  ["20 ms ten times a second", 20, 100, true],
  ["90 ms in each 100, as of a processor limit far too low,", 90, 100, true],
  ["400 ms once in two seconds, of which 200 count,", 400, 2000, false],
  ["400 ms once a second", 400, 1000, true],
  ["five seconds once in three", 5000, 3000, false],
] as const)
  test(`stalls of ${name} ${rests ? "call for a back-off" : "are bearable"}`, () => {
    assert.equal(strained(late, every, 60_000).backOffUntil !== undefined, rests);
  });

test("a back-off lasts three minutes from the last overload on; a few stalls do not prolong it", () => {
  const rested = strained(200, 200, 10_000);
  const { at } = rested;
  assert.equal(rested.backOffUntil, at + 180_000);
  assert.equal(addStall(rested, 200, at + 1000).backOffUntil, at + 181_000);
  assert.equal(addStall(rested, 200, at + 60_000).backOffUntil, at + 180_000);
});

test("who rests again within an hour rests twice as long, an hour at most; later, three minutes", () => {
  let overload = noOverload;
  const rests: number[] = [];
  for (let start = 0; rests.length < 8; start = overload.backOffEndedAt + 1000) {
    overload = strained(200, 200, 10_000, overload, start);
    rests.push(overload.backOff / 60_000);
    overload = continueBackOff(overload, overload.backOffUntil ?? assert.fail());
  }
  assert.deepEqual(rests, [3, 6, 12, 24, 48, 60, 60, 60]);
  assert.equal(strained(200, 200, 10_000, overload, overload.backOffEndedAt + 3_600_000).backOff, 180_000);
});

test("a back-off ends when it is over, and not before; in its last 20 s a timer runs each 50 ms, to see whether it is late", () => {
  let overload = strained(200, 200, 10_000);
  const until = overload.backOffUntil ?? assert.fail();
  assert.equal(continueBackOff(overload, until - 20_001), overload);
  let timers = 0;
  for (; overload.backOffUntil !== undefined; timers++) {
    assert.ok(overload.watchAt <= until);
    overload = continueBackOff(overload, overload.watchAt);
  }
  assert.deepEqual([timers, overload.backOffEndedAt, overload.watchAt], [401, until, Infinity]);
  assert.equal(continueBackOff(noOverload, until), noOverload);
});

test("to begin anew, half of what calls for a back-off is too much", () => {
  const rested = strained(200, 200, 10_000);
  const end = rested.backOffUntil ?? assert.fail();
  const tried = (late: number) => {
    let overload = rested;
    for (let now = end - 20_000; now < end; now += 1000) overload = addStall(overload, late, now);
    return (overload.backOffUntil ?? 0) > end;
  };
  assert.deepEqual([tried(60), tried(120)], [false, true]);
  assert.equal(strained(120, 1000, 60_000).backOffUntil, undefined);
});
