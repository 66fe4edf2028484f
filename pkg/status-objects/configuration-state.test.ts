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

test("without any object nothing is wrong, as with MetalLB; that all are gone and the last good configuration stays is", () => {
  const result = (state: "Pending" | "Degraded") => {
    const status = () => ({
      verdict: verdict("configuration", "objectsMissing", { state, message: "there are none" }),
      since: 0,
    });
    const [object] = configurationState({ type: "controller" }, status, { namespace: "lb", clock: new SimulatedClock() })();
    return [object.status.result, object.status.errorSummary !== undefined];
  };
  assert.deepEqual(result("Pending"), ["Valid", false]);
  assert.deepEqual(result("Degraded"), ["Invalid", true]);
});
