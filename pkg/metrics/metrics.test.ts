import assert from "node:assert/strict";
import { syncBuiltinESMExports } from "node:module";
import perfHooks from "node:perf_hooks";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { SimulatedClock } from "#pkg/clock/testing";
import type { Route } from "#pkg/http";
import {
  createRegistry,
  KubernetesMetrics,
  metricsRoute,
  pullCounter,
  pullGauge,
  pullHistogram,
  pullSeries,
  Registry,
} from "#pkg/metrics";
import { anyText } from "#pkg/text/testing";

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
  const text = textOf(body);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);
  assert.ok(text.endsWith("\n"));
});

test("property: labels are what somebody wrote, each on one line, and add no series", async () => {
  const text = fc.oneof(anyText({ maxLength: 20 }), fc.constantFrom('"} 1\nup{a="', "\\", "\\n", '\\"', "a\r\nup 1", "{}"));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(text, { minLength: 1, maxLength: 5 }), async (names) => {
      const registry = new Registry();
      const collect = (add: (labels: { pool: string }, value: number) => void) => {
        for (const pool of names) add({ pool }, 1);
      };
      pullGauge(registry, { name: "used", help: "A gauge.", labelNames: ["pool"], collect });
      const lines = (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      const read = lines.map((line) => /^used\{pool="((?:[^"\\]|\\[\\n"])*)"\} 1$/s.exec(line)?.[1]);
      const meant = (label = "") => label.replaceAll(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character));
      assert.deepEqual(read.map(meant), names, lines.join("\n"));
    }),
  );
});

test("the lag of the event loop has the library's names, each once, and is what a timer was late since the last scrape", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const registry = createRegistry();
  const lags = async () => {
    const found = await registry.getMetricsAsJSON();
    const ofLag = found.filter(({ name }) => name.startsWith("nodejs_eventloop_lag_") && name !== "nodejs_eventloop_lag_seconds");
    for (const { type } of ofLag) assert.equal(String(type), "gauge");
    return ofLag.map(({ name, values }) => `${name.slice("nodejs_eventloop_lag_".length)} ${values[0]?.value.toFixed(2)}`);
  };
  const names = ["min", "max", "mean", "stddev", "p50", "p90", "p99"].map((name) => `${name}_seconds`);
  const none = names.map((name) => `${name} 0.00`);
  assert.deepEqual(await lags(), none);
  for (const late of [100, 300]) {
    now += 1_000 + late;
    t.mock.timers.tick(1_000);
  }
  const found = [0.1, 0.3, 0.2, 0.1, 0.1, 0.3, 0.3].map((value, index) => `${names[index]} ${value.toFixed(2)}`);
  assert.deepEqual(await lags(), found);
  assert.deepEqual(await lags(), none);
});

