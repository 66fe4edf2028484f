import assert from "node:assert/strict";
import { test } from "node:test";
import { type Entry, parseEntry } from "#pkg/core";
import { savedState, shapeOf, unsavedFields } from "#pkg/core/testing";
import { annotations } from "#pkg/service";
import { configText, coreOptions, startWorld } from "../testing/world.ts";
import { controllerCore } from "./index.ts";

test("where the fields of the state are others, the format of checkpoints is another one", async () => {
  const shared = { [annotations.sharing]: "a" };
  const world = await startWorld(configText("a 10.0.0.0-10.0.0.1"), {
    one: {},
    two: { annotations: shared },
    three: {},
    four: {},
  });
  world.occupied("10.0.0.1");
  await world.settle();
  const core = controllerCore.begin(coreOptions);
  const states = [...world.recorder.lines()].flat().map((line) => {
    core.run(parseEntry(line) as Entry);
    return savedState(core);
  });
  const { format } = controllerCore;
  assert.deepEqual(
    { format, shape: shapeOf(states) },
    { format: 28, shape: "e2bc97a1a613" },
    "raise the format, and put the shape here",
  );
});

test("no field of a saved class is lost, but for the steps of a change of pools, which are taken again", () => {
  assert.deepEqual(unsavedFields(controllerCore), ["PoolsChange.work"]);
});

test("no text of a ConfigMap is in what is recorded, nor a password of a peer", async () => {
  const peer = "{my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.1, password: planted}";
  const world = await startWorld(`peers: [${peer}]\n${configText("a 10.0.0.0-10.0.0.1")}`, { one: {} });
  const text = [...world.recorder.lines()].flat().join("\n");
  assert.match(text, /10\.0\.0\.0/);
  assert.doesNotMatch(text, /planted|peer-address/);
});
