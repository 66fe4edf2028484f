import assert from "node:assert/strict";
import { test } from "node:test";
import { addStall, goOnResting, noStrain, type Strain } from "./overload.ts";

/** Stalls of `late` ms, each `every` ms, until it rests or the time is over. */
function strained(late: number, every: number, duration: number, from: Strain = noStrain, start = 0): Strain {
  let strain = from;
  for (let now = start; now < start + duration && strain.restUntil === from.restUntil; now += every)
    strain = addStall(strain, late, now);
  return strain;
}

for (const [name, late, every, rests] of [
  ["12 ms ten times a second, as on a busy machine,", 12, 100, false],
  ["20 ms ten times a second", 20, 100, true],
  ["90 ms in each 100, as of a processor limit far too low,", 90, 100, true],
  ["400 ms once in two seconds, of which 200 count,", 400, 2000, false],
  ["400 ms once a second", 400, 1000, true],
  ["five seconds once in three", 5000, 3000, false],
] as const)
  test(`stalls of ${name} ${rests ? "call for a rest" : "are bearable"}`, () => {
    assert.equal(strained(late, every, 60_000).restUntil !== undefined, rests);
  });

test("a rest lasts three minutes from the last strain on; a few stalls do not prolong it", () => {
  const rested = strained(200, 200, 10_000);
  const { at } = rested;
  assert.equal(rested.restUntil, at + 180_000);
  assert.equal(addStall(rested, 200, at + 1000).restUntil, at + 181_000);
  assert.equal(addStall(rested, 200, at + 60_000).restUntil, at + 180_000);
});

test("who rests again within an hour rests twice as long, an hour at most; later, three minutes", () => {
  let strain = noStrain;
  const rests: number[] = [];
  for (let start = 0; rests.length < 8; start = strain.restedAt + 1000) {
    strain = strained(200, 200, 10_000, strain, start);
    rests.push(strain.rest / 60_000);
    strain = goOnResting(strain, strain.restUntil ?? assert.fail());
  }
  assert.deepEqual(rests, [3, 6, 12, 24, 48, 60, 60, 60]);
  assert.equal(strained(200, 200, 10_000, strain, strain.restedAt + 3_600_000).rest, 180_000);
});

test("a rest ends when it is over, and not before; in its last 20 s a timer runs each 50 ms, to see whether it is late", () => {
  let strain = strained(200, 200, 10_000);
  const until = strain.restUntil ?? assert.fail();
  assert.equal(goOnResting(strain, until - 20_001), strain);
  let timers = 0;
  for (; strain.restUntil !== undefined; timers++) {
    assert.ok(strain.watchAt <= until);
    strain = goOnResting(strain, strain.watchAt);
  }
  assert.deepEqual([timers, strain.restedAt, strain.watchAt], [401, until, Infinity]);
  assert.equal(goOnResting(noStrain, until), noStrain);
});

test("to begin anew, half of what calls for a rest is too much", () => {
  const rested = strained(200, 200, 10_000);
  const end = rested.restUntil ?? assert.fail();
  const tried = (late: number) => {
    let strain = rested;
    for (let now = end - 20_000; now < end; now += 1000) strain = addStall(strain, late, now);
    return (strain.restUntil ?? 0) > end;
  };
  assert.deepEqual([tried(60), tried(120)], [false, true]);
  assert.equal(strained(120, 1000, 60_000).restUntil, undefined);
});
