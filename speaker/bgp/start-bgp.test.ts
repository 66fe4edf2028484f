import assert from "node:assert/strict";
import { test } from "node:test";
import { keptForwarding } from "./start-bgp.ts";

test("a node that was booted while a router still kept its routes has not kept forwarding, and one that runs for longer has", () => {
  assert.deepEqual(
    [5, 119, 121, 86_400].map((uptimeSeconds) => keptForwarding(uptimeSeconds, 120)),
    [false, false, true, true],
  );
});
