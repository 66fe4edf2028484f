import assert from "node:assert/strict";
import { test } from "node:test";
import { service } from "#pkg/k8s/testing";
import { configText, startWorld } from "../testing/world.ts";

const prefers = { clusterIPs: ["10.96.0.1", "fd96::1"], prefersDualStack: true };

test("a Service that prefers two families has one without a warning, says so once, and gets the second when another gives it up", async () => {
  const world = await startWorld(configText("a 10.0.0.0-10.0.0.9 fd00::1-fd00::1"), {
    "default/other": { clusterIPs: ["fd96::2"] },
  });
  world.cluster.put("services", service("default/web", prefers));
  const status = () => world.cluster.service("default/web")?.ingress;
  assert.deepEqual(await world.settle(), [
    'default/web: Normal AdditionalAssignFailed: it prefers two families, and has ["10.0.0.0"] alone: pool "a" has no free IPv6 address (its only one is in use)',
    "default/web: status 10.0.0.0",
    'default/web: Normal IPAllocated: Assigned IP ["10.0.0.0"]',
  ]);
  const causes = () => Array.from(world.statuses("default/web"), ({ verdict }) => `${verdict.state} ${verdict.cause}`);
  assert.deepEqual(causes(), ["Assigned oneFamily"]);
  await world.restart();
  assert.deepEqual(status(), ["10.0.0.0"]);
  await world.settle();
  world.cluster.remove("services", "default/other");
  await world.settle();
  assert.deepEqual(status(), ["10.0.0.0", "fd00::1"]);
  assert.deepEqual(causes(), ["Assigned assigned"]);
});
