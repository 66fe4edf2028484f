import assert from "node:assert/strict";
import { test } from "node:test";
import { centralName } from "#pkg/gossip";
import { keptForwarding } from "./start-bgp.ts";

test("a node that was booted while a router still kept its routes has not kept forwarding, and one that runs for longer has", () => {
  assert.deepEqual(
    [5, 119, 121, 86_400].map((uptimeSeconds) => keptForwarding("node-1", uptimeSeconds, 120)),
    [false, false, true, true],
  );
});

test("a central speaker on a node that was just booted has kept forwarding: other nodes do it", () => {
  assert.ok(keptForwarding(centralName("node-1"), 5, 120));
});
