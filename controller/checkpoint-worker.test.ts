import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock, slow } from "#pkg/clock/testing";
import { parseConfig } from "#pkg/config";
import { Checkpoints, CoreRunner, coreOf, describeRecording, readRecording, recordLine } from "#pkg/core";
import { noise, smallRecorder } from "#pkg/core/testing";
import { configMapReference } from "#pkg/k8s";
import { configMap, service } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { controllerCore } from "./core/index.ts";

const options = { seed: 1, configMap: "metallb-system/config", hasConditions: true, hasPoolAnnotations: true };

test("a thread makes checkpoints of what a controller recorded, from which it is decided again alike", {
  ...slow,
  timeout: 300_000,
}, async () => {
  const main = new URL("./main.ts", import.meta.url).href;
  using checkpoints = new Checkpoints({ program: "controller", main, options, onThreadEnd: () => {}, log: silentLog });
  const { recorder, fill } = smallRecorder(checkpoints);
  using runner = new CoreRunner(controllerCore, new SimulatedClock(), () => 0.5);
  runner.onStep = (input, effects) => recorder.add(recordLine(controllerCore, input, effects, String));
  const secretText = "address-pools: [{name: a, protocol: layer2, addresses: [192.0.2.0/24]}]";
  const about = configMapReference(configMap("metallb-system/config", {}));
  runner.start(controllerCore.createState(options), (effect) => {
    if (effect.type === "wake") runner.dispatch({ type: "continue" });
    if (effect.type === "portion" || effect.type === "judgePortion") runner.dispatch(effect);
    if (effect.type === "readConfig") runner.dispatch({ type: "configRead", secretText, parsed: parseConfig(secretText) });
  });
  runner.dispatch({ type: "begin" });
  runner.dispatch({ type: "configMap", now: { about, version: "1", secretText, mayRenumber: false } });
  runner.dispatch({ type: "lead" });
  runner.dispatch({ type: "seen", isCurrent: true });
  let round = 0;
  await fill(2, () => {
    round++;
    runner.dispatch({ type: "namespace", name: "busy", labels: { noise: noise() }, isNews: false });
    const key = `default/web${round % 40}`;
    const now = round % 3 === 0 ? undefined : service(key, { clusterIPs: ["10.96.0.1"] });
    runner.dispatch({ type: "services", changed: [{ key, now }] });
    runner.dispatch({ type: "service", key });
  });
  const answer = { program: "controller", options, ...describeRecording(recorder) };
  const { checkpoint, entries } = readRecording(JSON.stringify(answer));
  assert.equal(checkpoint?.otherwise, 0);
  const core = coreOf(controllerCore, options, checkpoint);
  for (const entry of entries) assert.deepEqual(JSON.parse(JSON.stringify(core.run(entry))), entry.decisions);
});
