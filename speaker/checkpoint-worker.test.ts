import assert from "node:assert/strict";
import { test } from "node:test";
import { slow } from "#pkg/clock/testing";
import { Checkpoints, coreOf, describeRecording, encode, readRecording } from "#pkg/core";
import { noise, smallRecorder } from "#pkg/core/testing";
import { silentLog } from "#pkg/log/testing";
import { speakerCore } from "./core/replay.ts";
import { Bench, pools, x } from "./testing/speaker-bench.ts";

const options = encode({ node: "node1", ignoreExcludeLabel: false, hasRing: false }, String);
const main = new URL("./main.ts", import.meta.url).href;

test("a thread makes checkpoints of what a speaker recorded, from which it is decided again alike", {
  ...slow,
  timeout: 300_000,
}, async () => {
  using checkpoints = new Checkpoints({ program: "speaker", main, options, onThreadEnd: () => {}, log: silentLog });
  const { recorder, fill } = smallRecorder(checkpoints);
  const bench = new Bench("node1", { recorder });
  bench.setConfig(pools());
  bench.serve("default/web", [x]);
  bench.start();
  bench.proceed();
  await fill(2, () => {
    bench.setNode("node2", { noise: noise() });
    bench.proceed();
  });
  bench.endpoints("default/web", { node1: false });
  bench.settle();
  const { checkpoint, entries } = readRecording(JSON.stringify({ program: "speaker", ...describeRecording(recorder) }));
  assert.equal(checkpoint?.otherwise, 0);
  assert.ok(recorder.dropped > 10);
  const core = coreOf(speakerCore, options, checkpoint);
  for (const entry of entries) assert.deepEqual(JSON.parse(JSON.stringify(core.run(entry))), entry.decisions);
});

test("a thread that cannot be had is reported, and the recording goes on", { timeout: 300_000 }, async () => {
  const logged: string[] = [];
  const log = { ...silentLog, warn: (message: string) => logged.push(message) };
  using checkpoints = new Checkpoints({
    program: "speaker",
    main: "file:///nowhere/main.js",
    options,
    onThreadEnd: () => {},
    log,
  });
  const made = await new Promise((resolve) => checkpoints.make({ checkpoint: undefined, entries: [] }, resolve));
  assert.ok(made instanceof Error);
  assert.deepEqual(logged, ["no checkpoint can be made of what was recorded"]);
});
