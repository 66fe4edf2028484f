import assert from "node:assert/strict";
import { test } from "node:test";
import { broadcastMac } from "#pkg/net";
import { decodeArp } from "./arp.ts";
import { capturedFrame, ourAddress, ourAddress6, ourMac } from "./fixtures.ts";
import { GratuitousSchedule, gratuitousFrames } from "./gratuitous.ts";

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

test("an announcement of an IPv4 address is a broadcast request and a broadcast reply, with sender and target the address", () => {
  const both = {
    destination: broadcastMac,
    source: ourMac,
    senderMac: ourMac,
    senderAddress: ourAddress,
    targetMac: broadcastMac,
  };
  assert.deepEqual(gratuitousFrames(ourMac, ourAddress).map(decodeArp), [
    { ...both, operation: 1, targetAddress: ourAddress },
    { ...both, operation: 2, targetAddress: ourAddress },
  ]);
});

test("an announcement of an IPv6 address is one advertisement to all nodes, not solicited, that overrides", () => {
  assert.deepEqual(gratuitousFrames(ourMac, ourAddress6), [capturedFrame("kernel-unsolicited-advertisement", "ndp.hex")]);
});

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