test("scrape after scrape makes no histograms, which are memory outside V8's heap until it collects garbage", async (context) => {
  const { mock } = context.mock.method(perfHooks, "createHistogram");
  syncBuiltinESMExports();
  context.after(() => {
    context.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const registry = createRegistry();
  for (let scrape = 0; scrape < 20; scrape++) await registry.getMetricsAsJSON();
  assert.equal(mock.callCount(), 2);
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

/** A registry with the series of 10,000 Services. */
function manySeries(collected: () => void = () => {}, read: () => void = () => {}): Registry {
  const registry = new Registry();
  for (const name of ["announced", "received"])
    pullSeries(registry, "gauge", {
      name,
      help: "One series for each address.",
      labelNames: ["ip", "node"],
      *series() {
        collected();
        for (let i = 0; i < 10_000; i++) {
          read();
          yield [{ ip: `10.0.${i >> 8}.${i & 255}`, node: '"a\\b"\n' }, i / 2];
        }
      },
    });
  return registry;
}

/** Pages that take `tookMs` to make. */
function pages(tookMs: number) {
  const clock = new SimulatedClock();
  const series = { collected: 0 };
  const registry = manySeries(() => {
    series.collected++;
    clock.advanceBy(tookMs / 2); // Two metrics.
  });
  return { clock, series, route: metricsRoute(registry, clock) };
}

test("a page that is much work is made once a second, for all clients of that time, and is never older than a request", async () => {
  const { clock, series, route } = pages(120);
  const first = await Promise.all(Array.from({ length: 600 }, route));
  assert.equal(new Set(first.map(({ body }) => body)).size, 1);
  assert.equal(series.collected, 2);
  clock.advanceBy(100);
  const later = Array.from({ length: 600 }, route);
  await setImmediate();
  clock.advanceBy(899);
  await setImmediate();
  assert.equal(series.collected, 2);
  clock.advanceBy(1);
  assert.equal(new Set((await Promise.all(later)).map(({ body }) => body)).size, 1);
  assert.equal(series.collected, 4);
});

test("a page that is little work is made again soon: after nine times what it took", async () => {
  const { clock, series, route } = pages(2);
  await route();
  const second = route();
  await setImmediate();
  clock.advanceBy(17);
  await setImmediate();
  assert.equal(series.collected, 2);
  clock.advanceBy(1);
  await second;
  assert.equal(series.collected, 4);
});

test("who asks while a page is being made gets the next one", async () => {
  const { clock, series, route } = pages(120);
  const first = route();
  await setImmediate();
  const second = route();
  assert.notEqual(second, first);
  await first;
  await setImmediate();
  clock.advanceBy(1_000);
  await second;
  assert.equal(series.collected, 4);
});

test("no turn of the event loop reads more than 250 series", async () => {
  let [inTurn, most, all] = [0, 0, 0];
  let isMade = false;
  const turn = (): void => {
    inTurn = 0;
    if (!isMade) globalThis.setImmediate(turn);
  };
  globalThis.setImmediate(turn);
  const read = (): void => {
    all++;
    most = Math.max(most, ++inTurn);
  };
  await metricsRoute(manySeries(undefined, read))();
  isMade = true;
  assert.deepEqual([all, most], [20_000, 250]);
});

test("what is looked at for a series counts as much as a series", async () => {
  const registry = new Registry();
  let looked = 0;
  pullSeries(registry, "gauge", {
    name: "states",
    help: "Few series of many Services.",
    labelNames: ["state"],
    *series() {
      for (; looked < 1_000; looked++) yield undefined;
      yield [{ state: "well" }, looked];
    },
  });
  const page = metricsRoute(registry)();
  const inTurns: number[] = [];
  for (let turn = 0; turn < 100 && looked < 1_000; turn++, await setImmediate()) inTurns.push(looked);
  assert.ok(inTurns.length >= 4 && inTurns.every((count, turn) => count <= 250 * turn), `${inTurns}`);
  assert.match(textOf((await page).body), /^states\{state="well"\} 1000$/m);
  assert.match(await registry.metrics(), /^states\{state="well"\} 1000$/m);
});

test("what is made and gone while a page is made breaks no line, and is there at most once", async () => {
  const registry = new Registry();
  const services = new Map(Array.from({ length: 1_000 }, (_, i) => [`s${i}`, i]));
  pullSeries(registry, "gauge", {
    name: "announced",
    help: "One series for each Service.",
    labelNames: ["service"],
    *series() {
      for (const service of [...services.keys()]) {
        const value = services.get(service);
        if (value !== undefined) yield [{ service }, value];
      }
    },
  });
  const page = metricsRoute(registry)();
  await setImmediate();
  for (let i = 0; i < 1_000; i += 2) services.delete(`s${i}`);
  for (let i = 0; i < 1_000; i += 4) services.set(`s${i}`, i);
  const lines = textOf((await page).body).split("\n");
  const series = lines.filter((line) => line.startsWith("announced"));
  assert.equal(new Set(series).size, series.length);
  assert.ok(series.length >= 500 && series.every((line) => /^announced\{service="s\d+"\} \d+$/.test(line)));
});

test("a page that is made in slices has every line as the library writes it", async () => {
  const registry = manySeries();
  pullGauge(registry, {
    name: "limits",
    help: "Backslash \\ and\nline feed.",
    labelNames: ["which"],
    collect: (add) => {
      for (const value of [Infinity, -Infinity, 1e21, 0.1, -0]) add({ which: String(value) }, value);
    },
  });
  assert.equal(textOf((await metricsRoute(registry)()).body), await registry.metrics());
});

test("a page that cannot be made is an error, and the next one is tried anew", async () => {
  const clock = new SimulatedClock();
  const registry = new Registry();
  let fails = true;
  const collect = (add: (labels: object, value: number) => void) => {
    if (fails) throw new Error("not yet");
    add({}, 1);
  };
  pullGauge(registry, { name: "up", help: "One series.", collect });
  const route = metricsRoute(registry, clock);
  await assert.rejects(route(), /not yet/);
  fails = false;
  assert.match(textOf((await route()).body), /^up 1$/m);
});

function textOf(body: Route["body"]): string {
  return Buffer.concat(body as readonly Buffer[]).toString();
}
