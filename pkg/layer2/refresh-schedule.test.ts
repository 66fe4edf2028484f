import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#pkg/clock";
import { RefreshSchedule } from "./refresh-schedule.ts";

const always = (): boolean => true;
const evenly = (): number => 0.5; // Gaps that chance leaves as they are.

/** Takes what is due at each deadline until `end`. @returns lines "time: item" */
function transcript(schedule: RefreshSchedule<string>, end: number, isCurrent: (item: string) => boolean = always): string[] {
  const lines: string[] = [];
  for (let now = schedule.nextAt; now <= end; now = schedule.nextAt) {
    const item = schedule.take(now, isCurrent);
    if (item !== undefined) lines.push(`${now}: ${item}`);
  }
  return lines;
}

test("one item has its turn every 60 s, the first 60 s after it came", () => {
  const schedule = new RefreshSchedule<string>(60_000, evenly);
  assert.equal(schedule.nextAt, Infinity);
  schedule.add("a", 5000);
  assert.equal(schedule.take(64_999, always), undefined);
  assert.deepEqual(transcript(schedule, 200_000), ["65000: a", "125000: a", "185000: a"]);
});

test("items that come at once have their turns one after another, each every 60 s", () => {
  const schedule = new RefreshSchedule<string>(60_000, evenly);
  for (const item of ["a", "b", "c"]) schedule.add(item, 0);
  assert.deepEqual(transcript(schedule, 120_000), ["20000: a", "40000: b", "60000: c", "80000: a", "100000: b", "120000: c"]);
});

test("an item that comes later shortens the gap at once", () => {
  const schedule = new RefreshSchedule<string>(60_000, evenly);
  schedule.add("a", 0);
  schedule.add("b", 10_000);
  assert.deepEqual(transcript(schedule, 90_000), ["30000: a", "60000: b", "90000: a"]);
});

test("a late turn is not made up for by a burst", () => {
  const schedule = new RefreshSchedule<string>(60_000, evenly);
  for (const item of ["a", "b", "c"]) schedule.add(item, 0);
  assert.equal(schedule.take(59_000, always), "a");
  assert.equal(schedule.take(59_000, always), undefined);
  assert.deepEqual(transcript(schedule, 100_000), ["79000: b", "99000: c"]);
});

test("an item that is no longer current is dropped and holds up nobody", () => {
  const schedule = new RefreshSchedule<string>(60_000, evenly);
  for (const item of ["a", "b", "c", "d"]) schedule.add(item, 0);
  assert.deepEqual(
    transcript(schedule, 60_000, (item) => item === "d"),
    ["15000: d"],
  );
  assert.deepEqual(transcript(schedule, 140_000), ["75000: d", "135000: d"]);
  assert.equal(
    schedule.take(200_000, () => false),
    undefined,
  );
  assert.equal(schedule.nextAt, Infinity);
});

test("ten thousand items have one turn each in a minute or so, never two within 4 ms", () => {
  const schedule = new RefreshSchedule<string>(60_000, seededRandom(1));
  for (let i = 0; i < 10_000; i++) schedule.add(`${i}`, 0);
  const turns = transcript(schedule, 66_000).map((line) => line.split(": ") as [string, string]);
  assert.ok(new Set(turns.slice(0, 10_000).map(([, item]) => item)).size === 10_000);
  const times = turns.map(([at]) => Number(at));
  assert.ok(times[9999] !== undefined && times[9999] > 58_000 && times[9999] < 62_000, `${times[9999]}`);
  for (let i = 1; i < times.length; i++) assert.ok((times[i] ?? 0) - (times[i - 1] ?? 0) > 4);
});

test("chance moves each gap by a quarter at most, and another seed otherwise", () => {
  const turns = (seed: number): number[] => {
    const schedule = new RefreshSchedule<string>(60_000, seededRandom(seed));
    schedule.add("a", 0);
    return transcript(schedule, 1_000_000).map((line) => Number.parseFloat(line));
  };
  const times = turns(1);
  assert.notDeepEqual(times, turns(2));
  for (const [i, at] of times.entries()) {
    const gap = at - (times[i - 1] ?? 0);
    assert.ok(gap >= 45_000 && gap <= 75_000, `${gap}`);
  }
});

test("with an interval of 0 nothing has a turn", () => {
  const schedule = new RefreshSchedule<string>(0, evenly);
  schedule.add("a", 0);
  assert.equal(schedule.nextAt, Infinity);
});
