import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { configurationState } from "#pkg/status-objects";
import { verdict } from "#pkg/verdict";

test("a refused configuration has its remedy in the condition, for the namespace of the component", () => {
  const refused = verdict("configuration", "invalid", { message: "it has an error" });
  const status = () => ({ verdict: refused, since: 0 });
  const [{ status: said }] = configurationState({ type: "controller" }, status, {
    namespace: "lb",
    clock: new SimulatedClock(),
  })();
  assert.match(`${said.errorSummary}`, /^it has an error; kubectl -n lb get configmap config /);
});
