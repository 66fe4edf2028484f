import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#pkg/config";
import { configText, coreOptions } from "../testing/world.ts";
import type { ControllerEvent } from "./events.ts";
import { createState } from "./state.ts";
import { nextDeadline, step } from "./step.ts";

test("a controller that ends while its last good configuration cannot be saved is woken no more", () => {
  const state = createState(coreOptions);
  const secretText = configText("main 10.0.0.0-10.0.0.9");
  const configMap = { about: undefined, version: "1", secretText, mayRenumber: false };
  const events: ControllerEvent[] = [
    { type: "begin" },
    { type: "configMap", now: configMap },
    { type: "seen", isCurrent: true },
    { type: "lead" },
  ];
  let isWriting = false;
  for (let event = events.shift(); event !== undefined; event = events.shift())
    for (const effect of step(state, event, 0)) {
      if (effect.type === "readConfig") events.push({ type: "configRead", secretText, parsed: parseConfig(secretText) });
      else if (effect.type === "portion" || effect.type === "judgePortion") events.push(effect);
      else if (effect.type === "writeLastGood") isWriting = true;
    }
  assert.ok(isWriting);
  step(state, { type: "stop" }, 0);
  const failure = { status: undefined, reason: undefined, message: "no answer", cause: undefined, retryAfterMs: undefined };
  step(state, { type: "lastGoodWritten", secretText, failure }, 0);
  assert.equal(nextDeadline(state), Infinity);
});
