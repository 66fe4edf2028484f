import assert from "node:assert/strict";
import { test } from "node:test";
import { type CorrelatedEvent, EventCorrelator } from "./event-correlator.ts";

const start = Date.UTC(2026, 0, 1);

/** Feeds a correlator; time is in seconds. */
function scene(reporter = "speaker n1") {
  const correlator = new EventCorrelator(reporter);
  return (message: string, second = 0, { name = "web", reason = "Failed", type = "Warning" as "Warning" | "Normal" } = {}) =>
    correlator.correlate({
      about: { apiVersion: "v1", kind: "Service", namespace: "ns", name, uid: `uid-${name}` },
      type,
      reason,
      message,
      at: second * 1000,
      date: new Date(start + second * 1000),
    });
}

function counts(events: readonly (CorrelatedEvent | undefined)[]): (number | undefined)[] {
  return events.map((event) => event?.count);
}

test("the same again raises the count of the same event, and keeps when it was first", () => {
  const record = scene();
  const first = record("no address");
  const second = record("no address", 60);
  assert.equal(first?.count, 1);
  assert.deepEqual(second, { ...first, count: 2, last: new Date(start + 60_000) });
});

test("an event about an object with the longest name has a name that Kubernetes takes", () => {
  const labels = ["a".repeat(63), "b".repeat(63), "c".repeat(63), `${"d".repeat(43)}-${"e".repeat(17)}`];
  const name = labels.join(".");
  assert.equal(name.length, 253);
  const named = scene()("m", 0, { name })?.name ?? "";
  assert.ok(named.length <= 253, `${named.length}`);
  assert.match(named, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/); // As the API server checks it.
});

test("another object, type, reason or message is another event", () => {
  const record = scene();
  const events = [
    record("m"),
    record("m", 0, { name: "other" }),
    record("m", 0, { type: "Normal" }),
    record("m", 0, { reason: "Other" }),
    record("n"),
  ];
  assert.deepEqual(counts(events), [1, 1, 1, 1, 1]);
  assert.equal(new Set(events.map((event) => event?.name)).size, 5);
  assert.match(events[0]?.name ?? "", /^web\.[0-9a-f]{16}$/);
});

test("speakers that write about one Service in one millisecond write different events", () => {
  const names = Array.from({ length: 100 }, (_, node) => scene(`speaker n${node}`)("m")?.name);
  assert.equal(new Set(names).size, 100);
});

test("from the tenth similar message on they are combined into one event", () => {
  const record = scene();
  const events = Array.from({ length: 12 }, (_, index) => record(`message ${index}`, index));
  assert.deepEqual(counts(events), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3]);
  assert.equal(events[8]?.message, "message 8");
  for (const index of [9, 10, 11]) {
    assert.equal(events[index]?.message, `(combined from similar events): message ${index}`);
    assert.equal(events[index]?.name, events[9]?.name);
  }
});

test("the same message does not count as similar ones", () => {
  const record = scene();
  const events = Array.from({ length: 20 }, () => record("same"));
  assert.deepEqual(
    counts(events),
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
});

for (const { gap, combined } of [
  { gap: 600, combined: true },
  { gap: 601, combined: false },
])
  test(`${gap} s after the last similar message, the next is ${combined ? "still" : "no longer"} combined`, () => {
    const record = scene();
    for (let index = 0; index < 10; index++) record(`message ${index}`);
    assert.equal(record("late", gap)?.message.startsWith("(combined"), combined);
  });

test("an object has 25 writes at once, then one each five minutes, and others have theirs", () => {
  const record = scene();
  const events = Array.from({ length: 30 }, () => record("m"));
  assert.deepEqual(counts(events), [...Array.from({ length: 25 }, (_, index) => index + 1), ...Array(5).fill(undefined)]);
  assert.equal(record("m", 0, { name: "other" })?.count, 1);
  assert.equal(record("m", 299), undefined);
  assert.equal(record("m", 300)?.count, 32);
  assert.equal(record("m", 301), undefined);
});

test("what is remembered is bounded: an object not heard of for thousands of others starts anew", () => {
  const record = scene();
  record("m");
  for (let index = 0; index < 4096; index++) record("m", 0, { name: `s${index}` });
  assert.equal(record("m")?.count, 1);
  assert.equal(record("m", 0, { name: "s4095" })?.count, 2);
});

test("a namespace may have 20,000 writes at once, then one a second, however often its objects are made again, and takes none of another's", () => {
  const correlator = new EventCorrelator("speaker n1");
  let made = 0;
  const record = (namespace: string, second: number) => {
    const about = { apiVersion: "v1", kind: "Service", namespace, name: "web", uid: `${made++}` };
    const date = new Date(start + second * 1000);
    return correlator.correlate({ about, type: "Normal", reason: "IPAllocated", message: "m", at: second * 1000, date });
  };
  const written = (namespace: string, second: number, times: number) =>
    Array.from({ length: times }, () => record(namespace, second)).filter((event) => event !== undefined).length;
  assert.equal(written("tenant", 0, 30_000), 20_000);
  assert.equal(written("other", 0, 20_000), 20_000);
  assert.equal(written("tenant", 60, 1_000), 60);
});
