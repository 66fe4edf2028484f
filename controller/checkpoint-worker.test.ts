import assert from "node:assert/strict";
import { test } from "node:test";
import { assignmentCore, RecordedAllocator, recordLine } from "#pkg/assignment";
import { parseConfig } from "#pkg/config";
import { Checkpoints, coreOf, describeRecording, readRecording } from "#pkg/core";
import { noise, smallRecorder } from "#pkg/core/testing";
import { service } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log";

test("a thread makes checkpoints of what a controller recorded, from which it is decided again alike", {
  timeout: 300_000,
}, async () => {
  const main = new URL("./main.ts", import.meta.url).href;
  using checkpoints = new Checkpoints({ program: "controller", main, options: {}, onThreadEnd: () => {}, log: silentLog });
  const { recorder, fill } = smallRecorder(checkpoints);
  const allocator = new RecordedAllocator((input, decisions) => recorder.add(recordLine(0, input, decisions)));
  const { config } = parseConfig("address-pools: [{name: a, protocol: layer2, addresses: [192.0.2.0/24]}]");
  assert.ok(config);
  allocator.setPools(config.pools);
  let round = 0;
  await fill(2, () => {
    round++;
    allocator.setNamespace("busy", { noise: noise() });
    const key = `default/web${round % 40}`;
    allocator.decide(key, round % 3 === 0 ? undefined : service(key, { clusterIPs: ["10.96.0.1"] }));
  });
  const { checkpoint, entries } = readRecording(JSON.stringify({ program: "controller", ...describeRecording(recorder) }));
  assert.equal(checkpoint?.otherwise, 0);
  const core = coreOf(assignmentCore, {}, checkpoint);
  for (const entry of entries) assert.deepEqual(JSON.parse(JSON.stringify(core.run(entry))), entry.decisions);
});
