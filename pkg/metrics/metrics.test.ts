import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry, KubernetesMetrics, metricsRoute, pullCounter, pullGauge, pullHistogram, Registry } from "#pkg/metrics";

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
  const text = String(body);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);
  assert.ok(text.endsWith("\n"));
});

test("a pulled metric has the series there are when it is scraped, and each once", async () => {
  const registry = new Registry();
  let sessions = [
    { peer: "192.0.2.1", up: 1 },
    { peer: '"\\\n', up: 0 },
    { peer: "192.0.2.1", up: 3 },
  ];
  const collect = (add: (labels: { peer: string }, value: number) => void) => {
    for (const { peer, up } of sessions) add({ peer }, up);
  };
  pullGauge(registry, { name: "up", help: "A gauge.", labelNames: ["peer"], collect });
  pullCounter(registry, { name: "flaps", help: "A counter.", labelNames: ["peer"], collect });
  pullGauge(registry, { name: "peers", help: "One series.", collect: (add) => add({}, sessions.length) });
  assert.equal(
    await registry.metrics(),
    `# HELP up A gauge.
# TYPE up gauge
up{peer="192.0.2.1"} 3
up{peer="\\"\\\\\\n"} 0

# HELP flaps A counter.
# TYPE flaps counter
flaps{peer="192.0.2.1"} 4
flaps{peer="\\"\\\\\\n"} 0

# HELP peers One series.
# TYPE peers gauge
peers 3
`,
  );
  sessions = [];
  assert.doesNotMatch(await registry.metrics(), /peer=/);
});

test("a pulled histogram has cumulative buckets, a sum and a count", async () => {
  const registry = new Registry();
  pullHistogram(registry, {
    name: "took_seconds",
    help: "A histogram.",
    bounds: [0.1, 1],
    collect: () => ({ buckets: [2, 0, 1], sum: 5.25 }),
  });
  assert.equal(
    await registry.metrics(),
    `# HELP took_seconds A histogram.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1"} 2
took_seconds_bucket{le="1"} 2
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 5.25
took_seconds_count 3
`,
  );
});
