import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry, KubernetesMetrics, metricsRoute, Registry } from "#pkg/metrics";

test("the metrics of both binaries have the names and types that alerts are written for, and begin at 0", async () => {
  const registry = new Registry();
  const metrics = new KubernetesMetrics(registry);
  const samples = async () => (await registry.metrics()).split("\n").filter((line) => line.startsWith("metallb_"));
  assert.deepEqual(await samples(), [
    "metallb_k8s_client_updates_total 0",
    "metallb_k8s_client_update_errors_total 0",
    "metallb_k8s_client_config_loaded_bool 0",
    "metallb_k8s_client_config_stale_bool 0",
  ]);
  const types = (await registry.getMetricsAsJSON()).map(({ type }) => type);
  assert.deepEqual(types, ["counter", "counter", "gauge", "gauge"]);
  metrics.updates.inc();
  metrics.configLoaded.set(1);
  assert.deepEqual((await samples())[0], "metallb_k8s_client_updates_total 1");
  assert.deepEqual((await samples())[2], "metallb_k8s_client_config_loaded_bool 1");
});

test("a scrape is text as Prometheus reads it, with the process's own metrics", async () => {
  const { status, contentType, body } = await metricsRoute(createRegistry())();
  assert.equal(status, 200);
  assert.equal(contentType, "text/plain; version=0.0.4; charset=utf-8");
  assert.match(body, /^process_resident_memory_bytes \d+$/m);
  assert.ok(body.endsWith("\n"));
});
