import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { ApiError } from "#pkg/k8s";
import { silentLog } from "#pkg/log/testing";
import { ConfigMapWriter } from "./config-map-writer.ts";

function bench() {
  const clock = new SimulatedClock();
  const writes: [string, Readonly<Record<string, string | null>> | null][] = [];
  const api = { isAway: false, isOurs: true, refuses: "" };
  const logged: string[] = [];
  const read: unknown[] = [];
  const writer = new ConfigMapWriter({
    cluster: {
      writeConfigMap: async (_namespace, name, data) => {
        if (api.isAway) throw new ApiError("Cannot write", 0, "Unreachable");
        if (name === api.refuses) throw new ApiError(`Cannot write ${name}: denied`, 403, "Forbidden");
        writes.push([name, data]);
        return { all: "data" };
      },
    },
    namespace: "metallb-system",
    mayWrite: () => api.isOurs,
    onWritten: (name, data) => read.push([name, data]),
    log: { ...silentLog, error: (message) => logged.push(message) },
    clock,
    random: () => 0.5,
  });
  return { clock, writes, read, api, writer, logged };
}

test("what is found is written for all, again and again until it succeeds, and logged once", async () => {
  const { clock, writes, api, writer, logged } = bench();
  api.isAway = true;
  writer.write("one", [["a", "1"]]);
  await setImmediate();
  clock.advanceBy(1000);
  await setImmediate();
  assert.deepEqual([writes, logged.length], [[], 1]);
  api.isAway = false;
  clock.advanceBy(2000);
  await setImmediate();
  assert.deepEqual(writes, [["one", { a: "1" }]]);
});

test("what is found while another write is under way is written after it, and what nobody has any more is taken out", async () => {
  const { writes, read, writer } = bench();
  writer.write("one", [["b", null]]);
  writer.write("one", [["a", "1"]]);
  writer.write("two", [["a", "2"]]);
  writer.write("one", [["a", null]]);
  await setImmediate();
  assert.deepEqual(writes, [
    ["one", { b: null }],
    ["two", { a: "2" }],
    ["one", { a: null }],
  ]);
  assert.deepEqual(
    read,
    ["one", "two", "one"].map((name) => [name, { all: "data" }]),
    "each answer is passed on",
  );
});

test("a ConfigMap of another writer is emptied first, and what waits for that is not written before", async () => {
  const { clock, writes, api, writer } = bench();
  api.isAway = true;
  writer.write("one", [["old", "1"]]);
  await setImmediate();
  writer.write("one", [["new", "2"]], true);
  api.isAway = false;
  clock.advanceBy(1000);
  await setImmediate();
  assert.deepEqual(writes, [
    ["one", null],
    ["one", { new: "2" }],
  ]);
});

test("a text that is being written when all is to be written anew is written again", async () => {
  const { writes, writer } = bench();
  writer.write("one", [["a", "1"]]);
  writer.write("one", [["a", "1"]], true); // The write before has not ended.
  await setImmediate();
  assert.deepEqual(writes, [
    ["one", { a: "1" }],
    ["one", null],
    ["one", { a: "1" }],
  ]);
});

test("what waits to be written is dropped once another process writes it, and what comes later is not", async () => {
  const { clock, writes, api, writer } = bench();
  api.isAway = true;
  writer.write("one", [["old", "1"]], true);
  await setImmediate();
  api.isOurs = false;
  clock.advanceBy(1000);
  await setImmediate();
  Object.assign(api, { isAway: false, isOurs: true });
  clock.advanceBy(60_000);
  await setImmediate();
  assert.deepEqual(writes, []);
  writer.write("one", [["new", "2"]]);
  await setImmediate();
  assert.deepEqual(writes, [["one", { new: "2" }]]);
});

test("a ConfigMap that could not be emptied is emptied later, also when nothing is to be written into it", async () => {
  const { clock, writes, api, writer } = bench();
  api.isAway = true;
  writer.write("one", [], true);
  await setImmediate();
  api.isAway = false;
  clock.advanceBy(1000);
  await setImmediate();
  assert.deepEqual(writes, [["one", null]]);
});

test("a ConfigMap that is to come after another one waits for it, is written or dropped with it, and comes by itself then", async () => {
  for (const isOurs of [true, false]) {
    const { clock, writes, api, writer } = bench();
    api.isAway = true;
    writer.write("one", [["a", "1"]], true);
    api.isAway = false;
    writer.write("two", [["b", "2"]], true, "one");
    await setImmediate();
    assert.equal(writes.length, 0);
    api.isOurs = isOurs;
    api.isAway = !isOurs;
    clock.advanceBy(1_000);
    await setImmediate();
    await setImmediate();
    const both = ["one", "two"].flatMap((name) => [name, name]);
    assert.deepEqual(
      writes.map(([name]) => name),
      isOurs ? both : [],
    );
    api.isAway = false;
    api.isOurs = true;
    writes.length = 0;
    writer.write("two", [["b", "3"]]);
    await setImmediate();
    assert.deepEqual(writes, [["two", { b: "3" }]]);
  }
});

test("a ConfigMap that the API server refuses again and again is named until it is written, or is no longer this process's", async () => {
  const { clock, api, writer } = bench();
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      clock.advanceBy(1_000);
      await setImmediate();
    }
  };
  for (const ends of ["written", "another's"]) {
    Object.assign(api, { refuses: "one", isOurs: true });
    writer.write("one", [["a", ends]]);
    writer.write("two", [["b", ends]]);
    await pass(1);
    assert.deepEqual(writer.refusals, [], "it may be over in a second");
    await pass(20);
    assert.deepEqual(writer.refusals, ["Cannot write one: denied"]);
    Object.assign(api, { refuses: ends === "written" ? "" : "one", isOurs: ends === "written" });
    await pass(40);
    assert.deepEqual(writer.refusals, [], ends);
  }
});

test("an API server that does not answer refuses nothing", async () => {
  const { clock, api, writer } = bench();
  api.isAway = true;
  writer.write("one", [["a", "1"]]);
  for (let i = 0; i < 60; i++) {
    clock.advanceBy(1_000);
    await setImmediate();
  }
  assert.deepEqual(writer.refusals, []);
});
