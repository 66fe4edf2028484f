import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#pkg/clock/testing";
import { GratuitousSchedule, RefreshSchedule } from "./schedules.ts";

const always = (): boolean => true;

/** Takes what is due at each deadline until nothing is left. @returns lines "time: items" */
function transcript(
  schedule: GratuitousSchedule<string>,
  start = 0,
  most = 100,
  isCurrent: (item: string) => boolean = always,
): string[] {
  const lines: string[] = [];
  for (let now = start; now < Infinity; now = schedule.nextAt(now)) {
    const items = schedule.take(now, most, isCurrent);
    if (items.length > 0) lines.push(`${now}: ${items.join(" ")}`);
  }
  return lines;
}

test("an item has its turn at once, then every 1.1 s for 5 s", () => {
  const schedule = new GratuitousSchedule<string>();
  assert.equal(schedule.nextAt(1000), Infinity);
  schedule.add("a");
  assert.equal(schedule.nextAt(1000), 1000);
  assert.deepEqual(transcript(schedule, 1000), ["1000: a", "2100: a", "3200: a", "4300: a", "5400: a"]);
});

test("items keep their own time", () => {
  const schedule = new GratuitousSchedule<string>();
  schedule.add("a");
  assert.deepEqual(schedule.take(0, 10, always), ["a"]);
  schedule.add("b");
  assert.deepEqual(transcript(schedule, 300), [
    "300: b",
    "1100: a",
    "1400: b",
    "2200: a",
    "2500: b",
    "3300: a",
    "3600: b",
    "4400: a",
    "4700: b",
  ]);
});

test("a late turn moves the next, so that they never come closer than 1.1 s, and none comes after 5 s", () => {
  const schedule = new GratuitousSchedule<string>();
  schedule.add("a");
  assert.deepEqual(schedule.take(0, 10, always), ["a"]);
  assert.deepEqual(schedule.take(1099, 10, always), []);
  assert.deepEqual(transcript(schedule, 3500), ["3500: a", "4600: a"]);
});

test("a batch holds no more than it may, new items before repeats, and loses none", () => {
  const schedule = new GratuitousSchedule<string>();
  for (const item of ["a", "b", "c"]) schedule.add(item);
  assert.deepEqual(schedule.take(0, 2, always), ["a", "b"]);
  assert.equal(schedule.nextAt(0), 0);
  assert.deepEqual(schedule.take(0, 2, always), ["c"]);
  schedule.add("d");
  assert.deepEqual(schedule.take(1100, 2, always), ["d", "a"]);
  assert.deepEqual(schedule.take(1100, 2, always), ["b", "c"]);
  assert.deepEqual(schedule.take(1100, 2, always), []);
});

test("an item that is no longer current has no more turns, and does not hold up the others", () => {
  const schedule = new GratuitousSchedule<string>();
  for (const item of ["a", "b", "c"]) schedule.add(item);
  assert.deepEqual(
    schedule.take(0, 10, (item) => item !== "a"),
    ["b", "c"],
  );
  assert.deepEqual(
    schedule.take(1100, 1, (item) => item !== "b"),
    [],
  );
  assert.deepEqual(transcript(schedule, 1100), ["1100: c", "2200: c", "3300: c", "4400: c"]);
});

test("a thousand items announced at once are each taken five times, in batches", () => {
  const schedule = new GratuitousSchedule<string>();
  for (let i = 0; i < 1000; i++) schedule.add(`${i}`);
  const batches = transcript(schedule, 0, 32).map((line) => line.split(": ")[1]?.split(" ") ?? []);
  assert.ok(batches.every((items) => items.length <= 32));
  const turns = Map.groupBy(batches.flat(), (item) => item);
  assert.equal(turns.size, 1000);
  assert.ok([...turns.values()].every((times) => times.length === 5));
});

const evenly = (): number => 0.5; // Gaps that chance leaves as they are.

/** Takes what is due at each deadline until `end`. @returns lines "time: item" */
function refreshTranscript(
  schedule: RefreshSchedule<string>,
  end: number,
  isCurrent: (item: string) => boolean = always,
): string[] {
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
  assert.deepEqual(refreshTranscript(schedule, 200_000), ["65000: a", "125000: a", "185000: a"]);
});

test("items that come at once have their turns one after another, each every 60 s", () => {
  const schedule = new RefreshSchedule<string>(60_000, evenly);
  for (const item of ["a", "b", "c"]) schedule.add(item, 0);
  assert.deepEqual(refreshTranscript(schedule, 120_000), [
    "20000: a",
    "40000: b",
    "60000: c",
    "80000: a",
    "100000: b",
    "120000: c",
  ]);
});

test("an item that comes later shortens the gap at once", () => {
  const schedule = new RefreshSchedule<string>(60_000, evenly);
  schedule.add("a", 0);
  schedule.add("b", 10_000);
  assert.deepEqual(refreshTranscript(schedule, 90_000), ["30000: a", "60000: b", "90000: a"]);
});

test("a late turn is not made up for by a burst", () => {
  const schedule = new RefreshSchedule<string>(60_000, evenly);
  for (const item of ["a", "b", "c"]) schedule.add(item, 0);
  assert.equal(schedule.take(59_000, always), "a");
  assert.equal(schedule.take(59_000, always), undefined);
  assert.deepEqual(refreshTranscript(schedule, 100_000), ["79000: b", "99000: c"]);
});

test("an item that is no longer current is dropped and holds up nobody", () => {
  const schedule = new RefreshSchedule<string>(60_000, evenly);
  for (const item of ["a", "b", "c", "d"]) schedule.add(item, 0);
  assert.deepEqual(
    refreshTranscript(schedule, 60_000, (item) => item === "d"),
    ["15000: d"],
  );
  assert.deepEqual(refreshTranscript(schedule, 140_000), ["75000: d", "135000: d"]);
  assert.equal(
    schedule.take(200_000, () => false),
    undefined,
  );
  assert.equal(schedule.nextAt, Infinity);
});

test("ten thousand items have one turn each in a minute or so, never two within 4 ms", () => {
  const schedule = new RefreshSchedule<string>(60_000, seededRandom(1));
  for (let i = 0; i < 10_000; i++) schedule.add(`${i}`, 0);
  const turns = refreshTranscript(schedule, 66_000).map((line) => line.split(": ") as [string, string]);
  assert.ok(new Set(turns.slice(0, 10_000).map(([, item]) => item)).size === 10_000);
  const times = turns.map(([at]) => Number(at));
  assert.ok(times[9999] !== undefined && times[9999] > 58_000 && times[9999] < 62_000, `${times[9999]}`);
  for (let i = 1; i < times.length; i++) assert.ok((times[i] ?? 0) - (times[i - 1] ?? 0) > 4);
});

test("chance moves each gap by a quarter at most, and another seed otherwise", () => {
  const turns = (seed: number): number[] => {
    const schedule = new RefreshSchedule<string>(60_000, seededRandom(seed));
    schedule.add("a", 0);
    return refreshTranscript(schedule, 1_000_000).map((line) => Number.parseFloat(line));
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
